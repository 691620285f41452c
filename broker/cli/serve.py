"""`broker serve`: run one environment until told to stop."""

import gc
import json

import click

from broker.cli.context import env_option
from broker.environments import profile as profiles
from broker.supervisor import EXIT_INTERRUPTED


@click.command("serve")
@env_option
def command(env: str) -> None:
    """Run one environment until SIGTERM or SIGINT.

    Prints one line when every listener accepts: "ready" and the bound ports. Logs go to stderr, one JSON line an event.
    """
    gc.disable()  # loading makes only what stays (a tenth of the start); `serve` switches it on when it is ready
    from broker.app.serve import serve  # noqa: PLC0415 - the listeners' libraries are needed by this command alone

    profile = profiles.read(profiles.find(env))
    code = serve(profile, lambda ports: click.echo(f"ready {json.dumps(ports)}"))
    if code == EXIT_INTERRUPTED:
        click.echo("interrupted before it was ready", err=True)
    if code:
        raise click.exceptions.Exit(code)
