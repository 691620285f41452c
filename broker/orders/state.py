"""How a Scheduled Procedure Step stands after what an ORC asks (B.2), as one table. Pure; the caller has the steps."""

from dataclasses import dataclass

from broker.orders.model import PERFORMED, Action, StepStatus

LIVE = frozenset({StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.HELD})
"""What may still be changed, held and canceled."""

_BEGUN = "the exam has begun: what the modality took stays as it is"
_TOO_LATE = "the exam has begun: discontinue (DC) it"
_OVER = "the step is canceled: order it anew"
_ENDS = "the exam has begun: it ends by its performed procedure step"
_HELD = "the step is held: release it first"


@dataclass(frozen=True, slots=True)
class Next:
    """The status that follows, what to say of it to the sender, and whether the asked was impossible."""

    status: StepStatus
    text: str = ""
    impossible: bool = False


_S = StepStatus
_KEEP = {status: Next(status) for status in StepStatus}


def _row(
    live: StepStatus | None = None,
    begun: str = "",
    over: str = "",
    *,
    impossible: bool = False,
    **other: Next,
) -> dict[StepStatus, Next]:
    """Return one action's row: where live steps go, what is said of performed and of canceled ones, exceptions."""
    row = dict(_KEEP)
    row.update({status: Next(live) for status in LIVE if live})
    row.update({status: Next(status, begun, impossible) for status in PERFORMED})
    row[_S.CANCELED] = Next(_S.CANCELED, over)
    return row | {StepStatus(name): next_ for name, next_ in other.items()}


_BY_ACTION: dict[Action, dict[StepStatus, Next]] = {
    # Ordered again: a step that alone was canceled is scheduled; the caller has seen that the order is newer.
    Action.NEW: _row(begun=_BEGUN, CANCELED=Next(_S.SCHEDULED)),
    Action.CHILD: _row(begun=_BEGUN, CANCELED=Next(_S.SCHEDULED)),
    Action.CHANGE: _row(begun=_BEGUN, over=_OVER),
    Action.CANCEL: _row(_S.CANCELED, begun=_TOO_LATE, impossible=True),
    Action.DISCONTINUE: _row(_S.CANCELED, STARTED=Next(_S.STARTED, _ENDS)),
    Action.REPLACE: _row(_S.CANCELED, begun=_BEGUN),
    Action.HOLD: _row(_S.HELD, begun=_BEGUN, over=_OVER),
    Action.RELEASE: _row(over=_OVER, HELD=Next(_S.SCHEDULED)),
    Action.ARRIVE: _row(over=_OVER, SCHEDULED=Next(_S.ARRIVED), HELD=Next(_S.HELD, _HELD)),
    Action.START: _row(_S.STARTED, over=_OVER),
    Action.COMPLETE: _row(_S.COMPLETED, over=_OVER, STARTED=Next(_S.COMPLETED)),
    Action.PARENT: _row(begun=_BEGUN, over=_OVER),
    Action.NUMBER: _row(),
    Action.UNABLE: _row(),
    Action.NOTHING: _row(),
    Action.PERSON: _row(),
}

NEXT: dict[tuple[StepStatus, Action], Next] = {
    (status, action): next_ for action, row in _BY_ACTION.items() for status, next_ in row.items()
}
"""For every status and action what follows."""
