"""One in twenty of the faults between us and a PACS, and that every class is as large as it has to be."""

import sys

import pytest

from tests.peers.processes import run
from tests.torture.store_faults import CLASSES


@pytest.mark.slow
def test_a_sample_of_the_faults_of_a_pacs_has_no_violation() -> None:
    done = run([sys.executable, "-m", "tests.torture.store_faults", "--share", "0.04", "--seed", "20"], 110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 violations, seed 20" in done.stdout


def test_no_class_of_faults_is_smaller_than_it_has_to_be() -> None:
    assert [name for name, (cases, least, _) in CLASSES.items() if len(list(cases())) < least] == []
