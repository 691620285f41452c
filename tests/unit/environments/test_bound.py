"""Whether a `serve` runs, and its ports: told by a lock that ends with its process, not by what it left behind."""

import os
from pathlib import Path

from broker.environments import bound
from broker.environments import profile as profiles
from broker.environments.model import Profile
from tests.peers.broker import Environment

PORTS = {"hl7": 2575, "dicom": 11112}


def written(folder: Path) -> Profile:
    profile = profiles.read(Environment(folder).write().profile)
    profile.state.mkdir(parents=True, exist_ok=True)
    return profile


def test_ports_are_those_of_a_serve_that_runs(tmp_path: Path) -> None:
    profile = written(tmp_path)
    assert (bound.is_served(profile), bound.ports(profile)) == (False, {})
    held = bound.take(profile)
    assert held is not None
    assert (bound.is_served(profile), bound.ports(profile)) == (True, {}), "it opens its ports yet"
    bound.tell(profile, PORTS)
    assert bound.ports(profile) == PORTS
    os.close(held)


def test_what_a_killed_serve_left_is_nobody_s(tmp_path: Path) -> None:
    profile = written(tmp_path)
    held = bound.take(profile)
    assert held is not None
    bound.tell(profile, PORTS)
    os.close(held)
    assert (bound.is_served(profile), bound.ports(profile)) == (False, {})


def test_looking_takes_nothing_away_from_who_starts(tmp_path: Path) -> None:
    profile = written(tmp_path)
    for _ in range(3):
        held = bound.take(profile)
        assert held is not None
        assert bound.is_served(profile)
        assert bound.take(profile) is None
        os.close(held)
        assert not bound.is_served(profile)
