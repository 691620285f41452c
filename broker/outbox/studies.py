"""The outbox_study and outbox_mark tables: of which studies a receiver is told. Knows no instance and no order."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from broker.database import Transaction
from broker.outbox.store import MARKS, STUDIES

_DELIVERIES = "deliveries"


@dataclass(frozen=True, slots=True)
class AwaitedStudy:
    """A study of which a receiver is to be told, and when its newest instance came."""

    receiver: str
    study_instance_uid: str
    newest: datetime


def seen_deliveries(tx: Transaction) -> int:
    """Return up to which delivery the studies were noted; 0 before the first."""
    return tx.execute(select(MARKS.c.value).where(MARKS.c.name == _DELIVERIES)).scalar() or 0


def note_studies(tx: Transaction, receivers: Collection[str], newest: Mapping[str, datetime], seen: int) -> None:
    """Await each study for each receiver, and move the mark on to the delivery `seen`."""
    for receiver in receivers:
        for study_instance_uid, received in newest.items():
            _await(tx, receiver, study_instance_uid, received)
    if tx.execute(update(MARKS).where(MARKS.c.name == _DELIVERIES).values(value=seen)).rowcount == 0:
        tx.execute(insert(MARKS).values(name=_DELIVERIES, value=seen))


def awaited_studies(tx: Transaction, receiver: str, quiet_since: datetime, now: datetime) -> list[AwaitedStudy]:
    """Return the studies that a receiver waits for and that got nothing since `quiet_since`, longest quiet first."""
    ripe = (STUDIES.c.receiver == receiver, STUDIES.c.newest <= quiet_since, STUDIES.c.due <= now)
    query = select(STUDIES).where(*ripe).order_by(STUDIES.c.newest, STUDIES.c.study_instance_uid)
    return [AwaitedStudy(row.receiver, row.study_instance_uid, row.newest) for row in tx.execute(query)]


def ask_later(tx: Transaction, study: AwaitedStudy, due: datetime) -> None:
    """Do not look at a study before `due`."""
    tx.execute(update(STUDIES).where(*_study(study.receiver, study.study_instance_uid)).values(due=due))


def put_forward(tx: Transaction, instant: datetime, now: datetime) -> None:
    """Look at once at what would wait until after an instant; what came in a time that has yet to come, came now."""
    tx.execute(update(STUDIES).where(STUDIES.c.due > instant).values(due=now))
    tx.execute(update(STUDIES).where(STUDIES.c.newest > now).values(newest=now))


def forget_study(tx: Transaction, study: AwaitedStudy) -> None:
    """Await a study no longer."""
    tx.execute(delete(STUDIES).where(*_study(study.receiver, study.study_instance_uid)))


def _await(tx: Transaction, receiver: str, study_instance_uid: str, received: datetime) -> None:
    row = tx.execute(select(STUDIES.c.newest).where(*_study(receiver, study_instance_uid))).first()
    if row is None:
        tx.execute(
            insert(STUDIES).values(
                receiver=receiver, study_instance_uid=study_instance_uid, newest=received, due=received
            )
        )
    elif row.newest < received:
        tx.execute(update(STUDIES).where(*_study(receiver, study_instance_uid)).values(newest=received))


def _study(receiver: str, study_instance_uid: str) -> tuple[Any, ...]:
    return (STUDIES.c.receiver == receiver, STUDIES.c.study_instance_uid == study_instance_uid)
