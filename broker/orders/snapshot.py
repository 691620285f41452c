"""Orders, patients and origins as JSON and back: what is empty is left out. Knows no table."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from broker.orders.model import Code, Order, Origin, Origins, Patient, ScheduledStep, StepStatus

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_ORDER_TEXTS = (
    "placer_order_number",
    "filler_order_number",
    "accession_number",
    "requested_procedure_id",
    "study_instance_uid",
    "requested_procedure_description",
    "timezone",
    "attributes",
    "visit",
)
_STEP_TEXTS = (
    "scheduled_procedure_step_id",
    "modality",
    "scheduled_procedure_step_start_date",
    "scheduled_procedure_step_start_time",
    "scheduled_station_ae_titles",
    "scheduled_procedure_step_description",
    "scheduled_performing_physician_name",
    "attributes",
)


def to_json(order: Order) -> str:
    """Return the order without its patient; its `visit` is what the order itself states."""
    found: dict[str, Any] = {name: value for name in _ORDER_TEXTS if (value := getattr(order, name))}
    if order.requested_procedure_code:
        found["requested_procedure_code"] = _code_list(order.requested_procedure_code)
    found["steps"] = [_step_values(step) for step in order.steps]
    return _encode(found)


def from_json(text: str, patient: Patient) -> Order:
    """Return the order of a text that `to_json` made."""
    found = json.loads(text)
    code = found.pop("requested_procedure_code", None)
    steps = tuple(map(_step, found.pop("steps")))
    return Order(patient, steps=steps, requested_procedure_code=Code(*code) if code else None, **found)


def plain_json(value: object) -> str:
    """Return attributes, identifiers and the like as text."""
    return _encode(value) if value else "{}"


def origins_to_json(origins: Origins) -> str:
    """Return the origins, grouped by message and step: a field's name, or the rule of what was made here in a list."""
    if not origins:
        return "{}"
    grouped: dict[int, dict[str, list[str]]] = {}
    group: list[str] = []
    last_entry, last_step = -1, ""
    for (step, keyword), (source, rule, entry_id) in origins.items():
        if entry_id != last_entry or step != last_step:  # nearly all follow one of the same group
            last_entry, last_step = entry_id, step
            group = grouped.setdefault(entry_id, {}).setdefault(step, [])
        group.append(_said(keyword, source, rule))
    entries = [f'"{entry}":{{{_of_steps(steps)}}}' for entry, steps in grouped.items()]
    return f"{{{','.join(entries)}}}"


def _of_steps(steps: Mapping[str, Sequence[str]]) -> str:
    return ",".join([f"{_encode(step)}:{{{','.join(said)}}}" for step, said in steps.items()])


@lru_cache(maxsize=4096)  # a mapping has some dozens of these, and each message has most of them
def _said(keyword: str, source: str, rule: str) -> str:
    """Return an origin as a member of its group, but for its message."""
    return f"{_encode(keyword)}:{_encode(source or (rule,))}"


def origins_from_json(text: str) -> dict[tuple[str, str], Origin]:
    """Return the origins of a text that `origins_to_json` made."""
    if text == "{}":
        return {}
    grouped: dict[str, dict[str, dict[str, Any]]] = json.loads(text)
    return {
        (step, keyword): Origin(said, "", int(entry)) if isinstance(said, str) else Origin("", said[0], int(entry))
        for entry, of_message in grouped.items()
        for step, of_step in of_message.items()
        for keyword, said in of_step.items()
    }


def _step_values(step: ScheduledStep) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name in _STEP_TEXTS if (value := getattr(step, name))}
    if step.scheduled_protocol_codes:
        found["scheduled_protocol_codes"] = [_code_list(code) for code in step.scheduled_protocol_codes]
    if step.status is not StepStatus.SCHEDULED:
        found["status"] = step.status.value
    return found


def _step(found: dict[str, Any]) -> ScheduledStep:
    return ScheduledStep(
        scheduled_station_ae_titles=tuple(found.pop("scheduled_station_ae_titles", ())),
        scheduled_protocol_codes=tuple(Code(*code) for code in found.pop("scheduled_protocol_codes", ())),
        status=StepStatus(found.pop("status", StepStatus.SCHEDULED)),
        **found,
    )


def _code_list(code: Code) -> tuple[str, str, str]:
    return code.value, code.scheme, code.meaning


def texts(found: str) -> dict[str, str]:
    """Return what `plain_json` was given as attributes."""
    loaded: Mapping[str, str] = json.loads(found)
    return dict(loaded)
