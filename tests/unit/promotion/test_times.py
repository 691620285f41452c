"""Dates and times of data sets to instants."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.promotion import times

BERLIN = ZoneInfo("Europe/Berlin")
EIGHT = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("time", ["090000", "0900", "09", "090000.123456", "09:00:00"])
def test_a_time_may_be_cut_short(time: str) -> None:
    assert times.civil("20260201", time, BERLIN) == EIGHT


@pytest.mark.parametrize(("date", "time"), [("", "090000"), ("20260201", ""), ("20261301", "09"), ("20260201", "xx")])
def test_what_is_no_instant_is_none(date: str, time: str) -> None:
    assert times.civil(date, time, BERLIN) is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"AcquisitionDateTime": "20260201090000.5", "ContentDate": "20200101", "ContentTime": "01"},
        {"AcquisitionDateTime": "20260201080000+0000"},
        {"ContentDate": "20260201", "ContentTime": "090000"},
        {"AcquisitionDate": "20260201", "InstanceCreationDate": "20260201", "InstanceCreationTime": "090000"},
        {"ContentDate": "20260201", "ContentTime": "030000", "TimezoneOffsetFromUTC": "-0500"},
    ],
)
def test_when_an_image_was_made(attributes: dict[str, str]) -> None:
    assert times.of_image(attributes, BERLIN) == EIGHT


def test_an_image_without_a_time_says_nothing() -> None:
    assert times.off(times.of_image({}, BERLIN), EIGHT) is None
    assert times.off(EIGHT.replace(minute=5), EIGHT) == 300.0
