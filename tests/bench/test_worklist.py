"""That the bench of worklist queries still runs: how fast is its own matter."""

from pathlib import Path

import pytest

from tests.bench import worklist


@pytest.mark.slow
def test_every_kind_of_query_is_answered_among_a_few_items_and_the_last_order_is_timed(tmp_path: Path) -> None:
    found = worklist._ours(tmp_path / "few", 1000, is_last=False, is_quick=True)
    assert found.waits.keys() == worklist._questions(1000).keys()
    assert min(found.waits.values()) > 0
    assert min(found.order_waits) > 0
    assert found.replaced > 0
    assert found.memory > 0
