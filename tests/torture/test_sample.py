"""One in twenty of `make torture`, with every scripted case."""

import sys

import pytest

from tests.peers.processes import run


@pytest.mark.slow
def test_a_sample_of_the_bad_input_has_no_violation() -> None:
    asked = ["--only", "dicom", "--count", "5000", "--seed", "20", "--longest", "16"]
    done = run([sys.executable, "-m", "tests.torture", *asked], 110.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 violations, seed 20" in done.stdout
