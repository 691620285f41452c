"""The values of a profile."""

from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from broker.environments.commitment import CommitmentSettings, ProofSettings
from broker.environments.corrections import CorrectionSettings
from broker.environments.disk import DiskSettings
from broker.environments.promotion import PromotionSettings
from broker.environments.schedules import Hours
from broker.environments.stow import StowSettings
from broker.environments.worlds import WorldsSettings
from broker.identifiers import AETitle

_UTC = ZoneInfo("UTC")


class World(StrEnum):
    """The kind of an environment."""

    TEST = "test"
    PRODUCTION = "production"


class Protocol(StrEnum):
    """How a destination is reached."""

    DIMSE = "dimse"
    STOW = "stow"
    FOLDER = "folder"


class UnknownCallers(StrEnum):
    """What becomes of a calling AE title that no modality claims."""

    REJECT = "reject"
    ACCEPT = "accept"


class AcknowledgedBy(StrEnum):
    """Which message answers an order."""

    ACK = "ack"  # the general acknowledgement, as IHE wants it
    ORDER = "order"  # ORR^O02, ORG^O20, ORI^O24


class Appointments(StrEnum):
    """What a scheduling message (SIU) may do."""

    KNOWN = "known"  # move and cancel orders that are known
    CREATE = "create"  # and create what is not
    IGNORE = "ignore"  # nothing: acknowledged and kept


class LateStatements(StrEnum):
    """Which statements older than what is known are left unapplied."""

    OFF = "off"
    DEMOGRAPHICS = "demographics"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Source:
    """One sending system and its habits. A message's source is the first whose application and facility fit."""

    name: str
    sending_application: str = ""  # MSH-3.1; empty fits any
    sending_facility: str = ""  # MSH-4.1; empty fits any
    addresses: tuple[str, ...] = ()  # networks it may send from; empty: any
    processing_ids: tuple[str, ...] = ()  # MSH-11 that is taken; "" is an empty MSH-11
    receiving_applications: tuple[str, ...] = ()  # MSH-5 under which it means us; empty: any
    receiving_facilities: tuple[str, ...] = ()  # MSH-6 under which it means us; empty: any
    timezone: ZoneInfo = _UTC  # of its dates without offset
    patient_authority: str = ""  # IssuerOfPatientID where PID-3.4 is empty
    character_sets: tuple[str, ...] = ()  # names of table 0211, tried in turn where MSH-18 is empty
    mapping: str = "ihe-swf"  # a preset's name, or the absolute path of a mapping file
    order_control: str = ""  # the absolute path of an order control file; empty: the built-in table
    acknowledged_by: AcknowledgedBy = AcknowledgedBy.ACK
    appointments: Appointments = Appointments.KNOWN
    late: LateStatements = LateStatements.DEMOGRAPHICS
    retries_on_reject: bool = False  # whether it sends again after AR: else an outage closes the connection


@dataclass(frozen=True, slots=True)
class SilenceSettings:
    """When a RIS that sends nothing is worth an alert: after `minutes` (0: never) within working hours, site time."""

    minutes: int = 0
    opens: time = time(7)
    closes: time = time(18)
    days: frozenset[int] = frozenset(range(5))  # 0 is Monday


@dataclass(frozen=True, slots=True)
class Hl7Settings:
    """The MLLP listeners. Port 0 is any free port; `plain` is the listener without TLS."""

    host: str
    port: int
    processing_ids: tuple[str, ...]  # MSH-11 that is taken
    plain: bool = True
    tls: "ListenerTls | None" = None
    allow: tuple[str, ...] = ()  # networks from which connections are taken; empty: any
    connections: int = 512  # at once; more wait
    default: Source = Source("default")  # of senders that no entry of `sources` fits
    unknown_sources: UnknownCallers = UnknownCallers.ACCEPT
    sources: tuple[Source, ...] = ()
    silence: SilenceSettings = SilenceSettings()


class OrderMessage(StrEnum):
    """As which message a receiver takes the status of an order."""

    ORM = "ORM"  # ORM^O01 with ORC-1 SC, version 2.3.1
    OMG = "OMG"  # OMG^O19, version 2.5.1
    ORU = "ORU"  # ORU^R01, which a RIS may file as a result


class OrderEvent(StrEnum):
    """What a receiver may be told of an order."""

    STARTED = "started"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    IMAGES_AVAILABLE = "images-available"
    SCHEDULED_AGAIN = "scheduled-again"  # what had been started is to be performed anew; not every RIS can go back


USUAL_EVENTS = tuple(event for event in OrderEvent if event is not OrderEvent.SCHEDULED_AGAIN)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A system that is told how orders stand, over MLLP."""

    name: str
    host: str
    port: int
    world: World
    message: OrderMessage = OrderMessage.ORM
    events: tuple[OrderEvent, ...] = USUAL_EVENTS
    receiving_application: str = ""  # MSH-5
    receiving_facility: str = ""  # MSH-6
    sending_application: str = "BROKER"  # MSH-3
    sending_facility: str = ""  # MSH-4
    version: str = ""  # MSH-12; empty: the message's own
    character_set: str = "UNICODE UTF-8"  # MSH-18, of table 0211
    timeout_seconds: int = 30  # for an acknowledgement
    quiet_seconds: int = 120  # without a further instance, before images count as available
    tls: "CallTls | None" = None


class ClientCertificates(StrEnum):
    """Whether a caller of the TLS port must show a certificate."""

    REQUIRED = "required"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """The TLS listener beside the plain one: PEM files, read anew when they are replaced. Port 0 is any free port."""

    port: int
    certificate: Path
    key: Path
    trusted: Path | None  # who has issued the callers' certificates
    client_certificates: ClientCertificates = ClientCertificates.REQUIRED


@dataclass(frozen=True, slots=True)
class CallTls:
    """TLS of our calls. Without `trusted`, those whom the system trusts; without `certificate` we show none."""

    certificate: Path | None
    key: Path | None
    trusted: Path | None
    checks_host: bool = True


@dataclass(frozen=True, slots=True)
class DicomLimits:
    """What callers may cost, over both listeners: associations at once, seconds between messages, bytes an object."""

    associations: int = 256
    idle_seconds: int = 300
    object_bytes: int = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class DicomSettings:
    """The DICOM listeners. `aliases` are further titles under which we answer; `plain` is the listener without TLS."""

    host: str
    port: int
    ae_title: AETitle
    aliases: tuple[AETitle, ...]
    plain: bool = True
    tls: ListenerTls | None = None
    limits: DicomLimits = DicomLimits()


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The listener of /healthz, /readyz and /metrics."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Destination:
    """A named receiver. Which of host, port, ae_title, url and path are set depends on the protocol."""

    name: str
    protocol: Protocol
    world: World
    host: str = ""
    port: int = 0
    ae_title: AETitle | None = None
    url: str = ""
    path: Path | None = None
    calling: str = "broker"  # "broker", "device" or a title
    tls: CallTls | None = None
    stow: StowSettings | None = None
    proof: ProofSettings = field(default_factory=ProofSettings)
    schedule: tuple[Hours, ...] = ()  # in which it is sent to, site time; none: at any time
    stat_any_time: bool = False  # what is STAT is sent outside the schedule too
    bandwidth_kbit: int = 0  # kbit/s over all its associations; 0: as fast as it takes them
    associations: int = 1  # at once
    transcode: bool = False  # what it takes in no syntax as received is decoded for it
    correction: CorrectionSettings | None = None  # None: what it gets is what was received


@dataclass(frozen=True, slots=True)
class MppsSettings:
    """Performed procedure steps: to whom they are passed on unchanged, and how long one in progress is believed."""

    destinations: tuple[Destination, ...] = ()  # each by DIMSE
    stale_hours: int = 24  # in progress and unheard of for so long: a person is told
    started_visible_hours: int = 24  # a started step stays on the worklist of the station that started it


class Identity(StrEnum):
    """What becomes of an image whose PatientID, accession number or Study Instance UID is not its order's."""

    FLAG = "flag"  # an alert; it is forwarded
    HOLD = "hold"  # an alert; it is forwarded once a person has released it


@dataclass(frozen=True, slots=True)
class ExamSettings:
    """By when each step of an exam is late, in minutes (0: never), and what follows from a wrong identity."""

    started_late_minutes: int = 60  # after its scheduled start
    stored_late_minutes: int = 60  # images after the step was completed, or without MPPS after it was started
    delivered_late_minutes: int = 30  # after the image was received
    quiet_minutes: int = 15  # without a further image, before an exam without MPPS counts as complete
    identity: Identity = Identity.FLAG


class Priority(StrEnum):
    """In which order a destination gets what it is owed."""

    STAT = "stat"
    HIGH = "high"
    ROUTINE = "routine"
    LOW = "low"


Condition = tuple[str, tuple[str, ...]]
"""What is looked at (device, calling, called, order, `order.Keyword` or a keyword), and patterns of which one fits."""


@dataclass(frozen=True, slots=True)
class Route:
    """A rule: what fits every `when`, no `unless` and the hours of its receipt goes to each destination."""

    to: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    times: tuple[Hours, ...] = ()  # of receipt, site time; none: at any time
    priority: Priority | None = None  # None: the order's
    name: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One environment as its file describes it."""

    file: Path
    name: str
    kind: World
    site: str
    timezone: ZoneInfo
    state: Path  # absolute
    database_url: str  # SQLAlchemy URL; SQLite under `state` by default
    hl7: Hl7Settings
    dicom: DicomSettings
    http: HttpSettings
    unknown_callers: UnknownCallers
    destinations: tuple[Destination, ...]
    routes: tuple[Route, ...]
    receivers: tuple[Receiver, ...] = ()
    mpps: MppsSettings = MppsSettings()
    exams: ExamSettings = ExamSettings()
    expire_days: int = 7  # past its own day an item is offered no longer; 0: never expires
    retention_days: int = 0  # what the ledger does not need is purged then; 0: never
    commitment: CommitmentSettings = field(default_factory=CommitmentSettings)
    disk: DiskSettings = field(default_factory=DiskSettings)
    spool_hours: int = 0  # so long an instance stays after it was delivered and proven everywhere
    promotion: PromotionSettings = field(default_factory=PromotionSettings)
    worlds: WorldsSettings = field(default_factory=WorldsSettings)

    @property
    def colour(self) -> str:
        """The colour of this world on every page and prompt."""
        return "red" if self.kind is World.PRODUCTION else "green"

    @property
    def ports(self) -> dict[str, int]:
        """The configured port of each listener, by the names of the ready line; 0 is any free port."""
        dicom = {"dicom": self.dicom.port} if self.dicom.plain else {}
        tls = {"dicom_tls": self.dicom.tls.port} if self.dicom.tls is not None else {}
        hl7 = {"hl7": self.hl7.port} if self.hl7.plain else {}
        hl7_tls = {"hl7_tls": self.hl7.tls.port} if self.hl7.tls is not None else {}
        return {**hl7, **hl7_tls, **dicom, **tls, "http": self.http.port}

    @property
    def spool(self) -> Path:
        """The directory of the spool."""
        return self.state / "spool"

    def destination(self, name: str) -> Destination | None:
        """Return the destination of this name."""
        return next((d for d in self.destinations if d.name == name), None)
