from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from broker.environments.model import Profile
from broker.tripwires.other import crossings, other_of, refuse_crossing
from tests.unit.tripwires.profiles import PACS, write_both

Write = Callable[..., Profile]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return partial(write_both, tmp_path)


def test_worlds_that_are_apart_are_let_start(write: Write) -> None:
    profile = write(PACS.format("p", "127.0.0.1", 4242, "TP"), PACS.format("p", "127.0.0.1", 4243, "PP"))
    assert crossings(profile, other_of(profile)) == []


def test_the_listener_of_the_other_world_is_the_built_in_destination(write: Write) -> None:
    destination = other_of(write()).destination
    assert destination is not None
    assert (destination.name, destination.host, destination.port) == ("other-world", "127.0.0.1", 11112)
    assert destination.ae_title == "BROKER_TEST"


def test_a_profile_that_is_not_there_stops_nothing(write: Write, tmp_path: Path) -> None:
    profile = write()
    (tmp_path / "test.toml").unlink()
    other = other_of(profile)
    assert (other.problem, other.destination) == ("test.toml cannot be read", None)
    refuse_crossing(profile, other)
