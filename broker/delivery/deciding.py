"""From what a sender says of one instance to what becomes of its delivery. Pure; `state.py` has the rules."""

from datetime import datetime

from broker.delivery import http_answers, state
from broker.delivery.model import Delivery
from broker.delivery.senders.outcome import (
    Answered,
    Damaged,
    Listed,
    NoContext,
    NotSent,
    Outcome,
    Refused,
    Unanswered,
    Uncorrected,
)
from broker.delivery.state import Decision, Delivered, Park
from broker.delivery.transcoding import rule as transcoding
from broker.spool.model import SpooledInstance


def decide(  # noqa: PLR0917 - one outcome and all that it depends on
    outcome: Outcome, delivery: Delivery, instance: SpooledInstance, now: datetime, jitter: float, transcodes: bool
) -> Decision:
    """Decide about one instance; `transcodes` tells whether the destination's rule allows another syntax."""
    tries = delivery.tries + 1
    match outcome:
        case Answered(status):
            return state.after_answer(status, tries, now, jitter, delivery.since)
        case NoContext(result):
            return transcoding.decide(result, delivery, instance, now, transcodes=transcodes)
        case Damaged(error):
            return state.after_damage(error)
        case Uncorrected() | Refused() | Listed():
            return _plain(outcome)
        case Unanswered(error) | NotSent(error):
            return state.after_unknown(error, tries, now, jitter)


def _plain(outcome: Uncorrected | Refused | Listed) -> Decision:
    """Decide where neither time nor tries play a part."""
    match outcome:
        case Uncorrected(error):
            return Park(f"not sent: {error}")
        case Refused(status):
            return Park(http_answers.refusal_text(status))
        case Listed():
            return Delivered(http_answers.LISTED_TEXT)
