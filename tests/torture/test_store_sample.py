"""A few of the faults of the store gateway, and that every class is as large as it has to be."""

import sys

import pytest

from tests.peers.processes import run
from tests.torture.store import CLASSES


@pytest.mark.slow
def test_a_sample_of_the_faults_of_a_store_gateway_has_no_violation() -> None:
    done = run([sys.executable, "-m", "tests.torture.store", "--share", "0.02", "--seed", "20"], 110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 violations, seed 20" in done.stdout


def test_no_class_of_faults_is_smaller_than_it_has_to_be() -> None:
    assert [each.name for each in CLASSES if sum(case.count for case in each.cases()) < each.least] == []
