from datetime import UTC, datetime, timedelta

import pytest

from broker.procedures.visibility import sees_started

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("own", "performers", "hours", "expected"),
    [
        (("US1",), ("US1",), 1, True),
        (("US1", "US1_STORE"), ("US1_STORE",), 24, True),
        (("US1",), ("US1",), 25, False),
        (("US2",), ("US1",), 1, False),
        ((), ("US1",), 1, False),
        (("US2",), (), 1, True),
    ],
)
def test_a_started_step_stays_visible_to_who_started_it(
    own: tuple[str, ...], performers: tuple[str, ...], hours: int, expected: bool
) -> None:
    assert sees_started(own, performers, NOW - timedelta(hours=hours), NOW) is expected
