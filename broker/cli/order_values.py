"""The values of orders and patients with where each comes from, as rows for people. Reads no database."""

from collections.abc import Iterator, Mapping

from broker.orders.model import KEYWORDS, Code, Order, Origin, Origins, Patient, ScheduledStep, StoredOrder

VALUE_COLUMNS = (("of", "of"), ("attribute", "attribute"), ("value", "value"), ("from", "from"))

ORDER_COLUMNS = (
    ("id", "id"),
    ("accession_number", "accession"),
    ("numbers", "placer, filler"),
    ("patient", "patient"),
    ("description", "description"),
    ("begins", "begins"),
    ("state", "state"),
)
CANCELED = "canceled"


def origin_text(origin: Origin | None) -> str:
    """Return where a value comes from, in words."""
    if origin is None:
        return "not recorded: it is older than the record of origins"
    if origin.made_here:
        return f"made here: {origin.rule}"
    return f"{origin.source} of message {origin.entry_id}" if origin.entry_id else origin.source


def text(value: object) -> str:
    """Return a value of an order as text."""
    match value:
        case None:
            return ""
        case Code():
            return "^".join((value.value, value.scheme, value.meaning))
        case tuple():
            return "\\".join(map(text, value))
    return str(value)


def order_rows(stored: StoredOrder) -> list[dict[str, object]]:
    """Return a row for every value of an order."""
    order, origins = stored.order, stored.origins
    found = [*patient_rows(order.patient, order.visit, origins), *_rows("order", order, order.attributes, origins)]
    for step in order.steps:
        found += _rows(f"step {step.scheduled_procedure_step_id}", step, step.attributes, origins)
    return found


def patient_rows(patient: Patient, visit: Mapping[str, str], origins: Origins) -> list[dict[str, object]]:
    """Return a row for every value of a patient and the visit."""
    return [*_rows("patient", patient, patient.attributes, origins), *_rows("visit", None, visit, origins)]


def _rows(
    of: str, whole: Patient | Order | ScheduledStep | None, attributes: Mapping[str, str], origins: Origins
) -> Iterator[dict[str, object]]:
    step = whole.scheduled_procedure_step_id if isinstance(whole, ScheduledStep) else ""
    own = {KEYWORDS[name]: text(getattr(whole, name)) for name in KEYWORDS if hasattr(whole, name)}
    own.pop(KEYWORDS["status"], None)  # follows from what was asked and performed: the history has it
    for keyword, value in (own | dict(attributes)).items():
        if value:
            origin = origins.get((step, keyword))
            yield {
                "of": of,
                "attribute": keyword,
                "value": value,
                "from": origin_text(origin),
                "source": origin.source if origin else "",
                "rule": origin.rule if origin else "",
                "message": origin.entry_id if origin and origin.entry_id else None,
            }


def starts(stored: StoredOrder) -> list[str]:
    """Return when the steps start, soonest first, as `YYYYMMDD HHMMSS`."""
    steps = stored.order.steps
    return sorted(f"{s.scheduled_procedure_step_start_date} {s.scheduled_procedure_step_start_time}" for s in steps)


def state_of(stored: StoredOrder) -> str:
    """Return how an order stands: canceled, or the states of its steps."""
    if stored.canceled:
        return CANCELED
    return ", ".join(dict.fromkeys(step.status.value.lower() for step in stored.order.steps)) or "no steps"


def order_row(stored: StoredOrder) -> dict[str, object]:
    """Return one order as a line of a list."""
    order = stored.order
    return {
        "id": stored.id,
        "accession_number": order.accession_number,
        "placer_order_number": order.placer_order_number,
        "filler_order_number": order.filler_order_number,
        "patient_id": order.patient.patient_id,
        "issuer_of_patient_id": order.patient.issuer_of_patient_id,
        "patient_name": order.patient.patient_name,
        "study_instance_uid": order.study_instance_uid,
        "description": order.requested_procedure_description,
        "start": next(iter(starts(stored)), ""),
        "steps": len(order.steps),
        "state": state_of(stored),
        "canceled": stored.canceled,
    }


def order_line(stored: StoredOrder) -> dict[str, object]:
    """Return the same as a line that fits a screen."""
    order = stored.order
    return {
        **order_row(stored),
        "numbers": "\n".join(filter(None, (order.placer_order_number, order.filler_order_number))),
        "patient": "\n".join(filter(None, (order.patient.patient_id, order.patient.patient_name))),
        "begins": civil(next(iter(starts(stored)), "")),
    }


def civil(start: str) -> str:
    """Return `YYYYMMDD HHMMSS` as people write it; what is something else, as it is."""
    day, _, time = start.partition(" ")
    if not (len(day) == 8 and len(time) >= 4):
        return start.strip()
    return f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}"
