"""What names an order: its own keys and its parent's, as stated. Completes nothing (names.py of the stage does)."""

from broker.orders import values
from broker.orders.messages.grouping import OrderGroup
from broker.orders.messages.reading import NULL, Stated
from broker.orders.model import OrderKeys, Refusal
from hl7.message import Segment

PLACER = "PlacerOrderNumberImagingServiceRequest"
FILLER = "FillerOrderNumberImagingServiceRequest"


def keys_of(order: Stated, group: OrderGroup) -> OrderKeys:
    """Return the identifiers as stated. Raises Refusal AE 101 where nothing names the order."""
    keys = OrderKeys(
        study_instance_uid=order.text("StudyInstanceUID"),
        filler_order_number=order.text(FILLER),
        placer_order_number=order.text(PLACER),
        accession_number=order.text("AccessionNumber"),
        requested_procedure_id=order.text("RequestedProcedureID"),
        filler_issuer=_issuer(order, FILLER),
        placer_issuer=_issuer(order, PLACER),
    )
    if not (keys.study_instance_uid or keys.filler_order_number or keys.placer_order_number or keys.accession_number):
        text = "nothing names the order: no order number, accession number or Study UID"
        raise Refusal("AE", f"{group.location}^2", "101", text)
    return keys


def parent_of(group: OrderGroup) -> OrderKeys | None:
    """Return what names the parent of a child order: ORC-8, else OBR-29, an EIP of placer and filler number."""
    for name, field in (("ORC", 8), ("OBR", 29)):
        segment = group.first(name)
        if segment is None or segment.raw(field) in ("", NULL):
            continue
        placer, placer_issuer = _entity(segment, field, 1)
        filler, filler_issuer = _entity(segment, field, 2)
        if placer or filler:
            return OrderKeys(
                placer_order_number=placer,
                filler_order_number=filler,
                placer_issuer=placer_issuer,
                filler_issuer=filler_issuer,
            )
    return None


def _entity(segment: Segment, field: int, component: int) -> tuple[str, str]:
    """Return an EI in subcomponents: its identifier and who gave it."""
    parts = [part.strip() for part in segment.subcomponents(field, component)]
    number, namespace, universal = ("" if part == NULL else part for part in [*parts, "", "", ""][:3])
    number = values.identifier(number, values.LO, segment.location(field), "the parent's order number")
    return number, values.line(namespace or universal, values.LO) if number else ""


def _issuer(order: Stated, keyword: str) -> str:
    """Return who gave a number: EI.2, else EI.3 of the field that gave it."""
    found = order.found.get(keyword)
    if found is None:
        return ""
    segment, source = found
    for component in (source.component + 1, source.component + 2):
        text = segment.get(source.field, component, 1, source.repetition).strip()
        if text and text != NULL:
            return values.line(text, values.LO)
    return ""
