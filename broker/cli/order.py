"""`broker order`: its verbs, one module each, gathered here and imported when they are used. Decides nothing."""

import click

from broker.cli.group import Noun, Nouns

VERBS = {
    "send": Noun("broker.cli.order_send:send", "Be the RIS: send HL7 files, print the acknowledgements."),
    "try": Noun("broker.cli.order_try:try_", "What a file's messages would do; does nothing."),
    "list": Noun("broker.cli.order_view:list_", "The orders, newest first."),
    "show": Noun("broker.cli.order_view:show", "One order whole: where each value comes from, what was done to it."),
    "inbox": Noun("broker.cli.order_inbox:inbox_", "The messages that wait for a person, and what to do."),
    "message": Noun("broker.cli.order_inbox:message", "One message as it came, and what became of it."),
    "replay": Noun("broker.cli.order_decide:replay", "Process kept messages anew."),
    "dismiss": Noun("broker.cli.order_decide:dismiss", "Decide that nothing is done with messages."),
    "status": Noun("broker.cli.order_decide:status", "Say what was performed, for a device that cannot."),
    "golden": Noun("broker.cli.order_golden:golden", "The last messages through another mapping, and what differs."),
}


@click.group("order", cls=Nouns, nouns=VERBS)
def group() -> None:
    """Orders: be the RIS, see what arrived and what became of it."""
