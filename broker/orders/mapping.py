"""Where each attribute of an order is read from, as values: ordered sources, first valued one wins. Reads no message.

The files that say so are read by `mapping_file`; what a form does to a field's text stands in `messages/forms.py`.
"""

import dataclasses
import re
from collections.abc import Mapping as Map
from dataclasses import dataclass
from enum import StrEnum

from broker.orders.model import Origin

_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})-(?P<field>[1-9]\d{0,2})"
    r"(?:\.(?P<component>[1-9]\d{0,2}))?(?:\.(?P<subcomponent>[1-9]\d{0,2}))?(?:\[(?P<repetition>[1-9]\d{0,2})\])?"
)

_NUMBERS = ("field", "component", "subcomponent", "repetition")


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a message: segment, field, component, subcomponent, repetition, counted from 1.

    With a `table`, it has a value only where the table holds the field's code: the value is then the table's.
    """

    segment: str
    field: int
    component: int = 1
    subcomponent: int = 1
    repetition: int = 1
    table: Map[str, str] | None = None
    origin: Origin = dataclasses.field(init=False, compare=False)  # of what is found there as it stands

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", Origin(self.path))

    @property
    def path(self) -> str:
        """The source as a mapping file writes it, e.g. "ORC-7.4" or "PID-3[2]"."""
        component = f".{self.component}" if (self.component, self.subcomponent) != (1, 1) else ""
        subcomponent = f".{self.subcomponent}" if self.subcomponent != 1 else ""
        repetition = f"[{self.repetition}]" if self.repetition != 1 else ""
        return f"{self.segment}-{self.field}{component}{subcomponent}{repetition}"


def source(path: str, table: Map[str, str] | None = None) -> Source:
    """Return the source of a text `SEG-field[.component[.subcomponent]]`, a repetition in brackets: "PID-3.4[2]".

    Raises ValueError for any other text.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError("is no SEG-field[.component[.subcomponent]]")
    number, component, subcomponent, repetition = (int(found[name] or 1) for name in _NUMBERS)
    return Source(found["segment"], number, component, subcomponent, repetition, table)


class Form(StrEnum):
    """What a field's text becomes. The comment says the attribute's VR."""

    SHORT = "short"  # SH, cut
    LONG = "long"  # LO, cut
    TEXT = "text"  # LT, ST, UT
    CODED_TEXTS = "coded-texts"  # LO of each repetition of a CE: its text, else its code
    PHONE = "phone"  # SH of an XTN
    SHORT_IDENTIFIER = "short-identifier"  # SH, refused where too long
    LONG_IDENTIFIER = "long-identifier"  # LO, refused where too long
    UID = "uid"  # UI, refused where it is none
    CODE_STRING = "code-string"  # CS
    MODALITY = "modality"  # CS by the rule's table, refused where it is none
    MEANING = "meaning"  # what the rule's table says, else nothing
    DECIMAL = "decimal"  # DS
    WHOLE_NUMBER = "whole-number"  # IS, US
    DATE = "date"  # DA at the site; what is no date is left out
    TIME = "time"  # TM at the site
    START_DATE = "start-date"  # DA at the site, refused where it is no date
    START_TIME = "start-time"  # TM of the field that gave the start's date
    BIRTH_DATE = "birth-date"  # DA, never moved by a zone
    SEX = "sex"  # CS
    PATIENT_NAME = "patient-name"  # PN of an XPN, with ideographic and phonetic groups
    NAME = "name"  # PN of an XCN
    NAMES = "names"  # PN of each repetition of an XCN
    NAME_IN_SUBCOMPONENTS = "name-in-subcomponents"  # PN of a CNN
    PLACE = "place"  # LO of a PL: point of care, room, bed
    ADDRESS = "address"  # LO of an XAD
    PATIENT_ID = "patient-id"  # LO of the preferred repetition of a CX
    PATIENT_ISSUER = "patient-issuer"  # LO of that repetition's assigning authority
    PATIENT_ISSUER_QUALIFIERS = "patient-issuer-qualifiers"  # SQ of the same
    OTHER_IDENTIFIERS = "other-identifiers"  # LO of the other repetitions
    OTHER_IDENTIFIER_ITEMS = "other-identifier-items"  # SQ of the other repetitions
    CODE = "code"  # SQ of one item: a CE that begins at the source's component
    CODES = "codes"  # SQ of an item for each repetition
    ISSUER = "issuer"  # SQ: an EI's authority, which begins at the source's component
    ISSUER_IN_SUBCOMPONENTS = "issuer-in-subcomponents"  # SQ: an HD inside a component
    AE_TITLES = "ae-titles"  # AE of each repetition, those that are titles
    NOTES = "notes"  # LT of all the NTE
    ALLERGIES = "allergies"  # LO of each AL1
    PREGNANCY = "pregnancy"  # US of PV1-15
    SPECIAL_NEEDS = "special-needs"  # LO of PV1-15
    KILOGRAMS = "kilograms"  # DS of the OBX with one of the rule's names
    METRES = "metres"  # DS of the OBX with one of the rule's names


OF_SEVERAL_SEGMENTS = frozenset({Form.NOTES, Form.ALLERGIES, Form.KILOGRAMS, Form.METRES})
"""Forms that look at every segment of the source's name, not only at the first."""


class Made(StrEnum):
    """What stands in for a value that no field gives."""

    MESSAGE_TIME = "message-time"  # when the message was made, as date or time
    MIDNIGHT = "midnight"  # for the time of a date without one


@dataclass(frozen=True, slots=True)
class Rule:
    """How one attribute is read."""

    keyword: str
    form: Form
    sources: tuple[Source, ...]
    made: tuple[Made, ...] = ()  # tried in turn where no source has a value
    table: Map[str, str] | None = None  # codes to what they mean
    beside: tuple[Source, ...] = ()  # text that follows in parentheses
    called: frozenset[str] = frozenset()  # OBX-3 of measurements, in upper case
    default: str = ""  # where nothing else gives a value
    of_several: bool = dataclasses.field(init=False)  # more than the first segment of the source's name counts
    places: tuple[tuple[str, int, Source], ...] = dataclasses.field(init=False)  # the sources, as reading takes them

    def __post_init__(self) -> None:
        object.__setattr__(self, "of_several", self.form in OF_SEVERAL_SEGMENTS)
        object.__setattr__(self, "places", tuple((found.segment, found.field, found) for found in self.sources))


@dataclass(frozen=True, slots=True)
class Mapping:
    """One site's rules: of the patient, the visit, the order and its steps; and of orders and steps in SIU."""

    name: str
    patient: tuple[Rule, ...]
    visit: tuple[Rule, ...]
    order: tuple[Rule, ...]
    step: tuple[Rule, ...]
    appointment_order: tuple[Rule, ...] = ()
    appointment_step: tuple[Rule, ...] = ()
    patient_id_types: tuple[str, ...] = ("MR", "PI")  # PID-3.5 that is preferred, best first
    patient_authorities: tuple[str, ...] = ()  # PID-3.4 that is preferred, best first, before any type
