"""The command line: one module a noun, gathered here. Only this room imports click."""

import click

from broker import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="broker")
def main() -> None:
    """A modality worklist broker and store gateway with test/production cutover."""
