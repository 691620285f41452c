"""How worklist items differ, as rows for people. Compares nothing itself."""

from collections.abc import Callable, Iterator

from broker.orders.model import Origin
from broker.replay import AttributeDifference, ItemDifference, What, attributes
from broker.worklist.model import WorklistItem

COLUMNS = (("what", "what"), ("item", "item"), ("attribute", "attribute"), ("before", "before"), ("after", "after"))
SHORT_COLUMNS = (COLUMNS[0], ("message", "message"), *COLUMNS[1:])

Mask = Callable[[str, str], str]
"""From a keyword and its value to what is shown."""

_GIST = (
    "ScheduledProcedureStepStatus",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
)


def plain(keyword: str, value: str) -> str:
    """Return the value as it is."""
    return value


def document(found: ItemDifference, mask: Mask = plain) -> dict[str, object]:
    """Return a difference whole, for JSON."""
    return {
        "what": found.what.value,
        "message": found.entry_id or None,
        "item": name(found.item, mask),
        "order": found.item.order_id,
        "attributes": [_attribute(one, mask) for one in found.attributes],
    }


def rows(found: ItemDifference, what: str) -> Iterator[dict[str, object]]:
    """Yield a row for each attribute that differs, with where each value comes from."""
    for one in found.attributes:
        yield {
            "what": what,
            "item": name(found.item),
            "attribute": one.keyword,
            "before": _with_origin(one.before, from_text(one.before_from)),
            "after": _with_origin(one.after, from_text(one.after_from)),
        }


def short_rows(found: ItemDifference, mask: Mask) -> Iterator[dict[str, object]]:
    """Yield the same for many items: one row for an item that only one side has, and no rules."""
    common = {"what": found.what.value, "message": found.entry_id, "item": name(found.item, mask)}
    if found.what is not What.CHANGED:
        side = "after" if found.what is What.ADDED else "before"
        yield {**common, "attribute": "(all)", side: _gist(found.item, mask)}
        return
    for one in found.attributes:
        yield {
            **common,
            "attribute": one.keyword,
            "before": _with_origin(mask(one.keyword, one.before), _place(one.before_from)),
            "after": _with_origin(mask(one.keyword, one.after), _place(one.after_from)),
        }


def name(item: WorklistItem, mask: Mask = plain) -> str:
    """Return what a person calls an item: its accession number, else its study, and its step."""
    if item.accession_number:
        order = mask("AccessionNumber", item.accession_number)
    else:
        order = mask("StudyInstanceUID", item.study_instance_uid)
    return f"{order} step {mask('ScheduledProcedureStepID', item.scheduled_procedure_step_id)}"


def from_text(origin: Origin | None) -> str:
    """Return where a value comes from, in a few words: the field, or that it is made here."""
    if origin is None:
        return ""
    return f"made here: {origin.rule}" if origin.made_here else origin.source


def _attribute(one: AttributeDifference, mask: Mask) -> dict[str, object]:
    return {
        "attribute": one.keyword,
        "before": mask(one.keyword, one.before),
        "after": mask(one.keyword, one.after),
        "before_from": from_text(one.before_from),
        "after_from": from_text(one.after_from),
    }


def _place(origin: Origin | None) -> str:
    return "made here" if origin and origin.made_here else from_text(origin)


def _with_origin(value: str, where: str) -> str:
    return f"{value} ({where})" if value and where else value


def _gist(item: WorklistItem, mask: Mask) -> str:
    found = attributes(item)
    return " ".join(mask(keyword, found[keyword]) for keyword in _GIST if keyword in found)
