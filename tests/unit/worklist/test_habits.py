"""What a console's habits make of its keys; what is answered for each is in the golden queries."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.registry.model import Habits
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.habits import meant, today
from broker.worklist.model import Viewer
from broker.worklist.query import START_DATE, START_TIME, STATION, BadQuery, Query, matches, read
from tests.unit.worklist.building import ANYBODY, US1, identifier, item

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
LATE = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)  # the 1st in Berlin


def viewer(**habits: object) -> Viewer:
    return replace(US1, habits=replace(Habits(), **habits), timezone=ZoneInfo("Europe/Berlin"))  # type: ignore[arg-type]


def asked(step: dict[str, str], by: Viewer = US1) -> Query:
    return read(identifier(step), IMPLICIT_LITTLE_ENDIAN, by.habits)


def days(query: Query) -> tuple[str, str]:
    (span,) = query.keys[START_DATE].spans
    return span.low, span.high


def test_the_usual_console_means_what_it_sends() -> None:
    for step in ({}, {STATION: "X"}, {START_DATE: "20260201"}):
        query = asked(step)
        assert meant(query, US1, NOW) is query
        assert meant(query, ANYBODY, NOW) is query


def test_a_station_key_may_be_ignored() -> None:
    assert STATION not in meant(asked({STATION: "X", "Modality": "US"}), viewer(ignore_station_key=True), NOW).keys


@pytest.mark.parametrize(
    ("around", "now", "expected"),
    [
        (0, NOW, ("20260201", "20260201")),
        (1, NOW, ("20260131", "20260202")),
        (1, LATE, ("20260131", "20260202")),
        (30, NOW, ("20260102", "20260303")),
    ],
)
def test_without_a_date_there_is_a_window_of_the_site_s_days(
    around: int, now: datetime, expected: tuple[str, str]
) -> None:
    assert days(meant(asked({}), viewer(default_window_days=around), now)) == expected
    assert days(meant(asked({START_DATE: "20251224"}), viewer(default_window_days=around), now))[0] == "20251224"


@pytest.mark.parametrize(
    ("date", "now", "widened"),
    [
        ("20260201", NOW, True),
        ("20260201", LATE, True),
        ("20260131", LATE, True),  # its clock is in UTC
        ("20260131", NOW, False),
        ("20260202", NOW, False),
        ("20260202", datetime(2026, 2, 1, 22, 30, tzinfo=UTC), True),  # its clock is ahead
        ("20260201-20260202", NOW, False),
        ("20260201-", NOW, False),
        ("20260201\\20260131", NOW, False),
    ],
)
def test_today_is_widened_whatever_the_console_s_clock_takes_for_it(date: str, now: datetime, widened: bool) -> None:
    by = viewer(widen_today_hours=2)
    query = meant(asked({START_DATE: date}, by), by, now)
    assert (START_TIME in query.keys) is widened


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (("20260131", "215959"), False),
        (("20260131", "220000"), True),
        (("20260201", "000000"), True),
        (("20260202", "015959"), True),
        (("20260202", "020000"), False),
    ],
)
def test_a_widened_day_is_one_interval(at: tuple[str, str], expected: bool) -> None:
    by = viewer(widen_today_hours=2)
    query = meant(asked({START_DATE: "20260201"}, by), by, NOW)
    of = item(scheduled_procedure_step_start_date=at[0], scheduled_procedure_step_start_time=at[1])
    assert matches(query, of, by) is expected


def test_today_is_the_site_s() -> None:
    assert today(viewer(), LATE) == "20260201"
    assert today(Viewer(), LATE) == "20260131"


def test_titles_without_case_where_a_console_writes_them_so() -> None:
    by = viewer(case_insensitive_titles=True)
    assert matches(asked({STATION: "us1"}, by), item(), by)
    assert matches(asked({STATION: "u*"}, by), item(scheduled_station_ae_titles=("us1", "US1")), by)
    assert not matches(asked({STATION: "us1"}), item(), US1)


@pytest.mark.parametrize(
    ("step", "is_refused"),
    [
        ({"Modality": "US\\CT"}, True),
        ({START_DATE: "*"}, True),
        ({START_TIME: "**"}, True),
        ({START_DATE: "-"}, True),
        ({"Modality": "*"}, False),
        ({STATION: "*"}, False),
        ({"StudyInstanceUID": "1.2\\1.3"}, False),
    ],
)
def test_a_strict_reading_refuses_what_the_standard_does_not_know(step: dict[str, str], is_refused: bool) -> None:
    strict = viewer(lenient_lists=False)
    asked(step)
    if not is_refused:
        asked(step, strict)
        return
    with pytest.raises(BadQuery) as caught:
        asked(step, strict)
    assert caught.value.status == 0xA900


def test_keys_outside_the_sequence_may_be_left_alone() -> None:
    data = identifier({}, Modality="CT", PatientID="4711")
    assert set(read(data, IMPLICIT_LITTLE_ENDIAN).keys) == {"Modality", "PatientID"}
    assert set(read(data, IMPLICIT_LITTLE_ENDIAN, Habits(keys_outside_sequence=False)).keys) == {"PatientID"}
