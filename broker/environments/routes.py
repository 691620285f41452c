"""The `[[routes]]` of a profile and of a modality document, read alike. Routing itself belongs to delivery."""

from collections.abc import Iterable

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from broker.environments.model import Route
from broker.environments.reading import TomlTable, did_you_mean

RECEIPT_KEYS = ("device", "calling", "called")
"""What `when` may name beside an attribute of the instance: how it came in."""

# A sequence or bulk data has no value that one text could equal.
_NOT_COMPARABLE = frozenset({"SQ", "OB", "OW", "OB or OW", "OD", "OF", "OL", "OV", "UN"})


def read_routes(root: TomlTable, destinations: Iterable[str] | None = None) -> tuple[Route, ...]:
    """Return the routes of a file. With `destinations`, each `to` must be one of these names."""
    known = None if destinations is None else list(destinations)
    return tuple(_route(table, known) for table in root.tables("routes"))


def _route(table: TomlTable, known: list[str] | None) -> Route:
    to = table.texts("to")
    if table.has("to") and not to:
        table.wrong("to", "names no destination")
    for name in to:
        if known is not None and name not in known:
            table.wrong("to", f"there is no destination {name!r}{did_you_mean(name, known)}")
    when = _when(table.table("when", required=False))
    table.finish()
    return Route(to, when)


def _when(table: TomlTable) -> tuple[tuple[str, str], ...]:
    for key, value in table.items():
        if not isinstance(value, str) or not value:
            table.wrong(key, "must be a text that is not empty")
        elif key in ("calling", "called"):
            table.as_title(key, value)
        elif key not in RECEIPT_KEYS:
            _check_keyword(table, key)
    return tuple((key, str(value)) for key, value in table.items())


def _check_keyword(table: TomlTable, keyword: str) -> None:
    tag = tag_for_keyword(keyword)
    if tag is None:
        suggestion = did_you_mean(keyword, [*RECEIPT_KEYS, *keyword_dict])
        table.wrong(keyword, f"is neither device, calling, called nor a DICOM keyword{suggestion}")
    elif dictionary_VR(tag) in _NOT_COMPARABLE:
        table.wrong(keyword, "has no value that a text could equal")
