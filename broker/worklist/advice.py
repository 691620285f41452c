"""What there is instead of what a key asked for, in words for a person. Pure; a value named here is a patient's."""

from collections import Counter
from collections.abc import Iterable, Sequence

from broker.registry.nearest import distance
from broker.worklist import wildcards
from broker.worklist.model import WorklistItem
from broker.worklist.query import MATCHED, START_DATE, START_TIME, STATION, Key

_NAMED = 5
_LONG = 8  # two wrong letters are a slip in a long value, but another one in a short
_NUMBERS = frozenset({"AccessionNumber", "PatientID", "RequestedProcedureID", "StudyInstanceUID"})
_REFUSED = "; where its order lacked an attribute it was refused: broker order inbox"
_WORDS = frozenset({"Modality", "PatientSex", "ScheduledProcedureStepStatus"})  # few values, which are all named


def nearest(asked: str, known: Iterable[str]) -> str:
    """Return the value that was probably meant: spelled alike, else a letter or two apart; empty where none is near."""
    apart = {value: _apart(asked, value) for value in known if value and value != asked}
    allowed = 2 if len(asked) >= _LONG else 1
    close = [(count, value) for value, count in apart.items() if count <= allowed]
    return min(close)[1] if close else ""


def station(key: Key, before: Iterable[WorklistItem], registered: Iterable[str]) -> str:
    """Return the station title that a key probably meant: of the items that were there, else of the registry."""
    of_items = list(dict.fromkeys(title for item in before for title in item.scheduled_station_ae_titles))
    for asked in key.values:
        if found := nearest(asked, of_items) or nearest(asked, registered):
            return found
    return ""


def enter(title: str, key: Key, device: str) -> str:
    """Say which title to enter at the console, or which habit of its document makes the one that was sent do."""
    if not device:
        return f'you have "{title}": enter that at the console'
    alike = any(value.upper() == title.upper() for value in key.values)
    habit = "case_insensitive_titles" if alike else "ignore_station_key"
    return f'you have "{title}": enter that at the console, or set {habit} in its document'


def for_stations(before: Iterable[WorklistItem]) -> str:
    """Say for which stations items are."""
    counts = Counter(title for item in before for title in item.scheduled_station_ae_titles or ("no station",))
    return f"these are for {_listed(counts)}" if counts else ""


def instead(keyword: str, key: Key, before: Sequence[WorklistItem]) -> str:
    """Say what the items have that a key left none of."""
    values = [value for item in before for value in MATCHED[keyword](item) if value]
    if not values:
        return "none of these has a value for it" if before else ""
    if keyword == START_TIME:
        return f"these begin between {min(values)} and {max(values)}"
    if keyword in _WORDS or keyword in (START_DATE, STATION):
        return f"there are {_listed(Counter(values))}"
    near = _nearest_of(key, values)
    if near:
        return f'there is "{near}"'
    if keyword == "PatientID" and (owner := _other_identifier(key, before)):
        return f'that is another identifier of PatientID "{owner}", which the RIS orders for'
    return "no value is near it" + (_REFUSED if keyword in _NUMBERS else "")


def days(counts: Counter[str], around: str) -> str:
    """Say on which days nearest to one there are items."""
    near = sorted(counts, key=lambda day: (abs(int(day) - int(around)), day))[:3]
    return "there are " + ", ".join(f"{counts[day]} on {day}" for day in sorted(near))


def _nearest_of(key: Key, values: Sequence[str]) -> str:
    if key.vr == "PN":
        by_form = {wildcards.folded_name(value): value for value in values}
        families = {form.split("^")[0]: value for form, value in by_form.items()}
        asked = [value.replace("*", "") for value in key.values]
        return next((found for each in asked if (found := _of(each, by_form) or _of(each, families))), "")
    return next((found for each in key.values if (found := nearest(each, values))), "")


def _other_identifier(key: Key, items: Iterable[WorklistItem]) -> str:
    """Return the PatientID of who has one of these by another authority; empty where nobody has."""
    for item in items:
        others = item.attributes.get("OtherPatientIDs", "").split("\\")
        if not set(others).isdisjoint(key.values):
            return item.patient_id
    return ""


def _of(asked: str, forms: dict[str, str]) -> str:
    if asked in forms:
        return forms[asked]
    return forms.get(nearest(asked, forms), "")


def _apart(asked: str, value: str) -> int:
    if _bare(asked) == _bare(value):
        return 0
    return distance(asked.upper(), value.upper())


def _bare(text: str) -> str:
    letters = "".join(character for character in text.upper() if character.isalnum())
    return letters.lstrip("0") or letters


def _listed(counts: Counter[str]) -> str:
    named = [f"{value} ({count})" for value, count in counts.most_common(_NAMED)]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} others" if more > 0 else "")
