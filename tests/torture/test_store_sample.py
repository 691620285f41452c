"""A few of the faults of the store gateway, and that every class is as large as it has to be."""

import sys

import pytest

from tests.peers.processes import run
from tests.torture import store_power
from tests.torture.store import CLASSES


@pytest.mark.slow
def test_a_sample_of_the_faults_of_a_store_gateway_has_no_violation() -> None:
    done = run([sys.executable, "-m", "tests.torture.store", "--share", "0.02", "--seed", "20"], 110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 violations, seed 20" in done.stdout


@pytest.mark.foreign
@pytest.mark.slow
def test_a_build_that_does_not_sync_is_found_by_the_power_cuts_and_ours_is_not() -> None:
    with store_power.recorded(1) as recording:
        assert list(store_power.cuts(recording, 1, 15)) == []
        broken = list(store_power.cuts(recording, 1, 15, syncs=False))
    assert any("I1: " in each for each in broken)


def test_no_class_of_faults_is_smaller_than_it_has_to_be() -> None:
    assert [each.name for each in CLASSES if sum(case.count for case in each.cases()) < each.least] == []
