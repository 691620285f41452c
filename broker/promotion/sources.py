"""Where a promotion comes from, as the target sees it: what is tested there, and what that has proven."""

from datetime import datetime
from pathlib import Path
from typing import Protocol

from broker.clock import rfc3339
from broker.environments.model import Profile
from broker.errors import Refused
from broker.promotion import carried, facts, gate, judging, readiness, settings, store
from broker.promotion.carried import Packet
from broker.promotion.exported import Exported, Whole
from broker.promotion.gate import Here, Prepared
from broker.promotion.model import CheckResult, CheckState, Life, Side
from broker.promotion.probing import Contexts, Prober
from broker.promotion.seen import Facts, ImageSeen
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding, Modality

_PACKET, _EXPORT = "packet:", "export:"
_NOT_ASKED = ("target_pacs", "target_listeners", "target_orders")  # of what is brought back: it was served already


class Source(Protocol):
    """What a device was tested in."""

    @property
    def reference(self) -> str:
        """Where it is found again when a request is applied."""
        ...

    def prepared(self, target: Here, name: str, asked: Binding | None, prober: Prober, now: datetime) -> Prepared:
        """Return the plan for one device. Raises NotFound, Refused."""
        ...

    def contexts(self, name: str, now: datetime) -> Contexts:
        """Return each SOP class and transfer syntax that the device has used there."""
        ...


class Tested:
    """An environment that is open here."""

    def __init__(self, here: Here) -> None:
        self._here = here

    @property
    def reference(self) -> str:
        """The profile's file."""
        return str(self._here.profile.file)

    def prepared(self, target: Here, name: str, asked: Binding | None, prober: Prober, now: datetime) -> Prepared:
        """Return the plan for one device, by all that is recorded there."""
        return gate.prepared(self._here, target, name, asked, judging.by(prober), now)

    def contexts(self, name: str, now: datetime) -> Contexts:
        """Return what its images that count were sent in."""
        device = registry.modality(self._here.tx, name)
        return facts.read(self._here.tx, self._here.profile, device, now).contexts


class Carried:
    """A packet of another host, whose signature was found good."""

    def __init__(self, packet: Packet, not_before: datetime | None = None) -> None:
        """`not_before`: when the packet was made by which it was asked for."""
        self._packet = packet
        self._not_before = not_before

    @property
    def reference(self) -> str:
        """The packet's hash, and when it was made."""
        return f"{_PACKET}{self._packet.sha256}:{self._packet.made.isoformat()}"

    def prepared(self, target: Here, name: str, asked: Binding | None, prober: Prober, now: datetime) -> Prepared:
        """Return the plan for the packet's device. Raises Refused for a packet of another one, or that is not fit."""
        packet, side = self._packet, self._packet.side
        if side.name != name:
            raise Refused(f"the packet is of {side.name}, not of {name}")
        gate.refuse_direction(side.world, side.environment, target.profile)
        carried.refuse_unfit(packet, target.profile, now, self._not_before)
        document = documents.read(packet.content, name)
        device = Modality(name, side.revision, document, side.binding)
        used = Facts(name, now, modality=device, images=tuple(_image(packet, each) for each in packet.contexts))

        def judged(binding: Binding) -> tuple[CheckResult, ...]:
            ready = readiness.judge(target.profile, target.tx, used, prober, now, binding)
            return (*packet.judged(target.profile.promotion), *ready)

        return gate.planned(side, document, packet.content, target, asked, judged, now)

    def contexts(self, name: str, now: datetime) -> Contexts:
        """Return what the packet says that the device has used."""
        return self._packet.contexts


class Imported:
    """An export of the target itself, of which a device is brought back."""

    def __init__(self, whole: Whole, file: Path) -> None:
        self._whole = whole
        self._file = file

    @property
    def reference(self) -> str:
        """The export's hash, and where it lies."""
        return f"{_EXPORT}{self._whole.sha256}:{self._file.absolute()}"

    def prepared(self, target: Here, name: str, asked: Binding | None, prober: Prober, now: datetime) -> Prepared:
        """Return the plan for one device. Raises Refused for an export of another environment."""
        whole, device = self._whole, self._whole.device(name)
        refuse_other(whole, target.profile)
        document = documents.read(device.content, name)
        known = Modality(name, device.revision, document, device.binding)
        hashes = settings.hashes(target.profile)
        ours = Side(
            f"export of {whole.environment}", whole.world, name, device.revision, device.binding, Life.LIVE, hashes
        )

        def judged(binding: Binding) -> tuple[CheckResult, ...]:
            found = readiness.judge(target.profile, target.tx, Facts(name, now, modality=known), prober, now, binding)
            return (self._served(target, device, now), *(each for each in found if each.check not in _NOT_ASKED))

        wanted = asked or (device.binding if device.binding.host else None)
        return gate.planned(ours, document, device.content, target, wanted, judged, now)

    def contexts(self, name: str, now: datetime) -> Contexts:
        """Return nothing: an export has no evidence."""
        return ()

    def _served(self, target: Here, device: Exported, now: datetime) -> CheckResult:
        """Say whether this revision has been served here: what was never proven does not come in by a file."""
        check, title = "imported", "It was served here before"
        past = {line.revision for line in store.history(target.tx, device.name)}
        if device.revision in past:
            return CheckResult(check, title, CheckState.PASSED, "this revision stands in its history", at=now)
        if self._whole.is_signed:
            text = f"the export of {rfc3339(self._whole.made)} is signed with our key"
            return CheckResult(check, title, CheckState.PASSED, text, at=now)
        text = "it never was, and the export is not signed with our key ([promotion] packet_key)"
        return CheckResult(check, title, CheckState.FAILED, text, "promote it from Test, as every device", now)


def refuse_other(whole: Whole, profile: Profile) -> None:
    """Raise Refused for an export of another environment."""
    theirs = (whole.environment, whole.world, whole.site)
    if theirs != (profile.name, profile.kind, profile.site):
        said = f"{whole.environment} ({whole.world.value}, {whole.site or 'no site'})"
        raise Refused(
            f"the export is of {said}, not of {profile.name} ({profile.kind.value}, {profile.site or 'no site'})"
        )


def export_of(reference: str) -> tuple[str, Path] | None:
    """Return hash and place of the export that a request was made from; None where it was from elsewhere."""
    if not reference.startswith(_EXPORT):
        return None
    sha256, _, place = reference.removeprefix(_EXPORT).partition(":")
    return sha256, Path(place)


def packet_made(reference: str) -> datetime | None:
    """Return when the packet of a request was made; None where it was asked for from an environment."""
    if not reference.startswith(_PACKET):
        return None
    return datetime.fromisoformat(reference.removeprefix(_PACKET).partition(":")[2])


def _image(packet: Packet, context: tuple[str, str]) -> ImageSeen:
    sop_class, syntax = context
    return ImageSeen("packet", packet.made, sop_class_uid=sop_class, transfer_syntax=syntax)
