"""What happens next, for every status, refusal and break."""

import socket
from datetime import UTC, datetime, timedelta

import pytest

from broker.delivery import state
from broker.delivery.model import DeliveryState
from broker.delivery.state import Again, Delivered, Event, Park
from broker.dimse.service import AssociationRefused, Rejection
from broker.errors import Unavailable

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "decision"),
    [(0x0000, Delivered)]
    + [(s, Delivered) for s in (0xB000, 0xB006, 0xB007, 0xB123, 0x0001, 0x0107, 0x0116, 0x0111)]
    + [(s, Again) for s in (0xA700, 0xA701, 0xA7FF, 0x0110, 0x0213, 0xFE00, 0xFFFF, 0x0105)]
    + [(s, Park) for s in (0xA900, 0xA9FF, 0xC000, 0xC123, 0xCFFF, 0x0117, 0x0119, 0x0122, 0x0124)]
    + [(s, Park) for s in (0x0210, 0x0211, 0x0212)],
)
def test_a_status_decides(status: int, decision: type) -> None:
    assert isinstance(state.after_answer(status, 1, NOW, 0.0), decision)


def test_every_status_has_a_decision() -> None:
    for status in range(0x10000):
        assert isinstance(state.after_answer(status, 1, NOW, 0.5), Delivered | Again | Park)


def test_a_warning_is_noted() -> None:
    decision = state.after_answer(0xB006, 1, NOW, 0.0)
    assert decision == Delivered("warning B006: elements were discarded")
    assert state.after_answer(0x0000, 1, NOW, 0.0) == Delivered("")


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0xFE00])
def test_a_passing_failure_is_tried_for_a_week_and_then_parked(status: int) -> None:
    assert isinstance(state.after_answer(status, 1, NOW, 0.0), Again)
    week = timedelta(days=7)
    assert isinstance(state.after_answer(status, 300, NOW + week - timedelta(minutes=1), 0.0, NOW), Again)
    parked = state.after_answer(status, 340, NOW + week, 0.0, NOW)
    assert isinstance(parked, Park)
    assert "340 times in 7 days" in parked.reason and f"{status:04X}" in parked.reason


def test_a_full_destination_is_never_the_instances_fault() -> None:
    decision = state.after_answer(0xA700, 1000, NOW, 0.0)
    assert isinstance(decision, Again)
    assert decision.pause
    assert decision.due == NOW + timedelta(minutes=10)


def test_parking_says_what_to_do() -> None:
    for status in (0x0122, 0x0124, 0xA900, 0xC000):
        parked = state.after_answer(status, 1, NOW, 0.0)
        assert isinstance(parked, Park)
        assert f"{status:04X}" in parked.reason and "retry" in parked.reason


@pytest.mark.parametrize(("result", "words"), [(3, "SOP class"), (4, "transfer syntax"), (None, "no presentation")])
def test_a_refused_context_parks_with_what_it_would_take(result: int | None, words: str) -> None:
    parked = state.after_context_refused(result, "1.2", "1.3")
    assert isinstance(parked, Park)
    assert words in parked.reason and "1.2" in parked.reason and "1.3" in parked.reason


def test_no_answer_means_again() -> None:
    assert isinstance(state.after_unknown(Unavailable("cut"), 99, NOW, 0.0), Again)


def test_the_gaps_rise_and_stay() -> None:
    gaps = [state.delay(n, 0.0).total_seconds() for n in range(1, 11)]
    assert gaps == [5, 10, 30, 60, 120, 300, 600, 600, 600, 600]
    assert state.delay(1, 1.0).total_seconds() == 6


def test_a_failing_destination_backs_off_and_remembers_since_when() -> None:
    first = state.after_destination_failure(state.well("pacs"), Unavailable("silent"), NOW, 0.0)
    later = NOW + timedelta(seconds=5)
    second = state.after_destination_failure(first, Unavailable("silent"), later, 0.0)
    assert (first.failures, first.due, first.since) == (1, later, NOW)
    assert (second.failures, second.due, second.since) == (2, later + timedelta(seconds=10), NOW)


@pytest.mark.parametrize(
    ("source", "reason", "words"),
    [
        (1, 1, "without saying why"),
        (1, 2, "not a DICOM node"),
        (1, 3, "our AE title"),
        (1, 7, "the AE title we call it by"),
        (2, 1, "software refused"),
        (2, 2, "protocol version"),
        (3, 1, "busy"),
        (3, 2, "too many connections"),
        (1, 9, "reserves"),
        (3, 7, "reserves"),
    ],
)
def test_a_rejection_is_told_in_plain_words(source: int, reason: int, words: str) -> None:
    error = AssociationRefused("refused", Rejection(1, source, reason))
    assert words in state.cause_of(error)
    assert state.is_permanent(error)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(), "nothing listens"),
        (TimeoutError(), "in time"),
        (ConnectionResetError(), "closed the connection"),
        (socket.gaierror(), "our own words"),
    ],
)
def test_a_connection_that_fails_is_told_in_plain_words(cause: OSError, words: str) -> None:
    error = Unavailable("our own words")
    error.__cause__ = cause
    assert words in state.cause_of(error)
    assert not state.is_permanent(error)


def test_delivered_is_the_end() -> None:
    leaving = [event for before, event in state.NEXT if before is DeliveryState.DELIVERED]
    assert leaving == [Event.LACKING, Event.DISPROVED], "only the destination's own word that it does not keep it"
