"""Instants and civil times: what is in the calendar and on the clock, and nothing else."""

from datetime import datetime

import pytest

from broker.orders.messages.times import plain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20240229", datetime(2024, 2, 29)),
        ("202402290930", datetime(2024, 2, 29, 9, 30)),
        ("20240229093059", datetime(2024, 2, 29, 9, 30, 59)),
        ("99991231235959", datetime(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_a_date_with_or_without_a_time_is_read_as_it_stands(text: str, found: datetime) -> None:
    assert plain(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "2024", "202402", "2024022909", "20230229", "20241301", "00000101", "202402292400", "20240229240000",
        "202402290960", "20240229093060", "2024-W09", "2024-2-9", "+2024022", "20240229T0930", "2024022909:30",
        "٢٠٢٤٠٢٢٩", " 2024022",
    ],
)  # fmt: skip
def test_what_is_not_in_the_calendar_or_on_the_clock_is_none(text: str) -> None:
    assert plain(text) is None
