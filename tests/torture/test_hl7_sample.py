"""One in twenty of the bad input of HL7, and that every class is as large as it has to be."""

import sys

import pytest

from tests.peers.processes import run
from tests.torture.hl7_mutated import MUTATIONS, SEEDS
from tests.torture.hl7_run import CLASSES, LEAST


@pytest.mark.slow
def test_a_sample_of_the_bad_input_of_hl7_has_no_violation() -> None:
    done = run([sys.executable, "-m", "tests.torture.hl7_run", "--share", "0.05", "--seed", "20"], 110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 violations, seed 20" in done.stdout


def test_no_class_is_smaller_than_it_has_to_be() -> None:
    counts = {name[:3]: len(list(cases())) for name, cases in CLASSES.items()}
    counts["H16"] = SEEDS * MUTATIONS
    assert [name for name, least in LEAST.items() if counts.get(name, least) < least] == []
