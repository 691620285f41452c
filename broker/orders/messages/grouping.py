"""Which segments of an order message belong together. Reads the segments' names, none of their fields but ORC's place.

The standard's groups are not used: real messages break them, and grouping by them loses ZDS.
"""

from dataclasses import dataclass, field, replace

from hl7.message import Message, Segment


@dataclass(frozen=True, slots=True)
class PatientGroup:
    """PID and what follows it up to the first order."""

    pid: Segment | None = None
    pv1: Segment | None = None
    allergies: tuple[Segment, ...] = ()  # AL1
    notes: tuple[Segment, ...] = ()  # NTE


@dataclass(frozen=True, slots=True)
class OrderGroup:
    """One ORC/OBR pair with what hangs on it. `number` counts them from 1."""

    number: int
    patient: PatientGroup
    orc: Segment | None = None
    obr: Segment | None = None
    notes: tuple[Segment, ...] = ()  # NTE
    observations: tuple[Segment, ...] = ()  # OBX
    zds: Segment | None = None

    def segment(self, name: str) -> Segment | None:
        """Return the segment of a source."""
        found = {"ORC": self.orc, "OBR": self.obr, "ZDS": self.zds, "PID": self.patient.pid, "PV1": self.patient.pv1}
        return found.get(name)

    @property
    def location(self) -> str:
        """The place of the ORC, or of the OBR where there is none."""
        named = self.orc or self.obr
        return named.location() if named else ""


@dataclass(slots=True)
class _Reading:
    patient: PatientGroup = field(default_factory=PatientGroup)
    groups: list[OrderGroup] = field(default_factory=list)
    in_order: bool = False


def group(message: Message) -> tuple[OrderGroup, ...]:
    """Return the ORC/OBR groups in wire order, each with its patient.

    An OBR without an ORC of its own inherits the one before it; a single ZDS after the last of several groups
    belongs to all of them (IHE RAD TF-2, RAD-4).
    """
    reading = _Reading()
    for segment in message.segments:
        _take(reading, segment)
    return _with_shared_zds(tuple(reading.groups))


def _take(reading: _Reading, segment: Segment) -> None:
    match segment.name:
        case "PID":
            reading.patient = PatientGroup(pid=segment)
            reading.in_order = False
        case "ORC":
            _open(reading, segment, None)
        case "OBR":
            _take_obr(reading, segment)
        case "PV1" | "AL1":
            reading.patient = _with_patient_segment(reading.patient, segment)
        case "NTE" if not reading.in_order:
            reading.patient = _with_patient_segment(reading.patient, segment)
        case "NTE" | "OBX" | "ZDS" if reading.in_order:
            reading.groups[-1] = _with_order_segment(reading.groups[-1], segment)


def _open(reading: _Reading, orc: Segment | None, obr: Segment | None) -> None:
    reading.groups.append(OrderGroup(len(reading.groups) + 1, reading.patient, orc, obr))
    reading.in_order = True


def _take_obr(reading: _Reading, obr: Segment) -> None:
    last = reading.groups[-1] if reading.groups and reading.in_order else None
    if last is not None and last.obr is None:
        reading.groups[-1] = replace(last, obr=obr)
    else:
        _open(reading, last.orc if last else None, obr)


def _with_patient_segment(patient: PatientGroup, segment: Segment) -> PatientGroup:
    match segment.name:
        case "PV1":
            return replace(patient, pv1=patient.pv1 or segment)
        case "AL1":
            return replace(patient, allergies=(*patient.allergies, segment))
    return replace(patient, notes=(*patient.notes, segment))


def _with_order_segment(group: OrderGroup, segment: Segment) -> OrderGroup:
    match segment.name:
        case "OBX":
            return replace(group, observations=(*group.observations, segment))
        case "ZDS":
            return replace(group, zds=group.zds or segment)
    return replace(group, notes=(*group.notes, segment))


def _with_shared_zds(groups: tuple[OrderGroup, ...]) -> tuple[OrderGroup, ...]:
    stated = [group for group in groups if group.zds is not None]
    if len(stated) == 1 and stated[0] is groups[-1]:
        return tuple(replace(group, zds=stated[0].zds) for group in groups)
    return groups
