"""What `/metrics` says: numbers and names of ours only, never patient data. Each is cheap however much is kept.

What is done is never counted: `..._total` is the highest number given, or what a chore counts on; the rest is read by
indexes of what is open.
"""

from collections.abc import Iterator
from datetime import timedelta

from broker.clock import Clock
from broker.commitment.flow import metrics as commitment
from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.environments.model import Profile
from broker.exams import late_store
from broker.exams import store as exams
from broker.outbox import store as outbox
from broker.procedures import store as procedures
from broker.procedures.forward import store as forwards
from broker.spool import store as spool

Values = Iterator[tuple[str, float]]


def metrics(database: Database, profile: Profile, clock: Clock) -> dict[str, float]:
    """Return each metric's value by its name, labels included. Raises Unavailable without a database."""
    with database.read() as tx:
        found = (
            *_kept(tx),
            *_owed(tx),
            *commitment(tx).items(),
            *_performed(tx, profile, clock),
            *_passed_on(tx, profile, clock),
            *_asked(tx),
            *_late(tx),
        )
    return dict(found)


def _kept(tx: Transaction) -> Values:
    spooled = spool.counts(tx)
    yield "broker_spool_instances", spooled.instances
    yield "broker_spool_bytes", spooled.octets


def _owed(tx: Transaction) -> Values:
    yield "broker_deliveries_owed_total", deliveries.owed_in_all(tx)
    for (destination, state), count in deliveries.open_counts(tx).items():
        yield labeled("broker_deliveries", destination=destination, state=state), count
    yield "broker_outbox_messages_owed_total", outbox.owed_in_all(tx)
    for (receiver, told), count in outbox.open_counts(tx).items():
        yield labeled("broker_outbox_messages", receiver=receiver, state=told), count


def _performed(tx: Transaction, profile: Profile, clock: Clock) -> Values:
    yield "broker_performed_steps_begun_total", procedures.begun_in_all(tx)
    silent_since = clock.now() - timedelta(hours=profile.mpps.stale_hours)
    for state, count in procedures.counts(tx, silent_since).items():
        yield labeled("broker_performed_steps", state=state), count


def _passed_on(tx: Transaction, profile: Profile, clock: Clock) -> Values:
    """Yield what is owed to each destination of MPPS, how old the oldest is, and whether it was tried in vain."""
    for (destination, state), count in forwards.open_counts(tx).items():
        yield labeled("broker_mpps_forwards", destination=destination, state=state), count
    for name in (destination.name for destination in profile.mpps.destinations):
        first = forwards.first_owed(tx, name)
        age = (clock.now() - first[0]).total_seconds() if first else 0.0
        yield labeled("broker_mpps_forward_oldest_seconds", destination=name), max(0.0, age)
        yield labeled("broker_mpps_forward_failing", destination=name), int(bool(first and first[1]))


def _asked(tx: Transaction) -> Values:
    for what, count in exams.queries(tx).items():
        yield labeled("broker_worklist_queries_total", answer=what), count


def _late(tx: Transaction) -> Values:
    for stage, count in late_store.kept(tx).items():
        yield labeled("broker_exam_steps_late", stage=stage), count
    yield "broker_exam_steps_late_counted_timestamp_seconds", exams.mark(tx, late_store.COUNTED)


def labeled(name: str, **labels: str) -> str:
    """Return a metric's name with its labels, escaped (Prometheus text format 0.0.4)."""
    return f"{name}{{{','.join(f'{key}={_quoted(str(value))}' for key, value in labels.items())}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
