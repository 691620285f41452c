"""A change of the registry by hand: one transaction, and what people are told of its effects. Allows nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.cli.context import Opened
from broker.database import Transaction
from broker.environments.model import World
from broker.registry import store
from broker.worklist import store as worklist
from broker.worklist.stations import titles_of
from broker.worklist.viewer import registry_stations


@contextmanager
def changing(environment: Opened, name: str, what: str) -> Iterator[Transaction]:
    """Give the transaction in which the device `name` is changed, and say whose steps are shown to nobody after it."""
    with environment.database.write("registry") as tx:
        before = _stations(tx)
        yield tx
        _alert(tx, environment, name, what)
        lost = sorted(before - _stations(tx))
        count = worklist.offered_to(tx, lost)
    if count:
        steps, them = ("1 step is", "it") if count == 1 else (f"{count} steps are", "them")
        click.echo(
            f"{steps} ordered for {', '.join(lost)}, a station that no device has now: nobody is shown {them} until a "
            "device is bound to it (broker modality bind --station), or the RIS orders for another one",
            err=True,
        )


def _stations(tx: Transaction) -> frozenset[str]:
    return titles_of(registry_stations(store.load(tx)))


def _alert(tx: Transaction, environment: Opened, name: str, what: str) -> None:
    """Where the glass was broken, everybody sees it; the reason is in the audit."""
    if environment.profile.kind is World.PRODUCTION:
        text = f"{name} was {what} in production by {environment.actor.name} without a promotion: see the audit"
        raise_alert(tx, "modality.break-glass", name, Severity.URGENT, text, environment.clock.now())
