"""`broker worklist queries`: what consoles have asked, and why some were answered nothing."""

import click

from broker.cli.context import env_option, json_option, listing, opened, titled
from broker.worklist import answered_store as queries
from broker.worklist.answered_store import Answered, Remaining

_COLUMNS = tuple((key, key) for key in ("time", "calling", "device", "status", "answers", "keys", "why"))
_WITHOUT_KEY = {"offered": "offered", "device": "for the device", "suspended": "while it is suspended"}


@click.command(name="queries")
@env_option
@json_option
@click.option("--as", "calling", metavar="AET", help="Those of this calling AE title.")
@click.option("--empty", is_flag=True, help="Those that found nothing.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
def queries_(env: str, as_json: bool, calling: str | None, empty: bool, limit: int) -> None:
    """List what consoles have asked, newest first: by which keys, how many answers, and what left nothing.

    The values of keys are not kept; `broker worklist explain` walks through a query as it would be answered now.
    """
    with opened(env) as here, here.database.read() as tx:
        found = queries.answered(tx, limit, (calling or "").strip(), only_without=empty)
    listing([_row(each) for each in found], _COLUMNS, as_json, titled(here.profile, "worklist queries"))


def _row(query: Answered) -> dict[str, object]:
    return {
        "time": query.at,
        "calling": query.calling_ae_title,
        "device": query.device,
        "address": query.address,
        "status": f"{query.status:04X}",
        "answers": query.answers,
        "keys": list(query.keys),
        "why": query.comment or ", ".join(map(_words, query.explanation)),
    }


def _words(step: Remaining) -> str:
    count = f"{step.count}" if step.is_all else f"{step.count} or more"
    name = _WITHOUT_KEY.get(step.key, step.key)
    return f"{count} {name}" + (f' (there is "{step.nearest}")' if step.nearest else "")
