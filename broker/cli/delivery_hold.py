"""`broker delivery hold` and `release`: what a person keeps back, and lets go. Every act is audited with its reason."""

import click

from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, env_option, opened
from broker.database import Transaction
from broker.delivery import destination_store, store
from broker.delivery.model import Delivery, DeliveryState
from broker.environments.reading import did_you_mean
from broker.errors import NotFound, Refused
from broker.exams import crossing
from broker.people.model import Right
from broker.spool import store as spool
from broker.tripwires.model import OTHER_WORLD
from broker.tripwires.worlds import Worlds

_destination_option = click.option("--destination", metavar="D", help="Everything to this destination.")
_ids = click.argument("delivery_ids", metavar="[ID]...", type=int, nargs=-1)


@click.command("hold")
@_ids
@_destination_option
@click.option("--why", metavar="TEXT", required=True, help="For the audit, and for whoever finds it held.")
@env_option
def hold(env: str, delivery_ids: tuple[int, ...], destination: str | None, why: str) -> None:
    """Keep back deliveries that wait, or everything to a destination, until somebody releases them.

    Nothing is lost: what comes in meanwhile waits as well. What is on its way to the destination ends first.
    """
    _check(delivery_ids, destination)
    if not why.strip():
        raise click.BadParameter("says nothing", param_hint="--why")
    with opened(env, Right.WORK) as here, here.database.write("delivery") as tx:
        if destination is not None:
            click.echo(_hold_destination(tx, here, destination, why.strip()))
            return
        for delivery_id in dict.fromkeys(delivery_ids):
            _hold(tx, here, found(tx, delivery_id), why.strip())
    click.echo(f"held: {_listed(delivery_ids)}")


@click.command("release")
@_ids
@_destination_option
@env_option
def release(env: str, delivery_ids: tuple[int, ...], destination: str | None) -> None:
    """Let held deliveries go, or a held destination: they are sent now, as they came."""
    _check(delivery_ids, destination)
    with opened(env, Right.WORK) as here, here.database.write("delivery") as tx:
        if destination is not None:
            click.echo(_release_destination(tx, here, destination))
            return
        worlds, away = Worlds(here.profile), set[str]()
        for delivery_id in dict.fromkeys(delivery_ids):
            delivery = found(tx, delivery_id)
            if delivery.instance_id not in away and _release(tx, here, delivery, worlds):
                away.add(delivery.instance_id)
    click.echo(f"released: {_listed(delivery_ids)}")
    if away:
        click.echo(f"{len(away)} of the images began in the other world: they go to {OTHER_WORLD}, and nowhere else")


def found(tx: Transaction, delivery_id: int) -> Delivery:
    """Return a delivery by its id. Raises NotFound."""
    delivery = store.find(tx, delivery_id)
    if delivery is None:
        raise NotFound(f"there is no delivery {delivery_id}; see `broker delivery list`")
    return delivery


def _check(delivery_ids: tuple[int, ...], destination: str | None) -> None:
    if bool(delivery_ids) == (destination is not None):
        raise click.UsageError("name deliveries by ID, or a destination with --destination")


def _hold(tx: Transaction, here: Opened, delivery: Delivery, why: str) -> None:
    if not store.hold_one(tx, delivery.id, f"held by {here.actor}: {why}"):
        instead = "; hold its destination instead" if delivery.state is DeliveryState.SENDING else ""
        raise Refused(f"delivery {delivery.id} is {delivery.state}; nothing was held{instead}")
    audit.record(tx, act(here, "delivery.held", str(delivery.id), **_names(delivery), why=why))


def _release(tx: Transaction, here: Opened, delivery: Delivery, worlds: Worlds) -> bool:
    """Let one go; tell whether it belongs to the other world, and so goes there with all that is held of its image."""
    if delivery.state is DeliveryState.HELD and delivery.destination != OTHER_WORLD:
        instance = spool.find_all(tx, [delivery.instance_id])[delivery.instance_id]
        if crossing.release(tx, worlds, instance, here.clock):
            names = {**_names(delivery), "destination": OTHER_WORLD}
            audit.record(tx, act(here, "delivery.released", str(delivery.id), **names))
            return True
    if not store.release_held(tx, delivery.id, here.clock.now()):
        raise Refused(f"delivery {delivery.id} is {delivery.state}; nothing was released")
    audit.record(tx, act(here, "delivery.released", str(delivery.id), **_names(delivery)))
    return False


def _hold_destination(tx: Transaction, here: Opened, name: str, why: str) -> str:
    _check_known(tx, here, name)
    if not destination_store.hold_destination(tx, name, f"held by {here.actor}: {why}", here.clock.now()):
        raise Refused(f"{name} is {destination_store.held(tx, name)} already; nothing was changed")
    audit.record(tx, act(here, "destination.held", name, why=why))
    until = f"until `broker delivery release --destination {name}`"
    return f"held: {name}; {_count(tx, name)}, and what comes waits too, {until}"


def _release_destination(tx: Transaction, here: Opened, name: str) -> str:
    _check_known(tx, here, name)
    if not destination_store.hold_destination(tx, name, "", here.clock.now()):
        raise Refused(f"{name} is not held; nothing was released")
    audit.record(tx, act(here, "destination.released", name))
    return f"released: {name}; {_count(tx, name)} no longer"


def _count(tx: Transaction, name: str) -> str:
    waiting = store.waiting(tx).get(name)
    count = waiting.count if waiting else 0
    return "1 delivery waits" if count == 1 else f"{count} deliveries wait"


def _check_known(tx: Transaction, here: Opened, name: str) -> None:
    names = [one.name for one in here.profile.destinations]
    names += [OTHER_WORLD] if here.profile.worlds.key is not None else []
    if name not in names and name not in store.owed_destinations(tx):
        hint = did_you_mean(name, names) or f"; it has {', '.join(names) or 'none'}"
        raise NotFound(f"{here.profile.name} has no destination {name!r}{hint}")


def _names(delivery: Delivery) -> dict[str, object]:
    return {"instance": delivery.instance_id, "destination": delivery.destination}


def _listed(delivery_ids: tuple[int, ...]) -> str:
    return ", ".join(str(one) for one in dict.fromkeys(delivery_ids))
