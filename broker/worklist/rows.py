"""An item as a row's columns and back. Knows no statement."""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from broker.orders.model import Code, Origin, StepStatus
from broker.worklist.model import WorklistItem

# Column by field where they are matched or sorted by; every other field is in `rest`.
_COLUMNS = {
    "scheduled_procedure_step_start_date": "start_date",
    "scheduled_procedure_step_start_time": "start_time",
    "modality": "modality",
    "patient_id": "patient_id",
    "patient_name": "patient_name",
    "accession_number": "accession_number",
    "requested_procedure_id": "requested_procedure_id",
    "study_instance_uid": "study_instance_uid",
    "scheduled_procedure_step_id": "scheduled_procedure_step_id",
}
COLUMN_OF_KEYWORD = {
    "AccessionNumber": "accession_number",
    "Modality": "modality",
    "PatientID": "patient_id",
    "RequestedProcedureID": "requested_procedure_id",
    "ScheduledProcedureStepID": "scheduled_procedure_step_id",
    "StudyInstanceUID": "study_instance_uid",
}
# Columns that the store itself writes.
_OWN = frozenset({"id", "order_id", "status", "provenance", "encoded"})


def _code_values(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}


_encode = json.JSONEncoder(ensure_ascii=False, default=_code_values).encode
_REST = tuple(field.name for field in fields(WorklistItem) if field.name not in _COLUMNS and field.name not in _OWN)


def provenance_to_json(provenance: Mapping[str, Origin]) -> str:
    """Return where each value comes from, by keyword: field, rule, message."""
    said = [f"{_said(keyword, source, rule)}{entry_id}]" for keyword, (source, rule, entry_id) in provenance.items()]
    return f"{{{', '.join(said)}}}"


def provenance_from_json(text: str) -> dict[str, Origin]:
    """Return the provenance of a text that `provenance_to_json` made."""
    return {keyword: Origin(*parts) for keyword, parts in json.loads(text).items()}


@lru_cache(maxsize=4096)  # a mapping has some dozens of these, and each message has most of them
def _said(keyword: str, source: str, rule: str) -> str:
    """Return an origin up to the number of its message."""
    return f"{_encode(keyword)}: [{_encode(source)}, {_encode(rule)}, "


def columns_of(item: WorklistItem) -> dict[str, object]:
    """Return what an item itself puts into its row."""
    rest = {name: getattr(item, name) for name in _REST}
    columns = {column: getattr(item, name) for name, column in _COLUMNS.items()}
    return {**columns, "rest": _encode(rest)}


class Glance:
    """An item seen by its row, for keys: its rest is read only where one asks for it, and its stations are unknown."""

    __slots__ = ("_rest", "_row")

    def __init__(self, row: Any) -> None:
        self._row = row
        self._rest: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in _COLUMNS:
            return getattr(self._row, _COLUMNS[name])
        if name == "status":
            return StepStatus(self._row.status)
        if self._rest is None:
            self._rest = json.loads(self._row.rest)
        return self._rest[name]


def item_of(row: Any) -> WorklistItem:
    """Return the item of a row."""
    rest = json.loads(row.rest)
    code = rest.pop("requested_procedure_code")
    return WorklistItem(
        id=row.id,
        order_id=row.order_id,
        status=StepStatus(row.status),
        requested_procedure_code=Code(**code) if code else None,
        scheduled_protocol_codes=tuple(Code(**each) for each in rest.pop("scheduled_protocol_codes")),
        scheduled_station_ae_titles=tuple(rest.pop("scheduled_station_ae_titles")),
        encoded=row.encoded,
        **{name: getattr(row, column) for name, column in _COLUMNS.items()},
        **rest,
    )
