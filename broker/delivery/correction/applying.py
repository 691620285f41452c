"""Prepares a batch for a destination with a rule: who belongs to which order, what is altered, and that it is recorded.

Recorded before anything is sent: a copy that was altered is known of, even where no answer ever comes. The time of the
correction is kept with it, so that what is sent again is the same copy.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker import journal
from broker.audit import store as audit
from broker.audit.model import CLOCK, AuditEntry
from broker.database import Database, Transaction
from broker.delivery.content import CannotCorrect
from broker.delivery.correction import rule, store, values
from broker.delivery.correction.model import Applied, Became, Correction, Corrections, Meant, OrdersOf
from broker.delivery.correction.rule import Unaltered
from broker.delivery.correction.splice import corrected
from broker.delivery.model import Delivery
from broker.environments.corrections import CorrectionSettings
from broker.environments.model import Destination
from broker.errors import Unavailable
from broker.identifiers import IMPLEMENTATION_VERSION_NAME
from broker.journal import log
from broker.spool.errors import DamagedInstance
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

CORRECTED = "delivery.corrected"
UNCORRECTED = "delivery.uncorrected"
AGREES = "it says what its order says"

Batch = Sequence[tuple[Delivery, SpooledInstance]]


def prepare(  # noqa: PLR0917 - the worker hands over what it has
    database: Database,
    spool: FileSpool,
    destination: Destination,
    batch: Batch,
    orders_of: OrdersOf,
    own_title: str,
    now: datetime,
) -> Corrections:
    """Return what becomes of a batch; nothing where the destination has no rule. Records nothing."""
    settings = destination.correction
    if settings is None:
        return Corrections()
    instances = [instance for _, instance in batch]
    with database.read() as tx:
        known = {one.instance_id: one for one in store.find(tx, [one.id for one in instances], destination.name)}
        meant = orders_of(tx, instances)
    asked = _Asked(spool, destination, settings, f"{IMPLEMENTATION_VERSION_NAME} {own_title}", now)
    found = [_Decided.of(asked, delivery, i, meant.get(i.id, Meant()), known.get(i.id)) for delivery, i in batch]
    return Corrections(
        {one.instance.id: one.correction for one in found if one.correction is not None},
        {one.instance.id: one.impossible for one in found if one.impossible is not None},
        {one.delivery.id: one.hold_reason for one in found if one.hold_reason},
        tuple((one.delivery.id, one.applied) for one in found if one.applied is not None),
    )


def record(tx: Transaction, corrections: Corrections, token: str, now: datetime) -> None:
    """Record what becomes of a batch that is leased under this token, and hold what is to be held."""
    store.keep(tx, [applied for _, applied in corrections.recorded])
    for delivery_id, reason in corrections.held.items():
        store.hold(tx, delivery_id, token, reason)
    together: defaultdict[tuple[str, int, tuple[str, ...]], list[str]] = defaultdict(list)
    for delivery_id, applied in corrections.recorded:
        _journal(tx, delivery_id, applied, now)
        if applied.became is Became.CORRECTED:
            together[applied.destination, applied.order_id, applied.keywords].append(applied.instance_id)
    for (destination, order_id, keywords), instances in together.items():
        detail: dict[str, object] = {"order": order_id, "attributes": list(keywords), "instances": instances}
        audit.record(tx, AuditEntry(now, CLOCK, "instance.correct", destination, detail))


def _journal(tx: Transaction, delivery_id: int, applied: Applied, now: datetime) -> None:
    names = {
        "delivery": delivery_id,
        "destination": applied.destination,
        "instance": applied.instance_id,
        "order": applied.order_id,
    }
    if applied.became is Became.CORRECTED:
        journal.record(tx, now, CORRECTED, **names, attributes=list(applied.keywords))
        log.info(CORRECTED, **names, attributes=list(applied.keywords))
    else:
        journal.record(tx, now, UNCORRECTED, **names, became=applied.became.value, why=applied.why)
        log.warning(UNCORRECTED, **names, became=applied.became.value, why=applied.why)


# --- one instance ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of every instance of a batch."""

    spool: FileSpool
    destination: Destination
    settings: CorrectionSettings
    system: str
    now: datetime


@dataclass(frozen=True, slots=True)
class _Decided:
    """What becomes of one instance. `applied` is what is new of it, and to be recorded."""

    delivery: Delivery
    instance: SpooledInstance
    correction: Correction | None = None
    impossible: CannotCorrect | None = None
    hold_reason: str = ""
    applied: Applied | None = None

    @classmethod
    def of(
        cls, asked: _Asked, delivery: Delivery, instance: SpooledInstance, meant: Meant, known: Applied | None
    ) -> "_Decided":
        """Decide about one instance, of which `known` is recorded."""
        was_held = known is not None and known.became is not Became.CORRECTED
        try:
            decided = rule.decide(asked.settings, meant, instance, asked.system, asked.now, was_held=was_held)
        except CannotCorrect as error:
            return cls(delivery, instance, impossible=error)
        name = asked.destination.name
        if isinstance(decided, Unaltered):
            applied = Applied(instance.id, name, decided.became, asked.now, decided.order_id, why=decided.why)
            reason = rule.hold_reason(decided) if decided.became is Became.HELD else ""
            return cls(delivery, instance, hold_reason=reason, applied=_new(applied, known))
        fingerprint = values.fingerprint(decided.order_id, decided.values)
        if known is not None and known.fingerprint == fingerprint:
            decided = replace(decided, at=known.at)
        altered = _applied(asked, instance, decided, fingerprint)
        return cls(delivery, instance, decided, applied=altered and _new(altered, known))


def _applied(asked: _Asked, instance: SpooledInstance, correction: Correction, fingerprint: str) -> Applied | None:
    """Return what a correction alters; None where that cannot be told: then its sender says why."""
    try:
        with asked.spool.open(instance) as stream:
            made = corrected(stream, instance.offset, instance.length, instance.facts.transfer_syntax, correction)
    except (CannotCorrect, DamagedInstance, Unavailable, OSError):
        return None
    became = Became.CORRECTED if made.keywords else Became.AS_RECEIVED
    why = "" if made.keywords else AGREES
    parts = (correction.at, correction.order_id, made.keywords, why, fingerprint)
    return Applied(instance.id, asked.destination.name, became, *parts)


def _new(applied: Applied, known: Applied | None) -> Applied | None:
    """Return what is to be recorded: nothing twice, and nothing of what agreed from the beginning."""
    if known is None:
        return None if applied.why == AGREES else applied
    return None if replace(applied, at=known.at) == known else applied
