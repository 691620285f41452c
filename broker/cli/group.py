"""The root of the command line: finds a noun's module when it is asked for, and turns errors into exit codes.

Exit 0 done, 1 refused or failed, 2 usage, 3 not ready or a difference found (the command raises that itself).
"""

import gc
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import IO, Any, cast

import click

from broker.errors import BrokerError, Misconfigured


@dataclass(frozen=True, slots=True)
class Noun:
    """Where a noun's command is (`module:attribute`) and its line in the help, known without importing it."""

    at: str
    help: str


class Nouns(click.Group):
    """A group that imports a noun only when it is used, so that `broker serve` starts fast."""

    def __init__(self, *arguments: Any, nouns: Mapping[str, Noun], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._nouns = nouns

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every noun."""
        return list(self._nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the noun's module and return its command; None for a word that is no noun."""
        noun = self._nouns.get(cmd_name)
        if noun is None:
            return None
        module, _, attribute = noun.at.partition(":")
        return cast(click.Command, getattr(_loaded(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the nouns' help lines without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.help) for name, noun in self._nouns.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the product knows how to say to a person ends as one line and exit 1."""
        try:
            return super().invoke(ctx)
        except BrokerError as error:
            raise _Failure(error) from error


def _loaded(module: str) -> ModuleType:
    """Import a module without looking for garbage: what loading makes stays, and the looks are a tenth of a start."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if was_enabled:
            gc.freeze()  # what was loaded is passed by from now on
            gc.enable()


class _Failure(click.ClickException):
    """Exit 1: each mistake of a configuration on its own line, everything else on one."""

    exit_code = 1

    def __init__(self, error: BrokerError) -> None:
        text = str(error)
        super().__init__(text if isinstance(error, Misconfigured) else " ".join(text.split()))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the line or lines on stderr."""
        click.echo(self.message, file=file, err=True)
