"""How worklist items differ, as rows for people. Compares nothing itself."""

from collections.abc import Callable, Iterator

from broker.orders.model import Origin
from broker.replay import AttributeDifference, ItemDifference, What, attributes
from broker.worklist.model import WorklistItem

COLUMNS = (("what", "what"), ("item", "item"), ("attribute", "attribute"), ("before", "before"), ("after", "after"))

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


def rows(
    found: ItemDifference, mask: Mask = plain, what: str = "", *, whole: bool = True
) -> Iterator[dict[str, object]]:
    """Yield a row for each attribute that differs; without `whole`, one for an item that is only in one of both."""
    kind = what or found.what.value
    item = name(found.item, mask)
    if found.what is not What.CHANGED and not whole:
        side = "after" if found.what is What.ADDED else "before"
        yield {"what": kind, "item": item, "attribute": "(all)", side: _gist(found.item, mask)}
        return
    for one in found.attributes:
        yield {
            "what": kind,
            "item": item,
            "attribute": one.keyword,
            "before": _with_origin(mask(one.keyword, one.before), one.before_from),
            "after": _with_origin(mask(one.keyword, one.after), one.after_from),
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


def _with_origin(value: str, origin: Origin | None) -> str:
    where = from_text(origin)
    return f"{value} ({where})" if value and where else value


def _gist(item: WorklistItem, mask: Mask) -> str:
    found = attributes(item)
    return " ".join(mask(keyword, found[keyword]) for keyword in _GIST if keyword in found)
