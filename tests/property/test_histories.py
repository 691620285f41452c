"""The same messages, delivered in any order that keeps each chain's own, give the same worklist.

`BROKER_EXAMPLES` is how many histories are tried, by chance; without it, a few that are always the same.
"""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.golden.world import Result, World
from tests.property.histories import History, histories

EXAMPLES = int(os.environ.get("BROKER_EXAMPLES", "40"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + EXAMPLES * 2)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing(World(tmp_path_factory.mktemp("histories"))) as opened:
        yield opened


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="BROKER_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    database=None,
)
@given(history=histories(), choices=st.lists(st.integers(0, 5), max_size=20))
def test_any_legal_interleaving_gives_the_same_worklist(world: World, history: History, choices: list[int]) -> None:
    sent, delivered = world.run(history.sent), world.run(history.delivered(choices))
    assert _codes(sent) == {"AA"}, "a message of a legal history was refused"
    assert _codes(delivered) == {"AA"}, "a message of a legal history was refused when it came in another order"
    assert _shown(delivered) == _shown(sent)


@settings(max_examples=max(10, EXAMPLES // 6), deadline=None, derandomize=True, database=None)
@given(history=histories())
def test_the_whole_history_sent_again_changes_nothing(world: World, history: History) -> None:
    once, twice = world.run(history.sent), world.run([*history.sent, *history.sent])
    assert _shown(twice) == _shown(once)


def _codes(result: Result) -> set[str]:
    return {answer["code"] for answer in result.acknowledgements}


def _shown(result: Result) -> list[list[tuple[str, object]]]:
    return sorted(sorted(item.items(), key=lambda pair: pair[0]) for item in map(_comparable, result.worklist))


def _comparable(item: dict[str, object]) -> dict[str, object]:
    return {key: str(value) for key, value in item.items()}
