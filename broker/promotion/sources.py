"""Where a promotion comes from, as the target sees it: what is tested there, and what that has proven."""

from datetime import datetime
from typing import Protocol

from broker.errors import Refused
from broker.promotion import carried, facts, gate, judging, readiness
from broker.promotion.carried import Packet
from broker.promotion.gate import Here, Prepared
from broker.promotion.model import CheckResult
from broker.promotion.probing import Contexts, Prober
from broker.promotion.seen import Facts, ImageSeen
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding, Modality

_PACKET = "packet:"


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


def packet_made(reference: str) -> datetime | None:
    """Return when the packet of a request was made; None where it was asked for from an environment."""
    if not reference.startswith(_PACKET):
        return None
    return datetime.fromisoformat(reference.removeprefix(_PACKET).partition(":")[2])


def _image(packet: Packet, context: tuple[str, str]) -> ImageSeen:
    sop_class, syntax = context
    return ImageSeen("packet", packet.made, sop_class_uid=sop_class, transfer_syntax=syntax)
