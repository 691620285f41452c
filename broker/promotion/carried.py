"""An evidence packet: what a device has proven on one host, as a file that another host believes.

It is one readable JSON document in sections. The hash of each section stands in a list, and the list is signed with a
key that both hosts have (HMAC-SHA256, RFC 2104). It holds no patient data: what was proven, not what of. Pure.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from broker import __version__
from broker.clock import rfc3339
from broker.environments.model import Profile, World
from broker.environments.promotion import PromotionSettings
from broker.errors import BrokerError, Misconfigured, Refused
from broker.identifiers import AETitle
from broker.promotion import store
from broker.promotion.model import CheckResult, CheckState, Hashes, Life, Side
from broker.promotion.probing import Contexts
from broker.registry.model import Binding

FORMAT = "broker evidence packet 1"
_AHEAD = timedelta(minutes=5)  # by which the other host's clock may be before ours
_SECTIONS = ("origin", "device", "document", "settings", "policy", "evidence", "contexts")
_ASKED = {"soak": ("soak_exams", "soak_days"), "clock": ("clock_minutes",)}  # by which check a policy is asked


@dataclass(frozen=True, slots=True)
class Packet:
    """What a packet says, once it is believed."""

    site: str
    software: str
    made: datetime
    side: Side
    content: bytes
    policy: PromotionSettings  # by which it was judged
    evidence: tuple[CheckResult, ...]
    contexts: Contexts
    sha256: str = ""  # of the file

    def judged(self, policy: PromotionSettings) -> tuple[CheckResult, ...]:
        """Return the checks as a target with this policy sees them: what was asked less of is not passed."""
        return (*(self._asked_again(check, policy) for check in self.evidence), self._version())

    def _asked_again(self, check: CheckResult, policy: PromotionSettings) -> CheckResult:
        names = [name for name in _ASKED.get(check.check, ()) if _asks_more(name, self.policy, policy)]
        if check.is_open or not names:
            return check
        wanted = ", ".join(f"{getattr(policy, name)} for {getattr(self.policy, name)} {name}" for name in names)
        options = " ".join(f"--{name.replace('_', '-')} {getattr(policy, name)}" for name in names)
        to_do = f"export it anew with {options}"
        return replace(
            check, state=CheckState.FAILED, text=f"it was judged by less: here are asked {wanted}", to_do=to_do
        )

    def _version(self) -> CheckResult:
        check, title = "packet_version", "Both hosts run one version of the broker"
        if self.software == __version__:
            return CheckResult(check, title, CheckState.PASSED, self.software, at=self.made)
        text = f"it was tested by {self.software}, and here runs {__version__}"
        return CheckResult(check, title, CheckState.FAILED, text, "install one version, then test again", self.made)


def key_of(profile: Profile) -> bytes:
    """Return the key that signs. Raises Misconfigured where there is none, or it cannot be read."""
    secret = profile.promotion.packet_key or profile.worlds.key
    if secret is None:
        raise Misconfigured(
            f'{profile.file}: an evidence packet is signed: add [promotion] packet_key = {{ file = "…" }}, '
            "one secret, the same on both hosts"
        )
    return hmac.digest(secret.read().encode(), FORMAT.encode(), "sha256")


def written(packet: Packet, key: bytes) -> bytes:
    """Return the file."""
    sections = _sections(packet)
    manifest = {name: _hash(sections[name]) for name in _SECTIONS}
    signed = {"key": _key_id(key), "sections": manifest, "signature": _signature(key, manifest)}
    return (json.dumps({"format": FORMAT, **sections, "signed": signed}, indent=1, ensure_ascii=False) + "\n").encode()


def read(content: bytes, key: bytes) -> Packet:
    """Return what a packet says, found whole and signed by who has our key. Raises Refused, and says what differs."""
    try:
        said = json.loads(content)
        if said["format"] != FORMAT:
            raise Refused(f"this is {said['format']!r}, not {FORMAT!r}: export it by this version")
        _believe(said, key)
        packet = _value(said)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        if isinstance(error, BrokerError):
            raise
        raise Refused("this file is no evidence packet, or it was cut: broker promote export writes one") from error
    if hashlib.sha256(packet.content).hexdigest() != packet.side.revision:
        raise Refused("the packet contradicts itself: its document is not the revision that it names")
    return replace(packet, sha256=hashlib.sha256(content).hexdigest())


def refuse_unfit(packet: Packet, target: Profile, now: datetime, not_before: datetime | None = None) -> None:
    """Raise Refused for a packet that is too old, of another site, or older than `not_before`, where one was used."""
    if packet.site != target.site:
        raise Refused(f"the packet is of the site {packet.site!r}, and {target.name} of {target.site!r}")
    age = now - packet.made
    if age > timedelta(hours=target.promotion.packet_hours):
        hours = target.promotion.packet_hours
        raise Refused(f"the packet is stale: made {rfc3339(packet.made)}, more than {hours} h ago; export it anew")
    if age < -_AHEAD:
        raise Refused(f"the packet is of the future, {rfc3339(packet.made)}: compare the clocks of both hosts")
    if not_before is not None and packet.made < not_before:
        raise Refused(f"the packet is older than the one of the request, {rfc3339(not_before)}: export it anew")


# --- the file ------------------------------------------------------------------------------------------------------


def _sections(packet: Packet) -> dict[str, Any]:
    side = packet.side
    return {
        "origin": {
            "site": packet.site,
            "environment": side.environment,
            "world": side.world.value,
            "software": packet.software,
            "made": packet.made.isoformat(),
        },
        "device": {
            "name": side.name,
            "revision": side.revision,
            "binding": {key: value or "" for key, value in asdict(side.binding).items()},
            "life": side.life.value,
        },
        "document": base64.b64encode(packet.content).decode(),
        "settings": asdict(side.hashes),
        "policy": {name: getattr(packet.policy, name) for names in _ASKED.values() for name in names},
        "evidence": json.loads(store.packed_checks(packet.evidence)),
        "contexts": [list(each) for each in packet.contexts],
    }


def _value(said: Mapping[str, Any]) -> Packet:
    origin, device = said["origin"], said["device"]
    bound = device["binding"]
    titles = {key: AETitle(bound[key]) if bound[key] else None for key in ("ae_title", "station")}
    side = Side(
        origin["environment"],
        World(origin["world"]),
        device["name"],
        device["revision"],
        Binding(bound["host"], int(bound["port"] or 0), **titles),
        Life(device["life"]),
        Hashes(**said["settings"]),
    )
    return Packet(
        site=origin["site"],
        software=origin["software"],
        made=datetime.fromisoformat(origin["made"]),
        side=side,
        content=base64.b64decode(said["document"], validate=True),
        policy=PromotionSettings(**said["policy"]),
        evidence=store.unpacked_checks(json.dumps(said["evidence"])),
        contexts=tuple((sop_class, syntax) for sop_class, syntax in said["contexts"]),
    )


def _believe(said: Mapping[str, Any], key: bytes) -> None:
    """Raise Refused where it was not signed with our key, or a section is not as it was signed."""
    signed = said["signed"]
    if signed["key"] != _key_id(key):
        raise Refused(f"the packet is signed with another key ({signed['key']}) than ours ({_key_id(key)})")
    if not hmac.compare_digest(str(signed["signature"]), _signature(key, signed["sections"])):
        raise Refused("the packet was altered: its list of hashes is not the one that was signed")
    differing = [name for name in _SECTIONS if name not in said or _hash(said[name]) != signed["sections"].get(name)]
    added = [name for name in said if name not in (*_SECTIONS, "format", "signed")]
    if differing or added:
        raise Refused(f"the packet was altered: {', '.join((*differing, *added))} is not what was signed")


def _hash(section: object) -> str:
    return hashlib.sha256(_canonical(section)).hexdigest()


def _signature(key: bytes, manifest: object) -> str:
    return hmac.new(key, FORMAT.encode() + b"\0" + _canonical(manifest), "sha256").hexdigest()


def _key_id(key: bytes) -> str:
    """Return what names a key and gives nothing of it away."""
    return hmac.new(key, b"key", "sha256").hexdigest()[:12]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True).encode()


def _asks_more(name: str, before: PromotionSettings, now: PromotionSettings) -> bool:
    was, wanted = int(getattr(before, name)), int(getattr(now, name))
    # Fewer minutes are the stricter rule, of everything else more.
    return was > wanted if name.endswith("minutes") else was < wanted
