from datetime import UTC, datetime, timedelta

import pytest

from broker.errors import Unavailable
from broker.owed import Again, Delivered, Park
from broker.procedures.forward import state
from broker.procedures.model import Operation

NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)
CREATE, SET = Operation


@pytest.mark.parametrize(
    ("operation", "status", "tries", "unanswered", "expected"),
    [
        (CREATE, 0x0000, 1, False, Delivered),
        (SET, 0x0000, 9, True, Delivered),
        (CREATE, 0x0107, 1, False, Delivered),
        (SET, 0x0116, 1, False, Delivered),
        (CREATE, 0x0111, 1, False, Delivered),  # a UID is one step's: it has it from us or from the device itself
        (SET, 0x0110, 2, True, Delivered),  # the answer to the first try was lost
        (SET, 0x0110, 1, False, Again),
        (SET, 0x0110, 5, False, Park),
        (CREATE, 0x0110, 1, True, Again),
        (CREATE, 0x0213, 4, False, Again),
        (CREATE, 0x0213, 5, False, Park),
        (SET, 0x0112, 1, False, Park),
        (CREATE, 0x0120, 1, False, Park),
        (CREATE, 0x0124, 1, False, Park),
        (SET, 0xC001, 1, False, Again),
    ],
)
def test_an_answer_decides(
    operation: Operation, status: int, tries: int, unanswered: bool, expected: type[state.Decision]
) -> None:
    decision = state.after_answer(operation, status, tries, unanswered, NOW, 0.0)
    assert isinstance(decision, expected)
    if isinstance(decision, Again):
        assert decision.due > NOW


def test_silence_is_repeated_and_escalates() -> None:
    first = state.after_silence(Unavailable("no answer"), 1, NOW, 0.0)
    assert (first.due, first.escalate) == (NOW + timedelta(seconds=5), False)
    assert state.after_silence(Unavailable("no answer"), 3, NOW, 0.0).escalate


def test_a_refused_transfer_syntax_is_a_persons() -> None:
    assert "1.2.840.10008.1.2.2" in state.after_context_refused("1.2.840.10008.1.2.2").reason
