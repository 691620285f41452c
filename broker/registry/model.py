"""The values of the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.environments.model import Route
from broker.identifiers import AETitle


class ListOrder(StrEnum):
    """How a device lists what it is answered."""

    SOONEST = "soonest"
    LATEST = "latest"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders that name no station a device is shown: every kind that is stated must fit, by any of its values."""

    modalities: tuple[str, ...] = ()  # empty: the document's own
    procedure_codes: tuple[str, ...] = ()  # of the requested procedure or of the scheduled protocol
    locations: tuple[str, ...] = ()  # of the step, else of the patient; `*` and `?` as in a query, case folded
    sending_applications: tuple[str, ...] = ()  # MSH-3.1 of the message that ordered


@dataclass(frozen=True, slots=True)
class Habits:
    """What this console does differently when it asks for its worklist. The defaults suit a common ultrasound."""

    ignore_station_key: bool = False  # ScheduledStationAETitle of a query is not looked at
    default_station_key: bool = True  # it is shown what is for its own stations; else all that its keys match
    case_insensitive_titles: bool = False  # "us1" in a query finds US1
    widen_today_hours: int = 0  # its "today" begins so much earlier and ends so much later
    default_window_days: int | None = None  # without a date in the query: today, and so many days on both sides
    lenient_lists: bool = True  # `US\IVUS` and a lone `*` in any key; else such a query is refused
    keys_outside_sequence: bool = True  # the step's keys count outside its sequence too
    limit: int = 0  # answers at most, the soonest; 0: all
    order: ListOrder = ListOrder.SOONEST  # of the answers
    warns_of_unsupported: bool = False  # FF01 instead of FF00 where an attribute that was asked for is not known
    unsupported_as_empty: bool = True  # such an attribute is answered with zero length; else left out
    keep_started_hours: int | None = None  # so long its station is shown a step it started; else as the profile says


class CommitmentMode(StrEnum):
    """When a device that asks for storage commitment is told that its instances are safe."""

    OWN = "own"  # once our spool keeps them
    STORED = "stored"  # once every destination has taken them
    PROXY = "proxy"  # once every destination that can prove it has proven that it keeps them


class ReportWay(StrEnum):
    """On which association a device takes the report."""

    EITHER = "either"  # the one that asked while it is open, else a new one
    SAME = "same"  # only the one that asked: the device does not listen
    NEW = "new"  # only a new one


@dataclass(frozen=True, slots=True)
class CommitmentHabits:
    """How a device is answered that asks for storage commitment."""

    mode: CommitmentMode = CommitmentMode.PROXY
    report: ReportWay = ReportWay.EITHER
    asks: bool = False  # whether it asks at all: then it must have been seen to


@dataclass(frozen=True, slots=True)
class Makes:
    """What a device claims to make: in Test each of it must be seen before it may go live."""

    still: bool = True
    loop: bool = True  # images of many frames
    report: bool = False  # structured reports
    performed_step: bool = True  # MPPS
    largest_loop_mb: int = 0  # of what it can make; 0: a person says which was the largest


@dataclass(frozen=True, slots=True)
class Document:
    """A modality document as read: what holds in both worlds."""

    name: str
    description: str
    modality: str  # (0008,0060)
    ae_titles: tuple[AETitle, ...]  # every calling AE title the device uses
    stations: tuple[AETitle, ...]  # Scheduled Station AE Titles it is shown; default: its AE titles
    station_name: str
    location: str
    character_sets: tuple[str, ...]  # (0008,0005) it may be answered in, best first; "" is the default repertoire
    routes: tuple[Route, ...]  # applied before a profile's
    habits: Habits = Habits()
    filter: Filter | None = None  # None: every order of its modality that names no station
    commitment: CommitmentHabits = CommitmentHabits()
    makes: Makes = Makes()


@dataclass(frozen=True, slots=True)
class Binding:
    """What differs per world: where the device is, and a title or station that must differ."""

    host: str = ""
    port: int = 0
    ae_title: AETitle | None = None  # replaces the document's titles in this world
    station: AETitle | None = None  # replaces the document's stations in this world


@dataclass(frozen=True, slots=True)
class Revision:
    """One recorded document: `sha256` of `content` names it."""

    sha256: str
    name: str
    content: bytes
    recorded: datetime


@dataclass(frozen=True, slots=True)
class Modality:
    """A device as it is active in this environment: its document with its binding applied."""

    name: str
    revision: str  # sha256
    document: Document
    binding: Binding
    retired: bool = False
    suspended: bool = False  # it gets no new worklist items; what it has begun still finishes

    @property
    def ae_titles(self) -> tuple[AETitle, ...]:
        """The calling AE titles in this world."""
        return (self.binding.ae_title,) if self.binding.ae_title else self.document.ae_titles

    @property
    def stations(self) -> tuple[AETitle, ...]:
        """The Scheduled Station AE Titles it is shown in this world."""
        return (self.binding.station,) if self.binding.station else self.document.stations


@dataclass(frozen=True, slots=True)
class Registry:
    """All active modalities at one generation."""

    generation: int
    modalities: tuple[Modality, ...]
    # Looked up twice for each association, so made once.
    _by_calling: Mapping[str, Modality] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note whose each title is: the first's."""
        titles = ((str(title), modality) for modality in reversed(self.modalities) for title in modality.ae_titles)
        object.__setattr__(self, "_by_calling", dict(titles))

    def by_calling(self, calling_ae_title: str) -> Modality | None:
        """Return the modality that uses this calling AE title, compared as the standard does: case-sensitive."""
        return self._by_calling.get(calling_ae_title)

    def by_name(self, name: str) -> Modality | None:
        """Return the modality of this name."""
        return next((m for m in self.modalities if m.name == name), None)
