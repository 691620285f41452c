"""What is owed in order: which state follows what, and what of a decision is written down."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.owed import NEXT, OPEN, Again, Decision, Delivered, Event, OwedState, Park, outcome

NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)
BY_PERSON = {Event.RETRIED, Event.DISCARDED}


def test_what_is_done_is_moved_by_nothing() -> None:
    assert not {state for state, _ in NEXT} & {OwedState.DELIVERED, OwedState.DISCARDED}


def test_what_a_person_must_look_at_is_moved_by_a_person_alone_and_what_is_being_sent_by_none() -> None:
    assert {event for state, event in NEXT if state is OwedState.PARKED} == BY_PERSON
    assert not {event for state, event in NEXT if state is OwedState.SENDING} & BY_PERSON


def test_nothing_that_is_open_is_stuck() -> None:
    ends = {OwedState.DELIVERED, OwedState.PARKED, OwedState.DISCARDED}
    for state in OPEN:
        reached = {state}
        for _ in NEXT:
            reached |= {after for (before, _), after in NEXT.items() if before in reached}
        assert reached >= ends


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (Delivered(), {"state": "delivered", "reason": "", "finished": NOW}),
        (Delivered("a warning"), {"state": "delivered", "reason": "a warning", "finished": NOW}),
        (Delivered(said="OK"), {"state": "delivered", "reason": "it says: OK", "finished": NOW}),
        (Again(NOW + timedelta(1), "busy"), {"state": "waiting", "reason": "busy", "due": NOW + timedelta(1)}),
        (Park("refused", "no"), {"state": "parked", "reason": "refused; it says: no"}),
    ],
)
def test_an_outcome_is_written_with_its_words_and_frees_the_row(
    decision: Decision, expected: dict[str, object]
) -> None:
    assert outcome(decision, NOW) == {**expected, "lease": "", "lease_ends": None}
