"""The command line: one module a noun, gathered here. Only this room imports click."""

import click

from broker import __version__
from broker.cli.group import Noun, Nouns

NOUNS = {
    "serve": Noun("broker.cli.serve:command", "Run one environment until it is told to stop."),
    "env": Noun("broker.cli.env:group", "Environments: what their profiles say, and whether it holds."),
    "order": Noun("broker.cli.order:group", "Orders: be the RIS, see what arrived and what became of it."),
    "patient": Noun("broker.cli.patient:group", "Patients: who they are, which identifiers mean them, and merges."),
    "worklist": Noun("broker.cli.worklist:group", "The worklist as a device sees it."),
    "modality": Noun("broker.cli.modality:group", "Modalities: their documents, revisions and bindings."),
    "exam": Noun("broker.cli.exam:group", "Exams: the whole life of each, from order to report."),
    "procedure": Noun("broker.cli.procedure:group", "Performed steps (MPPS), and to which orders they belong."),
    "rejection": Noun("broker.cli.rejection:group", "Refused associations, with the nearest known title."),
    "delivery": Noun("broker.cli.delivery:group", "Deliveries: what is owed to whom, and why it waits."),
    "route": Noun("broker.cli.route:group", "Routes: where an instance goes, and why; a file may be tried."),
    "commitment": Noun("broker.cli.commitment:group", "Proof that destinations keep what they got; devices' requests."),
    "spool": Noun("broker.cli.spool:group", "The spool: kept images, whether they are whole, and as DICOM files."),
    "outbox": Noun("broker.cli.outbox:group", "Messages that tell other systems how orders stand."),
    "promote": Noun("broker.cli.promote:group", "From Test to Production: plan, request, approval, apply, rollback."),
    "card": Noun("broker.cli.card:command", "What the service engineer types into a console."),
    "user": Noun("broker.cli.user:group", "People: users, their roles and tokens."),
    "alert": Noun("broker.cli.alert:group", "Alerts: what a person must see."),
}


@click.group(
    cls=Nouns,
    nouns=NOUNS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="broker")
def main() -> None:
    """A modality worklist broker and store gateway with test/production cutover."""
