"""An order as JSON and back, so that worklist items can be planned from it again. Knows no table."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from broker.orders.model import Code, Order, Patient, ScheduledStep


def to_json(order: Order) -> str:
    """Return the whole order as JSON; equal orders give equal text."""
    return json.dumps(asdict(order), ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> Order:
    """Return the order of a text that `to_json` made."""
    found = json.loads(text)
    return Order(
        **{
            **found,
            "patient": Patient(**found["patient"]),
            "requested_procedure_code": _code(found["requested_procedure_code"]),
            "steps": tuple(_step(step) for step in found["steps"]),
        }
    )


def _step(found: Mapping[str, Any]) -> ScheduledStep:
    return ScheduledStep(
        **{
            **found,
            "scheduled_station_ae_titles": tuple(found["scheduled_station_ae_titles"]),
            "scheduled_protocol_codes": tuple(Code(**code) for code in found["scheduled_protocol_codes"]),
        }
    )


def _code(found: Mapping[str, Any] | None) -> Code | None:
    return None if found is None else Code(**found)
