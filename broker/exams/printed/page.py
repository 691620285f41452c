"""What stands on a day's printed worklist, a room a page, in the words that people read. Pure; draws nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from broker.registry.model import Modality
from broker.worklist.model import WorklistItem

HEADS = (
    "time",
    "patient; born, sex",
    "patient ID",
    "accession",
    "procedure",
    "station, referred by, notes",
    "done",
    "began, ended, remarks",
)
WIDTHS = (17, 54, 33, 35, 50, 36, 12, 40)
"""Of the columns, in mm: together what A4 landscape has between margins of 10 mm."""
_ADVICE = "What was ordered later is not on it. Destroy it after use: it names patients."
NOTHING = "Nothing is scheduled."
COLOURS = {"red": "#b00000", "green": "#006400"}
"""Of environments, dark enough to be read where the printer has black alone."""
BLACK = "#000000"

_LONGEST = 300  # characters of a cell: beyond, a row would be a page
_NOTED = {
    "MedicalAlerts": "alert",
    "Allergies": "allergies",
    "SpecialNeeds": "needs",
    "PatientState": "state",
    "PatientTransportArrangements": "transport",
}
_URGENT = frozenset({"STAT", "HIGH"})


@dataclass(frozen=True, slots=True)
class Room:
    """One device with what it is to do, soonest first."""

    name: str
    place: str
    items: tuple[WorklistItem, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands on every page. `printed` is in the site's zone; `warning` is empty where all is well."""

    environment: str
    colour: str
    site: str
    day: date
    printed: datetime
    actor: str
    warning: str = ""

    @property
    def weekday(self) -> str:
        """The day in full."""
        return f"{self.day:%A %d %B %Y}"

    @property
    def made(self) -> str:
        """Where, when and by whom it was made, and what to do with it."""
        site = self.site or self.environment
        return f"{site}, printed {self.printed.isoformat(sep=' ', timespec='minutes')} by {self.actor}. {_ADVICE}"


@dataclass(frozen=True, slots=True)
class Row:
    """One item in the words of the page; an empty value is not stated."""

    time: str
    name: str
    born: str  # and sex
    patient_id: str
    accession: str
    procedure: str
    step: str
    station: str
    urgency: str  # STAT or HIGH
    notes: str


def rooms(items: Iterable[WorklistItem], modalities: Sequence[Modality], day: date) -> list[Room]:
    """Return the rooms of a day, by name: each device with the items for its stations, then what no device has.

    A room without items is a page too: an empty page says that nothing was forgotten.
    """
    of_day = [item for item in items if item.scheduled_procedure_step_start_date == f"{day:%Y%m%d}"]
    of_day.sort(key=lambda item: (item.scheduled_procedure_step_start_time, item.patient_name, item.id))
    found: list[Room] = []
    placed: set[int] = set()
    for modality in sorted(modalities, key=lambda one: one.name):
        stations = set(map(str, modality.stations))
        own = tuple(item for item in of_day if stations.intersection(item.scheduled_station_ae_titles))
        placed.update(item.id for item in own)
        document = modality.document
        place = ", ".join(filter(None, (document.description, document.location, document.modality)))
        found.append(Room(modality.name, place, own))
    left = tuple(item for item in of_day if item.id not in placed)
    return [*found, Room("no device", "for which no device is registered", left)] if left else found


def row(item: WorklistItem) -> Row:
    """Return an item in the words of the page."""
    description = item.scheduled_procedure_step_description
    priority = item.attributes.get("RequestedProcedurePriority", "")
    return Row(
        time=_time(item.scheduled_procedure_step_start_time),
        name=shortened(_name(item.patient_name)),
        born=", ".join(filter(None, (_day(item.patient_birth_date), item.patient_sex))),
        patient_id=item.patient_id,
        accession=item.accession_number,
        procedure=shortened(item.requested_procedure_description or description),
        step=shortened(description) if item.requested_procedure_description else "",
        station=shortened(", ".join(map(str, item.scheduled_station_ae_titles))),
        urgency=priority if priority in _URGENT else "",
        notes=shortened(_notes(item)),
    )


def counted(count: int) -> str:
    """Return how many steps there are, as a sentence's beginning."""
    return f"{count} {'step' if count == 1 else 'steps'}."


def shortened(text: str) -> str:
    """Return a text that leaves room for the rest of its page."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _notes(item: WorklistItem) -> str:
    stated = item.attributes
    found = [_name(stated.get("ReferringPhysicianName", ""))]
    found += [f"{word}: {_listed(stated[keyword])}" for keyword, word in _NOTED.items() if stated.get(keyword)]
    return "; ".join(filter(None, found))


def _listed(value: str) -> str:
    """Return the values of an element as people list them; a backslash parts them (PS3.5 6.4)."""
    return ", ".join(value.split("\\"))


def _name(value: str) -> str:
    """Return a PN as people write it: family name, given names; each group that is there (PS3.5 6.2.1)."""
    groups = []
    for number, group in enumerate(value.split("=")):
        family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
        rest = " ".join(filter(None, (prefix, given, middle, suffix)))
        # No comma where the family name always comes first: the ideographic and the phonetic group.
        groups.append((" " if number else ", ").join(filter(None, (family, rest))))
    return " / ".join(filter(None, groups))


def _day(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 else value


def _time(value: str) -> str:
    return f"{value[:2]}:{value[2:4]}" if len(value) >= 4 else value
