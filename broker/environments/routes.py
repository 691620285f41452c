"""The `[[routes]]` of a profile and of a modality document, read alike. Routing itself belongs to delivery."""

from collections.abc import Iterable

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from broker.environments.model import Condition, Priority, Route
from broker.environments.reading import TomlTable, did_you_mean, quoted
from broker.environments.schedules import Hours, spelled

RECEIPT_KEYS = ("device", "calling", "called")
"""What `when` may name beside an attribute of the instance: how it came in."""

ORDER = "order"
KNOWN, NONE = "known", "none"
"""`order = "none"` is an instance that belongs to no order we know."""

CODES = ("RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")
"""Sequences of an order that are compared by their code values."""

_TIME = "time"
_WORDS = (*RECEIPT_KEYS, ORDER, _TIME)

# What is read of an instance as it comes in: texts of these groups; of the patient no name, birth date or address.
_FIRST_GROUP, _LAST_GROUP, _PATIENT_GROUP = 0x0008, 0x0040, 0x0010
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"})
_PATIENT = frozenset(
    {"PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientSex", "PatientAge", "PatientSpeciesDescription"}
)
# A sequence or bulk data has no value that one text could equal.
_NOT_COMPARABLE = frozenset({"SQ", "OB", "OW", "OB or OW", "OD", "OF", "OL", "OV", "UN"})


def read_routes(root: TomlTable, destinations: Iterable[str] | None = None) -> tuple[Route, ...]:
    """Return the routes of a file. With `destinations`, each `to` must be one of these names."""
    known = None if destinations is None else list(destinations)
    return tuple(_route(table, known) for table in root.tables("routes"))


def is_read_of_instances(keyword: str) -> bool:
    """Tell whether the spool reads this attribute of what it receives."""
    tag = tag_for_keyword(keyword)
    if tag is None or dictionary_VR(tag) not in _TEXTS:
        return False
    group = tag >> 16
    return _FIRST_GROUP <= group <= _LAST_GROUP and (group != _PATIENT_GROUP or keyword in _PATIENT)


def _route(table: TomlTable, known: list[str] | None) -> Route:
    to = table.texts("to")
    if table.has("to") and not to:
        table.wrong("to", "names no destination")
    for name in to:
        if known is not None and name not in known:
            table.wrong("to", f"there is no destination {name!r}{did_you_mean(name, known)}")
    when, times = _conditions(table.table("when", required=False))
    unless, never = _conditions(table.table("unless", required=False))
    if never:
        table.wrong("unless.time", "stands in `when` only: name the hours in which the route holds")
    route = Route(
        to=to,
        when=when,
        unless=unless,
        times=times,
        priority=_priority(table),
        name=table.text("name", ""),
    )
    table.finish()
    return route


def _priority(table: TomlTable) -> Priority | None:
    if table.has("priority"):
        return table.choice("priority", Priority)
    table.text("priority", "")  # asked for, so that a misspelt key is told of it
    return None


def _conditions(table: TomlTable) -> tuple[tuple[Condition, ...], tuple[Hours, ...]]:
    conditions: list[Condition] = []
    times: tuple[Hours, ...] = ()
    for key, value in table.items():
        if key == ORDER and isinstance(value, dict):
            conditions += _order_conditions(table.table(ORDER))
        elif not (texts := _texts(value)):
            table.wrong(key, "must be a text that is not empty, or a list of such texts")
        elif key == _TIME:
            times = spelled(table, key, texts)
        else:
            _check(table, key, texts)
            conditions.append((key, texts))
    return tuple(conditions), times


def _order_conditions(table: TomlTable) -> list[Condition]:
    found: list[Condition] = []
    for keyword, value in table.items():
        tag = tag_for_keyword(keyword)
        if not (texts := _texts(value)):
            table.wrong(keyword, "must be a text that is not empty, or a list of such texts")
        elif tag is None:
            table.wrong(keyword, f"is no DICOM keyword{did_you_mean(keyword, keyword_dict)}")
        elif keyword not in CODES and dictionary_VR(tag) in _NOT_COMPARABLE:
            table.wrong(keyword, "has no value that a text could equal")
        else:
            found.append((f"{ORDER}.{keyword}", texts))
    return found


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    texts = tuple(text for text in values if isinstance(text, str) and text)
    return texts if len(texts) == len(values) else ()


def _check(table: TomlTable, key: str, texts: tuple[str, ...]) -> None:
    if key in ("calling", "called"):
        for text in texts:
            table.as_title(key, text)
    elif key == ORDER:
        for text in texts:
            if text not in (KNOWN, NONE):
                table.wrong(key, f"{text!r} is none of {quoted((KNOWN, NONE))}; for its attributes, order.Keyword")
    elif key not in RECEIPT_KEYS:
        _check_keyword(table, key)


def _check_keyword(table: TomlTable, keyword: str) -> None:
    tag = tag_for_keyword(keyword)
    if tag is None:
        suggestion = did_you_mean(keyword, [*_WORDS, *keyword_dict])
        table.wrong(keyword, f"is neither device, calling, called, order, time nor a DICOM keyword{suggestion}")
    elif dictionary_VR(tag) in _NOT_COMPARABLE:
        table.wrong(keyword, "has no value that a text could equal")
    elif not is_read_of_instances(keyword):
        table.wrong(keyword, "is not read of instances, so that no rule can look at it")
