"""The values of the registry."""

from dataclasses import dataclass
from datetime import datetime

from broker.environments.model import Route
from broker.identifiers import AETitle


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

    def by_calling(self, calling_ae_title: str) -> Modality | None:
        """Return the modality that uses this calling AE title, compared as the standard does: case-sensitive."""
        return next((m for m in self.modalities if calling_ae_title in m.ae_titles), None)

    def by_name(self, name: str) -> Modality | None:
        """Return the modality of this name."""
        return next((m for m in self.modalities if m.name == name), None)
