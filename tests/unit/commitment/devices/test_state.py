"""What a device is told of an instance, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.commitment.devices import state
from broker.commitment.devices.model import Asker, DeviceRequest, RequestState
from broker.commitment.devices.state import Again, Park, Standing, Taken
from broker.commitment.model import Outcome, Reference
from broker.environments.commitment import CommitmentSettings
from broker.registry.model import CommitmentMode, ReportWay

OWN, STORED, PROXY = CommitmentMode.OWN, CommitmentMode.STORED, CommitmentMode.PROXY
NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
ONE = Reference("1.2", "1.2.3")
SETTINGS = CommitmentSettings()
KNOWN, AWAY, DONE = (
    Standing(known=True),
    Standing(known=True, stored=True),
    Standing(known=True, stored=True, proven=True),
)
SOON, LATE = timedelta(minutes=1), timedelta(hours=73)
ASKER = Asker("01A", "US1", "BROKER", "us-1", PROXY, ReportWay.EITHER)
REQUEST = DeviceRequest(1, "1.2.3", ASKER, RequestState.REPORTING, NOW, NOW, 0, "", decided=NOW)


@pytest.mark.parametrize(
    ("mode", "standing", "age", "failure"),
    [
        (OWN, KNOWN, SOON, None),
        (STORED, AWAY, SOON, None),
        (PROXY, DONE, SOON, None),
        (STORED, KNOWN, LATE, 0x0110),
        (PROXY, AWAY, LATE, 0x0110),
        (OWN, Standing(), timedelta(minutes=15), 0x0112),
        (PROXY, Standing(), LATE, 0x0112),
        (OWN, Standing(other_class=True), SOON, 0x0119),
        (OWN, Standing(known=True, damaged=True), SOON, 0x0110),
    ],
)
def test_what_is_decided(mode: CommitmentMode, standing: Standing, age: timedelta, failure: int | None) -> None:
    assert state.verdict(ONE, mode, standing, age, SETTINGS) == Outcome(ONE, failure)


@pytest.mark.parametrize(
    ("mode", "standing", "age"),
    [
        (OWN, Standing(), timedelta(minutes=14)),
        (STORED, KNOWN, SOON),
        (PROXY, AWAY, SOON),
        (PROXY, AWAY, timedelta(hours=71)),
    ],
)
def test_what_is_still_open(mode: CommitmentMode, standing: Standing, age: timedelta) -> None:
    assert state.verdict(ONE, mode, standing, age, SETTINGS) is None


@pytest.mark.parametrize(("age", "seconds"), [(timedelta(0), 1), (timedelta(minutes=30), 10), (LATE, 60)])
def test_it_is_looked_at_less_often_with_age(age: timedelta, seconds: int) -> None:
    assert state.next_look(age, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [0x0000, 0x0107, 0x0116])
def test_a_device_that_answers_well_has_its_report(status: int) -> None:
    assert state.after_answer(REQUEST, status, SETTINGS, NOW, 0.0) == Taken()


def test_a_report_is_offered_after_1_5_15_60_minutes_then_hourly_for_a_week() -> None:
    waits = []
    for tries in range(6):
        decision = state.after_failure(replace(REQUEST, tries=tries), "off", SETTINGS, NOW, 0.0)
        assert isinstance(decision, Again)
        waits.append((decision.due - NOW).total_seconds() / 60)
        assert decision.escalate == (tries >= 3)
    assert waits == [1, 5, 15, 60, 60, 60]
    late = replace(REQUEST, decided=NOW - timedelta(hours=168))
    assert isinstance(state.after_failure(late, "off", SETTINGS, NOW, 0.0), Park)
