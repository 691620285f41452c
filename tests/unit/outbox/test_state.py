"""What follows from each answer, and from none."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.outbox import state
from broker.outbox.state import DELAYS
from broker.owed import Again, Delivered, Park
from hl7.errors import Hl7Error
from hl7.reply import Acknowledgement, ReplyError

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


def after(code: str, *errors: ReplyError, control_id: str = "C1", text: str = "", tries: int = 1) -> state.Decision:
    return state.after_answer(Acknowledgement(code, control_id, text, errors), "C1", tries, NOW, 0.0)


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accepted_message_is_delivered(code: str) -> None:
    assert after(code, text="thanks") == Delivered(said="thanks")


@pytest.mark.parametrize("code", ["AE", "CE"])
def test_refused_content_is_parked_with_code_and_place_of_its_error(code: str) -> None:
    decision = after(code, ReplyError("204", "ORC^1^2", "no order of Eva Muster"), text="unknown")
    assert isinstance(decision, Park)
    assert f"refused it with {code} (204 Unknown key identifier at ORC^1^2)" in decision.reason
    assert decision.said == "unknown; no order of Eva Muster"


def test_words_of_the_receiver_are_no_part_of_the_reason_that_is_logged() -> None:
    decision = after("AE", ReplyError("Muster", "Eva", "Muster"), ReplyError("204", "Muster Eva"))
    assert isinstance(decision, Park)
    assert "Muster" not in decision.reason
    assert "204" in decision.reason


@pytest.mark.parametrize("code", ["AR", "CR"])
def test_rejected_message_is_sent_again_and_a_person_told_at_once(code: str) -> None:
    decision = after(code, ReplyError("207"))
    assert isinstance(decision, Again)
    assert (decision.due, decision.escalate) == (NOW + timedelta(seconds=5), True)
    assert "207 Application internal error" in decision.reason


def test_answer_to_another_message_counts_as_none() -> None:
    decision = after("AA", control_id="C0")
    assert isinstance(decision, Again)
    assert "another message" in decision.reason


def test_answer_without_a_known_code_counts_as_none() -> None:
    assert isinstance(after("ok"), Again)


def test_delays_rise_to_the_longest_and_chance_adds_up_to_a_fifth() -> None:
    seconds = [state.delay(tries, 0.0).total_seconds() for tries in range(9)]
    assert seconds == [DELAYS[0], *DELAYS, DELAYS[-1], DELAYS[-1]]
    assert state.delay(1, 1.0) == timedelta(seconds=6)


def test_silence_is_told_to_people_after_a_few_tries() -> None:
    told = [state.after_silence(TimeoutError(), tries, NOW, 0.0).escalate for tries in range(1, 5)]
    assert told == [False, False, True, True]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(), "nothing listens on the port"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "closed the connection"),
        (OSError(113, "No route to host"), "No route to host"),
        (Hl7Error("100", "MSA^1", "the answer has no MSA segment"), "no MSA segment"),
    ],
)
def test_cause_is_said_in_plain_words(error: Exception, words: str) -> None:
    assert words in state.cause_of(error)


def test_what_the_receiver_says_is_bounded() -> None:
    decision = after("AE", text="x" * 9000)
    assert isinstance(decision, Park)
    assert len(decision.said) == 500
