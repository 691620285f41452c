"""`broker rejection`: the associations that were refused. Who may come in is decided elsewhere."""

import click

from broker.associations import store
from broker.associations.model import Association
from broker.cli.context import env_option, json_option, listing, opened, titled


@click.group(name="rejection")
def group() -> None:
    """Refused associations, with the nearest known title."""


@group.command(name="list")
@env_option
@json_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def list_(env: str, as_json: bool, limit: int) -> None:
    """List refused associations, newest first."""
    with opened(env) as environment, environment.database.read() as tx:
        rows = [_row(association) for association in store.rejections(tx, limit)]
    columns = [(key, key) for key in ("time", "calling", "called", "address", "reason", "nearest")]
    listing(rows, columns, as_json, titled(environment.profile, "refused associations"))


def _row(association: Association) -> dict[str, object]:
    return {
        "id": association.id,
        "time": association.started,
        "calling": association.calling_ae_title,
        "called": association.called_ae_title,
        "address": association.address,
        "reason": association.reason,
        "nearest": association.nearest,
    }
