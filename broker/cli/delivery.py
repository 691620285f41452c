"""`broker delivery`: what is owed to the destinations, and how it stands. Decides nothing; retries are audited."""

from collections.abc import Mapping, Sequence

import click

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.acting import flows_of
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.database import Transaction
from broker.delivery import destination_store, routing, store
from broker.delivery.model import NO_ROUTE, Delivery, DeliveryState, DestinationState
from broker.errors import NotFound, Refused
from broker.exams import checking
from broker.spool import store as spool
from broker.spool.model import SpooledInstance

_COLUMNS = (
    ("id", "id"),
    ("state", "state"),
    ("destination", "destination"),
    ("device", "device"),
    ("accession_number", "accession number"),
    ("modality", "modality"),
    ("tries", "tries"),
    ("due", "due"),
    ("why", "why"),
)


@click.group("delivery")
def group() -> None:
    """What is owed to the destinations."""


@group.command("list")
@click.option("--state", type=click.Choice([s.value for s in DeliveryState]), help="Only those in this state.")
@env_option
@json_option
def list_(env: str, state: str | None, as_json: bool) -> None:
    """List deliveries, newest first."""
    with opened(env) as here, here.database.read() as tx:
        found = store.deliveries(tx, DeliveryState(state) if state else None)
        instances = spool.find_all(tx, [d.instance_id for d in found])
        destinations = destination_store.destination_states(tx)
    listing(
        [_row(d, instances[d.instance_id], destinations) for d in found],
        _COLUMNS,
        as_json,
        titled(here.profile, "deliveries"),
    )


@group.command("show")
@click.argument("delivery_id", metavar="ID", type=int)
@env_option
@json_option
def show(env: str, delivery_id: int, as_json: bool) -> None:
    """Show one delivery, its instance and its destination."""
    with opened(env) as here, here.database.read() as tx:
        delivery = _found(tx, delivery_id)
        instance = spool.find_all(tx, [delivery.instance_id])[delivery.instance_id]
        destinations = destination_store.destination_states(tx)
    detail(
        _row(delivery, instance, destinations) | _more(delivery, instance), as_json, titled(here.profile, "delivery")
    )


@group.command("retry")
@click.argument("delivery_ids", metavar="ID...", type=int, nargs=-1, required=True)
@env_option
def retry(env: str, delivery_ids: tuple[int, ...]) -> None:
    """Send again now: parked and waiting deliveries; what no route took is routed anew."""
    with opened(env) as here, here.database.write("delivery") as tx:
        for delivery_id in dict.fromkeys(delivery_ids):
            _retry(tx, here, _found(tx, delivery_id))
    click.echo(f"to be sent: {', '.join(str(i) for i in dict.fromkeys(delivery_ids))}")


@group.command("release")
@click.argument("delivery_ids", metavar="ID...", type=int, nargs=-1, required=True)
@env_option
def release(env: str, delivery_ids: tuple[int, ...]) -> None:
    """Let held deliveries go: they are sent now, as they came."""
    with opened(env) as here, here.database.write("delivery") as tx:
        for delivery_id in dict.fromkeys(delivery_ids):
            delivery, now = _found(tx, delivery_id), here.clock.now()
            if not store.release_held(tx, delivery_id, now):
                raise Refused(f"delivery {delivery_id} is {delivery.state}; nothing was released")
            what: dict[str, object] = {"instance": delivery.instance_id, "destination": delivery.destination}
            audit.record(tx, AuditEntry(now, here.actor, "delivery.released", str(delivery_id), what))
    click.echo(f"released: {', '.join(str(i) for i in dict.fromkeys(delivery_ids))}")


def _retry(tx: Transaction, here: Opened, delivery: Delivery) -> None:
    now = here.clock.now()
    names: Sequence[str] = (delivery.destination,)
    if delivery.destination == NO_ROUTE:
        priorities = {target.destination: target.priority for target in _routed(tx, here, delivery)}
        names = tuple(priorities)
        store.reroute(tx, delivery.id, names, now, priorities)
    elif not store.retry(tx, [delivery.id], now):
        raise Refused(f"delivery {delivery.id} is {delivery.state}; nothing was retried")
    detail_: dict[str, object] = {"instance": delivery.instance_id, "destinations": list(names)}
    audit.record(tx, AuditEntry(now, here.actor, "delivery.retried", str(delivery.id), detail_))


def _routed(tx: Transaction, here: Opened, delivery: Delivery) -> tuple[routing.Target, ...]:
    instance = spool.find_all(tx, [delivery.instance_id])[delivery.instance_id]
    flows = flows_of(here)
    subject = flows.subject(tx, instance, checking.found(tx, instance)[0])
    targets = routing.targets(subject, flows.rules(tx, instance.facts.device).routes)
    if not targets:
        raise Refused(f"no route takes the instance of delivery {delivery.id}; add one to the profile or its document")
    return targets


def _found(tx: Transaction, delivery_id: int) -> Delivery:
    delivery = store.find(tx, delivery_id)
    if delivery is None:
        raise NotFound(f"there is no delivery {delivery_id}; see `broker delivery list`")
    return delivery


def _row(
    delivery: Delivery, instance: SpooledInstance, destinations: Mapping[str, DestinationState]
) -> dict[str, object]:
    return {
        "id": delivery.id,
        "state": delivery.state.value,
        "destination": delivery.destination,
        "device": instance.facts.device or instance.facts.calling_ae_title,
        "accession_number": instance.accession_number,
        "modality": instance.modality,
        "sop_instance_uid": instance.facts.sop_instance_uid,
        "tries": delivery.tries,
        "status": None if delivery.status is None else f"{delivery.status:04X}",
        "due": delivery.due if delivery.state is DeliveryState.WAITING else None,
        "created": delivery.created,
        "finished": delivery.finished,
        "why": _why(delivery, destinations.get(delivery.destination)),
    }


def _why(delivery: Delivery, destination: DestinationState | None) -> str:
    """Return why it stands as it does: what waits, waits for its destination first."""
    waiting = delivery.state in {DeliveryState.WAITING, DeliveryState.SENDING}
    if waiting and destination is not None and destination.reason:
        return f"{destination.name}: {destination.reason}"
    return delivery.reason


def _more(delivery: Delivery, instance: SpooledInstance) -> dict[str, object]:
    return {
        "instance": delivery.instance_id,
        "sop_class_uid": instance.facts.sop_class_uid,
        "study_instance_uid": instance.study_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "transfer_syntax": instance.facts.transfer_syntax,
        "calling": instance.facts.calling_ae_title,
        "called": instance.facts.called_ae_title,
        "association": instance.facts.association_id,
        "received": instance.facts.received,
        "length": instance.length,
        "sha256": instance.sha256,
        "conflicts_with": instance.conflicts_with,
        "reason": delivery.reason,
    }
