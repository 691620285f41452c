"""`broker modality echo`: our Verification of a device, kept as evidence. The call itself is the promotion's."""

import click
from click.exceptions import Exit

from broker.cli.context import detail, env_option, json_option, opened, titled
from broker.dimse.requestor import EngineRequestor
from broker.people.model import Right
from broker.promotion import verifying
from broker.registry import store


@click.command(name="echo")
@click.argument("name")
@env_option
@json_option
def echo(name: str, env: str, as_json: bool) -> None:
    """Call the device NAME with C-ECHO where it is bound; what came of it is kept as evidence. Exit 1: no answer."""
    with opened(env, Right.WORK) as here:
        with here.database.read() as tx:
            device = store.modality(tx, name)
        called = verifying.verify(here.database, here.profile, device, EngineRequestor(), here.clock)
    where = f"{called.host}:{called.port} ({device.ae_titles[0]})"
    if as_json:
        fact = {"name": name, "at": called.at, "host": called.host, "port": called.port, "failure": called.failure}
        detail(fact, as_json=True, title=titled(here.profile, name))
    elif not called.failure:
        click.echo(f"{name} at {where} answers C-ECHO")
    if called.failure:
        click.echo(f"{name} at {where}: {called.failure}", err=True)
        raise Exit(1)
