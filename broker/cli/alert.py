"""`broker alert`: what a person must see, and that he has. Decides nothing."""

import click

from broker.alerts import store
from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.context import env_option, json_option, listing, opened, titled
from broker.errors import NotFound
from broker.people.model import Right

_COLUMNS = (
    ("id", "id"),
    ("severity", "severity"),
    ("event", "event"),
    ("subject", "subject"),
    ("count", "count"),
    ("last", "last"),
    ("text", "what happened, and what to do"),
)


@click.group("alert")
def group() -> None:
    """What a person must see."""


@group.command("list")
@env_option
@json_option
def list_(env: str, as_json: bool) -> None:
    """List the alerts that nobody has acknowledged, oldest first."""
    with opened(env) as here, here.database.read() as tx:
        alerts = store.open_alerts(tx)
    rows = [
        {
            "id": alert.id,
            "event": alert.event,
            "subject": alert.subject,
            "severity": alert.severity.value,
            "text": alert.text,
            "first": alert.first,
            "last": alert.last,
            "count": alert.count,
        }
        for alert in alerts
    ]
    listing(rows, _COLUMNS, as_json, titled(here.profile, "open alerts"))


@group.command("ack")
@click.argument("alert_id", metavar="ID", type=int)
@env_option
def ack(env: str, alert_id: int) -> None:
    """Acknowledge an alert: it has been seen and is being dealt with."""
    with opened(env, Right.WORK) as here:
        now = here.clock.now()
        with here.database.write("alerts") as tx:
            if not store.acknowledge(tx, alert_id, str(here.actor), now):
                raise NotFound(f"there is no open alert {alert_id}; see `broker alert list`")
            audit.record(tx, AuditEntry(now, here.actor, "alert.acknowledged", str(alert_id), {}))
    click.echo(f"acknowledged: {alert_id}")
