"""The values of a profile."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from broker.identifiers import AETitle


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


@dataclass(frozen=True, slots=True)
class Hl7Settings:
    """The MLLP listener. Port 0 is any free port."""

    host: str
    port: int
    processing_ids: tuple[str, ...]  # MSH-11 that is taken


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


@dataclass(frozen=True, slots=True)
class Route:
    """A rule: what matches every `when` (keyword or device/calling/called -> value) goes to each destination."""

    to: tuple[str, ...]
    when: tuple[tuple[str, str], ...] = ()


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

    @property
    def colour(self) -> str:
        """The colour of this world on every page and prompt."""
        return "red" if self.kind is World.PRODUCTION else "green"

    @property
    def ports(self) -> dict[str, int]:
        """The configured port of each listener, by the names of the ready line; 0 is any free port."""
        dicom = {"dicom": self.dicom.port} if self.dicom.plain else {}
        tls = {"dicom_tls": self.dicom.tls.port} if self.dicom.tls is not None else {}
        return {"hl7": self.hl7.port, **dicom, **tls, "http": self.http.port}

    @property
    def spool(self) -> Path:
        """The directory of the spool."""
        return self.state / "spool"

    def destination(self, name: str) -> Destination | None:
        """Return the destination of this name."""
        return next((d for d in self.destinations if d.name == name), None)
