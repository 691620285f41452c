"""The values that checks read: recorded facts of one device, each with how it bears on the device as it is now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from broker.commitment.proof.model import ProofState
from broker.delivery.model import DeliveryState
from broker.environments.promotion import PromotionSettings
from broker.procedures.model import PerformedStatus, ScheduledItem
from broker.promotion.bearing import Bearing, Change
from broker.promotion.model import Fingerprint
from broker.promotion.recorded.model import Incident, Item, Sent
from broker.promotion.statements.model import Kind
from broker.registry.model import Makes, Modality

_UTC = ZoneInfo("UTC")
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."  # every SR document class (PS3.6 annex A)
_OWN, _MAKES, _POLICY, _NOBODY = Bearing(), Makes(), PromotionSettings(), Fingerprint()


@dataclass(frozen=True, slots=True)
class Seen:
    """One recorded fact."""

    ref: str  # such as "association 01K…", "query 17"
    at: datetime
    bearing: Bearing = _OWN

    @property
    def counts(self) -> bool:
        """Whether it is evidence."""
        return self.bearing.counts


@dataclass(frozen=True, slots=True)
class EchoSeen(Seen):
    """A C-ECHO, and why it failed."""

    failure: str = ""


@dataclass(frozen=True, slots=True)
class CallSeen(Seen):
    """An association under a title of the device."""

    address: str = ""


@dataclass(frozen=True, slots=True)
class QuerySeen(Seen):
    """A worklist query, the status of its final answer, and the items that it was answered with."""

    status: int = 0
    items: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StepSeen(Seen):
    """A performed step."""

    status: PerformedStatus = PerformedStatus.IN_PROGRESS
    items: tuple[ScheduledItem, ...] = ()
    patient_id: str = ""
    unlinked: int = 0
    begun: datetime | None = None  # when we were told of it first
    seconds_off: float | None = None  # its start by the device's clock, less when we were told


@dataclass(frozen=True, slots=True)
class ImageSeen(Seen):
    """An instance, what it is, and where it went."""

    sop_class_uid: str = ""
    transfer_syntax: str = ""
    octets: int = 0
    frames: int = 1
    study_instance_uid: str = ""
    accession_number: str = ""
    patient_id: str = ""
    name_digest: str = ""
    seconds_off: float | None = None  # its time by the device's clock, less when it came
    sent: tuple[Sent, ...] = ()
    is_forgotten: bool = False

    @property
    def is_report(self) -> bool:
        """Whether it is a structured report."""
        return self.sop_class_uid.startswith(_REPORTS)

    @property
    def is_loop(self) -> bool:
        """Whether it moves."""
        return not self.is_report and self.frames > 1

    @property
    def is_delivered(self) -> bool:
        """Whether every destination that it was owed to has it."""
        states = {each.state for each in self.sent}
        return states == {DeliveryState.DELIVERED.value} or (not states and self.is_forgotten)

    @property
    def stuck(self) -> tuple[Sent, ...]:
        """The deliveries at which a person has to act."""
        waits = (DeliveryState.PARKED.value, DeliveryState.HELD.value)
        return tuple(each for each in self.sent if each.state in waits)

    @property
    def is_proven(self) -> bool:
        """Whether each destination that can prove has proven that it keeps it, and one of them has."""
        asked = [each.proof for each in self.sent if each.proof not in ("", ProofState.NOT_ASKED.value)]
        return self.is_delivered and bool(asked) and set(asked) == {ProofState.PROVEN.value}


@dataclass(frozen=True, slots=True)
class CommitmentSeen(Seen):
    """A request for storage commitment."""

    is_reported: bool = False
    reason: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class StatementSeen(Seen):
    """What a person said of a check."""

    check: str = ""
    kind: Kind = Kind.STATED
    by: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything recorded of one device, newest first, and what is asked of it."""

    name: str
    now: datetime
    makes: Makes = _MAKES
    asks_commitment: bool = False
    policy: PromotionSettings = _POLICY
    timezone: tzinfo = _UTC
    is_bound: bool = True
    fingerprint: Fingerprint = _NOBODY
    provers: frozenset[str] = frozenset()  # destinations that are asked to prove
    calls: tuple[CallSeen, ...] = ()
    received: tuple[EchoSeen, ...] = ()
    sent: tuple[EchoSeen, ...] = ()
    queries: tuple[QuerySeen, ...] = ()
    items: Mapping[int, Item] = field(default_factory=dict)  # that its queries were answered with
    steps: tuple[StepSeen, ...] = ()
    images: tuple[ImageSeen, ...] = ()
    commitments: tuple[CommitmentSeen, ...] = ()
    incidents: tuple[Incident, ...] = ()
    statements: tuple[StatementSeen, ...] = ()
    modality: Modality | None = None

    @property
    def given(self) -> tuple[Item, ...]:
        """The worklist items that counting queries were answered with."""
        ids = dict.fromkeys(number for query in self.queries if query.counts for number in query.items)
        return tuple(self.items[number] for number in ids if number in self.items)

    @property
    def contexts(self) -> tuple[tuple[str, str], ...]:
        """Every (SOP class, transfer syntax) in which the device has sent what counts."""
        found = {(image.sop_class_uid, image.transfer_syntax) for image in self.images if image.counts}
        return tuple(sorted(found))

    def waiver(self, check: str) -> StatementSeen | None:
        """Return who says that a check does not apply. It ends with another document, place or device only."""
        ends = {Change.REVISION, Change.BINDING, Change.DEVICE}
        said = (each for each in self.statements if (each.check, each.kind) == (check, Kind.WAIVED))
        return next((each for each in said if not each.bearing.foreign and not ends & set(each.bearing.changed)), None)

    def stated(self, check: str) -> tuple[StatementSeen, ...]:
        """Return what people stated of a check, newest first."""
        return tuple(each for each in self.statements if (each.check, each.kind) == (check, Kind.STATED))
