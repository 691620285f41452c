"""What one MergeChange (A40 and kin, B.4) does, and how a person undoes it. The old identifier is never used again."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, or_, select, update

from broker.database import Transaction
from broker.orders import history, order_store, patient_store, patients
from broker.orders.history import HistoryEntry
from broker.orders.lookup import UNKNOWN_KEY
from broker.orders.merge import ADMISSION, Statement
from broker.orders.model import (
    Applied,
    Applying,
    Did,
    MergeChange,
    MergeKind,
    Origin,
    Patient,
    Refusal,
    StoredOrder,
)
from broker.orders.patients import Kept, StoredMerge, StoredPatient, shown
from broker.orders.snapshot import origins_from_json, origins_to_json, plain_json
from broker.orders.tables import MERGE

_MISSING = "PatientID is missing"
_ITSELF = "a patient cannot be merged into itself"
_CIRCLE = "the surviving patient was merged into the old one: the merge would be a circle"
_ELSEWHERE = "the old identifier was merged into another patient already"
_TWO_PEOPLE = "{} of the two patients contradict: are they the same person?"
_NO_VISIT = "no order of the old visit is known: nothing was changed"
_SINCE = "something of these patients was merged since: undo that first"


def apply_merge(tx: Transaction, change: MergeChange, here: Applying) -> Applied:
    """Do what a merge asks for. Raises Refusal before anything is written."""
    raise NotImplementedError


def merges(tx: Transaction, limit: int = 100) -> list[StoredMerge]:
    """Return the newest merges, newest first."""
    raise NotImplementedError


def undo_merge(tx: Transaction, merge_id: int, now: datetime, by: str) -> Applied:
    """Take a merge back."""
    raise NotImplementedError
