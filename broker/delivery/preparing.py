"""A batch made ready for its destination: copies in another syntax, corrections. Recorded before anything is sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from broker import journal
from broker.audit import store as audit
from broker.audit.model import CLOCK, AuditEntry
from broker.delivery.content import CannotCorrect
from broker.delivery.correction import applying
from broker.delivery.correction.model import Corrections
from broker.delivery.model import Delivery
from broker.delivery.senders.outcome import Batch, Outcome, Uncorrected
from broker.delivery.transcoding import copies
from broker.delivery.turn import Turn

TRANSCODED = "delivery.transcoded"


@contextmanager
def prepared(turn: Turn, batch: Batch) -> Iterator[tuple[Batch, Corrections, list[tuple[Delivery, Outcome]]]]:
    """Give for the block what may be sent, how it is corrected, and what became of what cannot be sent."""
    with copies.prepared(turn.desk.spool, batch) as made:
        _record_copies(turn, made.batch)
        problems = [(each, Uncorrected(CannotCorrect(made.problems[each.id]))) for each in made.parked]
        desk, destination = turn.desk, turn.destination
        corrections = applying.prepare(
            desk.database, desk.spool, destination, made.batch, desk.orders_of, desk.own_title, desk.clock.now()
        )
        _record_corrections(turn, corrections)
        yield [one for one in made.batch if one[0].id in turn.left], corrections, [*problems]


def _record_copies(turn: Turn, batch: Batch) -> None:
    """Record which instances go in another syntax, before any of them does."""
    made = [(delivery, instance) for delivery, instance in batch if delivery.syntax]
    if not made:
        return
    now = turn.desk.clock.now()
    with turn.desk.database.write("delivery-outcome") as tx:
        for delivery, instance in made:
            names = {"delivery": delivery.id, "destination": delivery.destination, "instance": instance.id}
            journal.record(tx, now, TRANSCODED, **names, transfer_syntax=delivery.syntax)
        detail: dict[str, object] = {"instances": [instance.id for _, instance in made]}
        audit.record(tx, AuditEntry(now, CLOCK, "instance.transcode", turn.destination.name, detail))


def _record_corrections(turn: Turn, corrections: Corrections) -> None:
    """Record what the destination's rule alters and holds, before any of it is sent; what is held is not left."""
    if corrections.recorded or corrections.held:
        with turn.desk.database.write("delivery-outcome") as tx:
            applying.record(tx, corrections, turn.token, turn.desk.clock.now())
            for delivery_id, reason in corrections.held.items():
                text = f"delivery {delivery_id}: {reason}"
                turn.desk.on_event(tx, applying.UNCORRECTED, turn.destination.name, text)
    for delivery_id in corrections.held:
        del turn.left[delivery_id]
