"""The lines of an exam's proofs: which destinations have proven that they keep its images. Pure; `ledger` gathers."""

from collections import Counter
from collections.abc import Sequence

from broker.commitment.proof.model import OPEN, Proof, ProofState
from broker.delivery.model import DeliveryState
from broker.exams.limits import Limits
from broker.exams.model import Line, Mark, Recorded, Stage

_WORDS = {
    ProofState.WAITING: "to be asked for",
    ProofState.ASKED: "asked for",
    ProofState.LACKING: "lacking there, sent once more",
    ProofState.FAILED: "not kept there",
}


def proven(recorded: Recorded, limits: Limits) -> list[Line]:
    """Return a line a destination that is asked."""
    names = sorted({one.destination for one in recorded.proofs} | _still_to_come(recorded).keys())
    found = [_line(name, [one for one in recorded.proofs if one.destination == name], recorded) for name in names]
    text = "not asked: no destination was asked to confirm that it keeps them"
    return found or [Line(Stage.PROVEN, Mark.NOT_ASKED, text)]


def _still_to_come(recorded: Recorded) -> Counter[str]:
    """Return how many images each destination is still to get that will be asked for them."""
    owed = [one.destination for one in recorded.sent if one.state is not DeliveryState.DELIVERED]
    return Counter(name for name in owed if name in recorded.provers)


def _line(name: str, proofs: Sequence[Proof], recorded: Recorded) -> Line:
    states = Counter(one.state for one in proofs)
    done, open_ = states[ProofState.PROVEN], sum(states[state] for state in OPEN)
    # What lacks or failed there is owed again, and counted once.
    awaited = _still_to_come(recorded)[name] - states[ProofState.LACKING] - states[ProofState.FAILED]
    total = done + open_ + max(0, awaited)
    if not total:
        return Line(Stage.PROVEN, Mark.NOT_ASKED, _why(proofs) or "the destination does not prove", about=name)
    last = max((one.finished for one in proofs if one.state is ProofState.PROVEN and one.finished), default=None)
    return Line(Stage.PROVEN, _mark(states, done, total), _text(states, done, total, proofs), last, name, done, total)


def _mark(states: Counter[ProofState], done: int, total: int) -> Mark:
    if states[ProofState.FAILED]:
        return Mark.PERSON
    return Mark.DONE if done == total else Mark.PARTLY if states else Mark.NOT_YET


def _text(states: Counter[ProofState], done: int, total: int, proofs: Sequence[Proof]) -> str:
    others = [f"{states[state]} {words}" for state, words in _WORDS.items() if states[state]]
    why = _why([one for one in proofs if one.state is ProofState.FAILED])
    return "; ".join([f"{done} of {total} proven", *others]) + (f": {why}" if why else "")


def _why(proofs: Sequence[Proof]) -> str:
    return next((one.reason for one in proofs if one.reason), "")
