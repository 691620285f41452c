"""Which segments of a message belong together. Reads the segments' names, none of their fields.

The standard's groups are not used: real messages break them, and grouping by them loses ZDS.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hl7.errors import Hl7Error
from hl7.message import Message, Segment

MOST = 1_000  # orders, steps, appointments or patients of one message: more would hold up all others for seconds

Segments = dict[str, list[Segment]]
"""By name, in wire order."""

_OF_PATIENT = frozenset({"PID", "PD1", "PV1", "PV2", "AL1", "MRG", "NK1", "GT1", "IN1"})


@dataclass(slots=True)
class PatientGroup:
    """PID and what follows it up to the first order."""

    segments: Segments = field(default_factory=dict)

    def first(self, name: str) -> Segment | None:
        """Return the first segment of this name."""
        found = self.segments.get(name)
        return found[0] if found else None


@dataclass(slots=True)
class OrderGroup:
    """One ORC/OBR pair, or one appointment's resources, with what hangs on it."""

    patient: PatientGroup
    segments: Segments

    def first(self, name: str) -> Segment | None:
        """Return the first segment of this name."""
        found = self.segments.get(name)
        return found[0] if found else None

    @property
    def location(self) -> str:
        """The place of the ORC, of the OBR where there is none, or of an appointment's SCH."""
        named = self.first("ORC") or self.first("OBR") or self.first("SCH")
        return named.location() if named else ""


def order_groups(message: Message) -> list[OrderGroup]:
    """Return the ORC/OBR groups in wire order, each with its patient.

    An OBR without an ORC of its own inherits the one before it; a single ZDS after the last of several groups
    belongs to all of them (IHE RAD TF-2, RAD-4). Raises Hl7Error 102 for a flood.
    """
    for name in ("ORC", "OBR", "IPC"):
        bounded(message.all(name))
    patient = PatientGroup()
    groups: list[OrderGroup] = []
    open_group: OrderGroup | None = None
    for segment in message.segments:
        name = segment.name
        if name == "PID":
            patient, open_group = PatientGroup({"PID": [segment]}), None
        elif name == "ORC" or (name == "OBR" and (open_group is None or "OBR" in open_group.segments)):
            open_group = _opened(patient, open_group, segment)
            groups.append(open_group)
        elif name in _OF_PATIENT or open_group is None:
            patient.segments.setdefault(name, []).append(segment)
        else:
            open_group.segments.setdefault(name, []).append(segment)
    _share_zds(groups)
    return groups


def patient_groups(message: Message) -> list[PatientGroup]:
    """Return each PID with the segments after it; of those before the first PID it has what it has not itself.

    Raises Hl7Error 102 for a flood.
    """
    for name in ("PID", "MRG", "RGS", "AIS"):
        bounded(message.all(name))
    shared: Segments = {}
    found: list[Segments] = []
    for segment in message.segments:
        if segment.name == "PID":
            found.append({})
        target = found[-1] if found else shared
        target.setdefault(segment.name, []).append(segment)
    return [PatientGroup({**shared, **segments}) for segments in found]


def bounded(segments: Sequence[Segment]) -> None:
    """Raise Hl7Error 102 for more segments of one kind than one message may have."""
    if len(segments) > MOST:
        raise Hl7Error("102", segments[MOST].location(), f"more than {MOST} {segments[0].name} in one message")


def _opened(patient: PatientGroup, before: OrderGroup | None, segment: Segment) -> OrderGroup:
    if segment.name == "ORC" or before is None or "ORC" not in before.segments:
        return OrderGroup(patient, {segment.name: [segment]})
    return OrderGroup(patient, {"ORC": before.segments["ORC"], "OBR": [segment]})


def _share_zds(groups: list[OrderGroup]) -> None:
    stated = [group for group in groups if "ZDS" in group.segments]
    if len(groups) > 1 and len(stated) == 1 and stated[0] is groups[-1]:
        for group in groups:
            group.segments["ZDS"] = stated[0].segments["ZDS"]
