"""Every order message of the fixtures gives exactly the orders beside it. A new pair of files is a new case."""

import json
from pathlib import Path

import pytest

from tests.golden.orders import CASES, outcome

FILES = sorted(CASES.glob("*.hl7"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_message_gives_the_expected_orders(file: Path) -> None:
    expected = json.loads(file.with_suffix(".expected.json").read_text(encoding="utf-8"))
    assert outcome(file.read_bytes()) == expected


def test_every_case_has_its_message() -> None:
    assert {file.name.removesuffix(".expected.json") for file in CASES.glob("*.expected.json")} == {
        file.stem for file in FILES
    }
