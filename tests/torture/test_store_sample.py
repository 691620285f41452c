"""A few of the faults of the store gateway, and that every class is as large as it has to be."""

import sys
from collections.abc import Iterator

import pytest
import structlog

from tests.peers.processes import run
from tests.peers.raw_sender import DataSet
from tests.torture import store_faults, store_inputs, store_power
from tests.torture.asked import ASKED, has
from tests.torture.store import CLASSES
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set

# The others take some seconds a case: `make torture` runs them, and a slice of them with each submission.
QUICK = (
    *("F01", "F02", "F12", "F14", "F16", "F17", "F18", "F19", "F20", "F21", "F22", "F23", "F24", "F25", "F27"),
    *("D0", "D1"),
)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Give the other tests of this process their log back: torture has none."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.slow
def test_a_sample_of_the_faults_of_a_store_gateway_has_no_violation() -> None:
    chosen = ["--share", "0.01", "--seed", "20", "--only", ",".join(QUICK)]
    done = run([sys.executable, "-m", "tests.torture.store", *chosen], 110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 violations, seed 20" in done.stdout


@pytest.mark.foreign
@pytest.mark.slow
def test_a_build_that_does_not_sync_is_found_by_the_power_cuts_and_ours_is_not() -> None:
    with store_power.recorded(1) as recording:
        assert list(store_power.cuts(recording, 1, 8)) == []
        broken = list(store_power.cuts(recording, 1, 8, syncs=False))
    assert any("I1: " in each for each in broken)


def test_an_input_that_is_not_answered_as_it_has_to_be_is_found() -> None:
    with store_faults.world_of(1) as world:
        image = DataSet(US_IMAGE, "1.2.3", EXPLICIT, data_set("1.2.3"))
        with pytest.raises(AssertionError, match="answered 0000"):
            store_inputs.offered(image, store_inputs.REFUSED, world)


def test_a_repeat_that_nobody_needed_is_found() -> None:
    with store_faults.world_of(1) as world:
        (uid,) = world.take(1)
        world.settle([uid])
        pacs = world.pacs["pacs"]
        pacs.keep(pacs.kept[-1])
        with pytest.raises(AssertionError, match="again"):
            world.demand_invariants([uid])


def test_no_class_of_faults_is_smaller_than_it_has_to_be() -> None:
    assert [each.name for each in CLASSES if sum(case.count for case in each.cases()) < each.least] == []
    there = has(CLASSES)
    assert [fault for fault, asked in ASKED.items() if there[fault] < asked] == []
