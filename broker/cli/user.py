"""`broker user`: the people of an environment and their tokens."""

import click

from broker.cli import persons
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.database import Transaction
from broker.errors import Refused
from broker.people import store
from broker.people.model import Right, Role


@click.group(name="user")
def group() -> None:
    """People: users, their roles and tokens."""


@group.command(name="add")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What he may do.")
@env_option
@json_option
def add(name: str, role: str, env: str, as_json: bool) -> None:
    """Add the user NAME and print his token, once; put it into $BROKER_TOKEN.

    The first user must be an administrator and needs no token; after him, an administrator's token is needed.
    """
    with opened(env) as here:
        with here.database.write("people") as tx:
            _refuse_stranger(here, tx, Role(role))
            token = store.add(tx, name, Role(role), here.actor, here.clock.now())
        detail({"name": name, "role": role, "token": token}, as_json, titled(here.profile, "user, token shown once"))


@group.command(name="list")
@env_option
@json_option
def list_(env: str, as_json: bool) -> None:
    """List every user, disabled ones too."""
    with opened(env) as here, here.database.read() as tx:
        rows = [
            {
                "name": user.name,
                "role": user.role.value,
                "created": user.created,
                "created_by": user.created_by,
                "disabled": user.disabled,
            }
            for user in store.users(tx)
        ]
    keys = ("name", "role", "created", "created_by", "disabled")
    listing(rows, [(key, key.replace("_", " ")) for key in keys], as_json, titled(here.profile, "users"))


@group.command(name="disable")
@click.argument("name")
@env_option
def disable(name: str, env: str) -> None:
    """Take the rights of NAME away for good; his name stays in the audit."""
    with opened(env) as here:
        persons.person(here, Right.CONFIGURE)
        with here.database.write("people") as tx:
            done = store.disable(tx, name, here.actor, here.clock.now())
    click.echo(f"{name} is disabled" if done else f"{name} was disabled before")


def _refuse_stranger(here: Opened, tx: Transaction, role: Role) -> None:
    """Refuse whoever may not add a user; the first one is added by who has the machine."""
    if store.has_any(tx):
        persons.person(here, Right.CONFIGURE)
    elif role is not Role.ADMINISTRATOR:
        raise Refused("the first user must be an administrator: he adds the others")
