"""`broker delivery`: what is owed to the destinations, and how it stands. Decides nothing; retries are audited."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.acting import flows_of
from broker.cli.commitment import proven
from broker.cli.context import Opened, detail, env_option, json_option, listing, local, opened, titled
from broker.cli.delivery_hold import found, hold, release
from broker.database import Transaction
from broker.delivery import destination_store, routing, store
from broker.delivery.correction import store as corrections
from broker.delivery.model import NO_ROUTE, Delivery, DeliveryState, DestinationState
from broker.environments.schedules import opens_after
from broker.errors import Refused
from broker.exams import checking
from broker.people.model import Right
from broker.spool import store as spool
from broker.spool.model import SpooledInstance

_COLUMNS = (
    ("id", "id"),
    ("state", "state"),
    ("priority", "priority"),
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
        listed = store.deliveries(tx, DeliveryState(state) if state else None)
        instances = spool.find_all(tx, [d.instance_id for d in listed])
        reasons = _reasons(tx, here)
    listing(
        [_row(d, instances[d.instance_id], reasons) for d in listed],
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
        delivery = found(tx, delivery_id)
        instance = spool.find_all(tx, [delivery.instance_id])[delivery.instance_id]
        row = _row(delivery, instance, _reasons(tx, here)) | proven(tx, here, delivery)
        row |= _corrected(tx, delivery)
    detail(row | _more(delivery, instance), as_json, titled(here.profile, "delivery"))


@group.command("retry")
@click.argument("delivery_ids", metavar="ID...", type=int, nargs=-1, required=True)
@env_option
def retry(env: str, delivery_ids: tuple[int, ...]) -> None:
    """Send again now: parked and waiting deliveries; what no route took is routed anew."""
    with opened(env, Right.WORK) as here, here.database.write("delivery") as tx:
        for delivery_id in dict.fromkeys(delivery_ids):
            _retry(tx, here, found(tx, delivery_id))
    click.echo(f"to be sent: {', '.join(str(i) for i in dict.fromkeys(delivery_ids))}")


group.add_command(hold)
group.add_command(release)


def _corrected(tx: Transaction, delivery: Delivery) -> dict[str, object]:
    """Return what the destination's rule made of it, where it has one and that made something of it."""
    found = corrections.find(tx, [delivery.instance_id], delivery.destination)
    if not found:
        return {}
    one = found[0]
    by = f" by order {one.order_id}" if one.keywords else ""
    return {"correction": f"{one.became.value}{by}: {', '.join(one.keywords) or one.why}", "correction_at": one.at}


def _retry(tx: Transaction, here: Opened, delivery: Delivery) -> None:
    now = here.clock.now()
    names: Sequence[str] = (delivery.destination,)
    if delivery.destination == NO_ROUTE:
        priorities = {target.destination: target.priority for target in _routed(tx, here, delivery)}
        names = tuple(priorities)
        store.reroute(tx, delivery.id, names, now, priorities)
    elif not store.retry(tx, [delivery.id], now):
        instead = f"; see `broker delivery release {delivery.id}`" if delivery.state is DeliveryState.HELD else ""
        raise Refused(f"delivery {delivery.id} is {delivery.state}; nothing was retried{instead}")
    detail_: dict[str, object] = {"instance": delivery.instance_id, "destinations": list(names)}
    audit.record(tx, AuditEntry(now, here.actor, "delivery.retried", str(delivery.id), detail_))


def _routed(tx: Transaction, here: Opened, delivery: Delivery) -> tuple[routing.Target, ...]:
    instance = spool.find_all(tx, [delivery.instance_id])[delivery.instance_id]
    flows = flows_of(here)
    routes = flows.rules(tx, instance.facts.device).routes
    targets = routing.targets(flows.subject(tx, instance, checking.found(tx, instance)[0], routes), routes)
    if not targets:
        raise Refused(f"no route takes the instance of delivery {delivery.id}; add one to the profile or its document")
    return targets


def _row(delivery: Delivery, instance: SpooledInstance, reasons: Mapping[str, str]) -> dict[str, object]:
    return {
        "id": delivery.id,
        "state": delivery.state.value,
        "priority": delivery.priority.value,
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
        "why": _why(delivery, reasons.get(delivery.destination, "")),
    }


def _why(delivery: Delivery, reason: str) -> str:
    """Return why it stands as it does: what waits, waits for its destination first."""
    waiting = delivery.state in {DeliveryState.WAITING, DeliveryState.SENDING}
    return f"{delivery.destination}: {reason}" if waiting and reason else delivery.reason


def _reasons(tx: Transaction, here: Opened) -> dict[str, str]:
    """Return by destination why nothing is sent to it now: held, not its hours, or it fails."""
    states = destination_store.destination_states(tx)
    now, zone = here.clock.now(), here.profile.timezone
    reasons = {name: said for name, one in states.items() if (said := one.held or _failing(one, now, zone))}
    for destination in here.profile.destinations:
        opens = opens_after(destination.schedule, now, zone) if destination.schedule else now
        if opens > now and not (destination.name in states and states[destination.name].held):
            reasons[destination.name] = f"its hours begin {local(opens, zone)}"
    return reasons


def _failing(state: DestinationState, now: datetime, zone: ZoneInfo) -> str:
    """Return what is wrong with a destination, and when it is tried again; nothing where all is well."""
    later = state.due if state.reason and state.due and state.due > now else None
    return f"{state.reason}; tried again at {local(later, zone)}" if later else state.reason


def _more(delivery: Delivery, instance: SpooledInstance) -> dict[str, object]:
    return {
        "instance": delivery.instance_id,
        "sop_class_uid": instance.facts.sop_class_uid,
        "study_instance_uid": instance.study_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "transfer_syntax": instance.facts.transfer_syntax,
        "sent_as": delivery.syntax or instance.facts.transfer_syntax,
        "calling": instance.facts.calling_ae_title,
        "called": instance.facts.called_ae_title,
        "association": instance.facts.association_id,
        "received": instance.facts.received,
        "length": instance.length,
        "sha256": instance.sha256,
        "conflicts_with": instance.conflicts_with,
        "reason": delivery.reason,
    }
