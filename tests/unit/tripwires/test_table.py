from pathlib import Path

import pytest

from broker.tripwires.table import TRIPWIRES

GUIDE = Path(__file__).parents[3] / "docs" / "operator.md"


@pytest.mark.parametrize("name", TRIPWIRES)
def test_each_tripwire_stands_in_the_guide_as_it_is(name: str) -> None:
    row = TRIPWIRES[name]
    stated = f"| `{name}` | {row.into.value} | {row.where.value} | {row.response.value} | {row.text} |"
    assert stated in GUIDE.read_text(encoding="utf-8").splitlines()
