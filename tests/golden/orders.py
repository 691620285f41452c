"""How a golden order case is read, translated and written as JSON."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from broker.orders.messages import Context, translate
from broker.orders.model import OrderChange, Refusal

CASES = Path(__file__).parents[2] / "fixtures" / "hl7" / "orm_o01"
CONTEXT = Context(
    environment="golden",
    timezone=ZoneInfo("Europe/Berlin"),
    processing_ids=("P",),
    now=datetime(2026, 2, 1, 8, 0, tzinfo=UTC),
)


def outcome(raw: bytes) -> dict[str, Any]:
    """Return what becomes of a message: the changes it asks for, or why it is refused."""
    try:
        changes = translate(raw, CONTEXT)
    except Refusal as refusal:
        return {
            "refused": {
                "answer": refusal.answer,
                "location": refusal.location,
                "code": refusal.code,
                "text": refusal.text,
            }
        }
    return {"changes": [_as_json(change) for change in changes]}


def _as_json(change: OrderChange) -> dict[str, Any]:
    found = asdict(change) | {
        "derived": sorted(map(list, change.derived)),
        "cleared": sorted(map(list, change.cleared)),
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain
