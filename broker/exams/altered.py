"""The ledger's lines about copies that were altered on the way to a destination, or should have been. Pure."""

from collections import defaultdict

from broker.delivery.correction.applying import AGREES
from broker.delivery.correction.model import Applied, Became
from broker.exams.model import Line, Mark, Recorded, Stage


def altered(recorded: Recorded) -> list[Line]:
    """Return a line for each destination and what became of images on the way there; keywords, no values.

    What is held stands in its destination's own line.
    """
    together: defaultdict[tuple[str, str], list[Applied]] = defaultdict(list)
    for one in recorded.corrections:
        if one.became is not Became.HELD and one.why != AGREES:
            together[one.destination, _what(one, recorded.stored.id)].append(one)
    return [
        Line(Stage.DELIVERED, Mark.DONE, f"{len(found)} {what}", about=name, last=max(one.at for one in found))
        for (name, what), found in sorted(together.items())
    ]


def _what(one: Applied, own: int) -> str:
    by = f" by order {one.order_id}" if one.order_id not in (0, own) else ""
    if one.became is Became.CORRECTED:
        return f"corrected on the way to {one.destination}{by}: {', '.join(one.keywords)}"
    return f"not corrected on the way to {one.destination}, sent as received: {one.why}"
