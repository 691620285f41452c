"""Which items a C-FIND identifier asks for (PS3.4 C.2.2.2 and K.6). Pure; the table `MATCHED` is what is matched.

Every other key is universal. Policies beyond the standard: names match without case and accents and by their family
name alone; and, unless the device's habits say otherwise, a lone `*` is universal for every VR, several values in a
key are alternatives, and keys of the step that stand outside its sequence count as if inside.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from broker.errors import Rejected
from broker.registry.model import Habits
from broker.worklist import characters, elements, wildcards
from broker.worklist.attributes import STEP_KEYWORDS, STEP_SEQUENCE
from broker.worklist.elements import Element, Malformed, dictionary_vr
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.ranges import Span, date_span, in_interval, time_of_day, time_span
from broker.worklist.stations import visible

IDENTIFIER_DOES_NOT_MATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000

MAXIMUM_CHARACTERS = 64
MAXIMUM_WILDCARDS = 8
MAXIMUM_VALUES = 256  # alternatives in one key

START_DATE = "ScheduledProcedureStepStartDate"
START_TIME = "ScheduledProcedureStepStartTime"
STATION = "ScheduledStationAETitle"
_CHARACTER_SET = 0x00080005
_WITHOUT_WILDCARDS = frozenset({"UI", "DA", "TM"})
_NAMES_NOBODY = frozenset("*^=, ")
_STARTS = frozenset({START_DATE, START_TIME})
_USUAL = Habits()


def _attribute(keyword: str) -> Callable[[WorklistItem], tuple[str, ...]]:
    return lambda item: (item.attributes.get(keyword, ""),)


MATCHED: Mapping[str, Callable[[WorklistItem], tuple[str, ...]]] = {
    # Required of every worklist (PS3.4 table K.6-1).
    STATION: lambda item: item.scheduled_station_ae_titles,
    START_DATE: lambda item: (item.scheduled_procedure_step_start_date,),
    START_TIME: lambda item: (item.scheduled_procedure_step_start_time,),
    "Modality": lambda item: (item.modality,),
    "ScheduledPerformingPhysicianName": lambda item: (item.scheduled_performing_physician_name,),
    "PatientName": lambda item: (item.patient_name,),
    "PatientID": lambda item: (item.patient_id,),
    # Optional, promised by the conformance statement.
    "AccessionNumber": lambda item: (item.accession_number,),
    "RequestedProcedureID": lambda item: (item.requested_procedure_id,),
    "StudyInstanceUID": lambda item: (item.study_instance_uid,),
    "ScheduledProcedureStepID": lambda item: (item.scheduled_procedure_step_id,),
    "ScheduledProcedureStepStatus": lambda item: (item.status.value,),
    "ReferringPhysicianName": _attribute("ReferringPhysicianName"),
    "PatientBirthDate": lambda item: (item.patient_birth_date,),
    "PatientSex": lambda item: (item.patient_sex,),
    "AdmissionID": _attribute("AdmissionID"),
}


class BadQuery(Rejected):
    """An identifier that cannot be answered: the DIMSE status, the Error Comment and the offending elements."""

    def __init__(self, status: int, comment: str, offending_element: tuple[int, ...] = ()) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[:64]  # LO
        self.offending_element = offending_element


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key: alternatives in the form in which they are compared, or spans of dates or times."""

    vr: str
    values: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    sent: tuple[str, ...] = field(default=(), compare=False)  # the values as they were sent, for people


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for (`asked`: the identifier's elements) and which items (`keys` by keyword, no universal ones)."""

    asked: tuple[Element, ...] = ()
    keys: Mapping[str, Key] = field(default_factory=dict)
    folds_titles: bool = False  # station titles are compared without case, and the key's are in upper case


EVERYTHING = Query()


def read(identifier: bytes, transfer_syntax: str, habits: Habits = _USUAL) -> Query:
    """Return the query of an encoded identifier, as a device with these habits means it. Raises BadQuery."""
    try:
        asked = elements.read(identifier, transfer_syntax)
    except Malformed as malformed:
        offending = (malformed.tag,) if malformed.tag else ()
        raise BadQuery(UNABLE_TO_PROCESS, str(malformed), offending) from malformed
    reading = _Reading(_character_set(asked), habits)
    outside = frozenset(MATCHED) if habits.keys_outside_sequence else frozenset(MATCHED) - STEP_KEYWORDS
    keys = {**reading.keys(asked, outside), **reading.keys(_step(asked), STEP_KEYWORDS)}
    return Query(asked, keys, habits.case_insensitive_titles)


def matches(query: Query, item: WorklistItem, viewer: Viewer) -> bool:
    """Tell whether a resolved item is one the viewer may see and has every key."""
    return visible(item, viewer) and has_keys(query, item)


def has_keys(query: Query, item: WorklistItem) -> bool:
    """Tell whether a resolved item has every key, whoever asks."""
    for keyword, key in query.keys.items():
        if keyword in _STARTS:
            continue
        if not _has(key, MATCHED[keyword](item), query.folds_titles):
            return False
    return has_start(query, item.scheduled_procedure_step_start_date, item.scheduled_procedure_step_start_time)


def has_title(query: Query, title: str) -> bool:
    """Tell whether an item for this station alone has the station key, which the query has."""
    return _has(query.keys[STATION], (title,), query.folds_titles)


def without(query: Query, keywords: Collection[str]) -> Query:
    """Return the query without some of its keys."""
    return replace(query, keys={keyword: key for keyword, key in query.keys.items() if keyword not in keywords})


def has_start(query: Query, date: str, time: str) -> bool:
    """Tell whether a start has the keys of date and time."""
    keys = query.keys
    if START_DATE not in keys and START_TIME not in keys:
        return True
    dates, times = _spans(keys, START_DATE), _spans(keys, START_TIME)
    if not times:
        return not dates or any(span.holds(date) for span in dates)
    if len(dates) == 1 and len(times) == 1 and dates[0].ranged and times[0].ranged:
        # Two ranges are one interval in a worklist, without negotiation (PS3.4 K.6.1.2.2).
        return in_interval(dates[0], times[0], date, _time(time))
    in_dates = not dates or any(span.holds(date) for span in dates)
    return in_dates and any(span.holds(_time(time)) for span in times)


# --- reading -----------------------------------------------------------------------------------------------------


def _character_set(asked: Iterable[Element]) -> str:
    named = next((element.value for element in asked if element.tag == _CHARACTER_SET), b"")
    return named.decode("ascii", "replace").strip(" \0")


def _step(asked: Iterable[Element]) -> tuple[Element, ...]:
    sequence = next((element for element in asked if keyword_of(element.tag) == STEP_SEQUENCE), None)
    if sequence is None or not sequence.items:
        return ()
    if len(sequence.items) > 1:
        comment = f"{STEP_SEQUENCE} of a query has one item"
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, comment, (sequence.tag,))
    return sequence.items[0]


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the keys of one identifier are read."""

    character_set: str
    habits: Habits

    def keys(self, asked: Iterable[Element], known: Iterable[str]) -> dict[str, Key]:
        """Return the keys among `known` that narrow; of an attribute that stands there twice the last."""
        allowed = frozenset(known) & frozenset(MATCHED)
        found = {}
        for element in asked:
            keyword = keyword_of(element.tag)
            if keyword in allowed and not element.items and (key := self._key(element, keyword)):
                found[keyword] = key
        return found

    def _key(self, element: Element, keyword: str) -> Key | None:
        vr = dictionary_vr(element.tag)
        text = _text(element.value, vr, self.character_set)
        values = [value for value in map(_stripped, text.split("\\")) if value]
        if not values or self._is_universal(vr, values):
            return None
        if not self.habits.lenient_lists and vr != "UI" and len(values) > 1:
            raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, f"{keyword} has more than one value", (element.tag,))
        if len(values) > MAXIMUM_VALUES:
            raise BadQuery(UNABLE_TO_PROCESS, f"{keyword} has over {MAXIMUM_VALUES} values", (element.tag,))
        for value in values:
            _check_size(value, vr, keyword, element.tag)
        if vr in {"DA", "TM"}:
            return Key(vr, spans=tuple(_span(value, vr, keyword, element.tag) for value in values))
        forms = (form for value in values for form in _forms(value, vr))
        return Key(vr, tuple(map(str.upper, forms) if self._folds(vr) else forms), sent=tuple(values))

    def _is_universal(self, vr: str, values: Iterable[str]) -> bool:
        """A lone asterisk is universal where wildcards are (PS3.4 C.2.2.2.3), and to a lenient eye everywhere."""
        if not self.habits.lenient_lists and vr in _WITHOUT_WILDCARDS:
            return False
        return any(_says_nothing(value, vr) for value in values)

    def _folds(self, vr: str) -> bool:
        return vr == "AE" and self.habits.case_insensitive_titles


def _text(value: bytes, vr: str, character_set: str) -> str:
    # (0008,0005) is for names and free text only; every other VR is of the default repertoire (PS3.5 6.2).
    return characters.decode(value, character_set if vr in {"PN", "LO", "SH"} else characters.DEFAULT)


def _stripped(text: str) -> str:
    return text.replace("\0", "").strip(" \t\r\n")  # consoles pad with NUL; PostgreSQL refuses it


def _says_nothing(value: str, vr: str) -> bool:
    """Tell whether a value leaves out no item: what consoles put together of fields in which nothing was typed."""
    if vr == "PN":
        return set(value) <= _NAMES_NOBODY
    # A range without ends, as some consoles send for any day, is as good as none.
    return set(value) == {"*"} or (value == "-" and vr in {"DA", "TM"})


def _check_size(text: str, vr: str, keyword: str, tag: int) -> None:
    longest = max(map(len, text.split("="))) if vr == "PN" else len(text)
    if longest > MAXIMUM_CHARACTERS:
        raise BadQuery(UNABLE_TO_PROCESS, f"{keyword} has over {MAXIMUM_CHARACTERS} characters", (tag,))
    wild = 0 if vr in _WITHOUT_WILDCARDS else text.count("*") + text.count("?")
    if wild > MAXIMUM_WILDCARDS:
        raise BadQuery(UNABLE_TO_PROCESS, f"{keyword} has over {MAXIMUM_WILDCARDS} wildcards", (tag,))


def _span(text: str, vr: str, keyword: str, tag: int) -> Span:
    try:
        return date_span(text) if vr == "DA" else time_span(text)
    except ValueError:
        raise BadQuery(IDENTIFIER_DOES_NOT_MATCH, f"{keyword} is no {vr} nor a range", (tag,)) from None


def _forms(text: str, vr: str) -> tuple[str, ...]:
    if vr == "PN":
        return wildcards.name_forms(text)
    return (text.upper() if vr == "CS" else text,)


@lru_cache(maxsize=4096)
def keyword_of(tag: int) -> str:
    """Return the keyword of a tag, empty for one that PS3.6 does not know."""
    return keyword_for_tag(tag) if tag_for_keyword(keyword_for_tag(tag)) == tag else ""


# --- matching ----------------------------------------------------------------------------------------------------


def _spans(keys: Mapping[str, Key], keyword: str) -> tuple[Span, ...]:
    return keys[keyword].spans if keyword in keys else ()


@lru_cache(maxsize=4096)
def _time(text: str) -> str:
    try:
        return time_of_day(text)
    except ValueError:
        return ""


def _has(key: Key, values: tuple[str, ...], folds_titles: bool) -> bool:
    """Tell whether any value satisfies the key; what is empty satisfies no key that is not universal."""
    if key.vr != "PN" and len(values) == 1 and values[0] in key.values:
        return True  # as it stands: what is compared otherwise only finds more
    known = [stripped for value in values if (stripped := _stripped(value))]
    if key.spans:
        return any(span.holds(value) for span in key.spans for value in known)
    if key.vr == "PN":
        names = [wildcards.folded_name(value) for value in known]
        return any(wildcards.name_matches(form, name) for form in key.values for name in names)
    if key.vr == "CS" or (folds_titles and key.vr == "AE"):
        known = [value.upper() for value in known]
    if key.vr in _WITHOUT_WILDCARDS:
        return any(value in key.values for value in known)
    return any(wildcards.matches(pattern, value) for pattern in key.values for value in known)
