"""The life of a modality: which moves there are, and that nothing else moves it."""

from itertools import product

import pytest

from broker.errors import Refused
from broker.promotion.life import ACTS_NEXT, NEXT, WHO, Move, moved
from broker.promotion.model import Life


def test_the_usual_way_leads_from_draft_to_live() -> None:
    life = Life.DRAFT
    for move in (Move.BIND, Move.PASS, Move.REHEARSE, Move.SCHEDULE, Move.APPLY, Move.SETTLE):
        life = moved(life, move)
    assert life is Life.LIVE


def test_a_first_go_live_that_is_rolled_back_is_suspended_and_can_be_resumed() -> None:
    assert moved(moved(Life.WATCHED, Move.SUSPEND), Move.RESUME) is Life.WATCHED


def test_what_is_not_in_the_table_is_refused_with_who_acts_next() -> None:
    for life, move in product(Life, Move):
        if (life, move) in NEXT:
            assert moved(life, move) is NEXT[life, move]
            continue
        with pytest.raises(Refused, match=f"a modality that is {life.value} cannot {move.value}; next: "):
            moved(life, move)


def test_every_state_says_who_acts_next_and_every_move_who_may() -> None:
    assert set(ACTS_NEXT) == set(Life)
    assert set(WHO) == set(Move)


def test_every_state_is_reached_and_left() -> None:
    assert set(NEXT.values()) == set(Life)
    assert {life for life, _ in NEXT} == set(Life)
