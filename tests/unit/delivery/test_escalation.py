"""When a person is told that something still fails, over simulated days."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.database import Database, Transaction
from broker.delivery import destination_store, escalation, store
from broker.delivery.escalation import ABSENT, AT_ONCE, DAY, FAILING, HELD, HOUR, QUARTER, STUCK
from broker.delivery.model import DeliveryState, DestinationState, Waiting
from broker.delivery.state import well
from broker.dimse.service import Answer, AssociationRefused, Rejection
from broker.environments.model import Priority
from broker.errors import Unavailable
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.unit.delivery.test_worker import Desk
from tests.unit.spool.datasets import data_set, facts, pieces

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
MANY = 40  # what waits for eight days; `make torture` has tens of thousands


@pytest.mark.parametrize(
    ("minutes", "stage"),
    [
        (0, 0),
        (14.9, 0),
        (15, QUARTER),
        (59, QUARTER),
        (60, HOUR),
        (24 * 60 - 1, HOUR),
        (24 * 60, DAY),
        (48 * 60 - 1, DAY),
        (48 * 60, DAY + 1),
        (8 * 24 * 60, DAY + 7),
    ],
)
def test_the_time_alone_decides_how_far_a_person_is_told(minutes: float, stage: int) -> None:
    assert escalation.stage(NOW - timedelta(minutes=minutes), NOW) == stage


def test_three_failures_and_a_permanent_refusal_are_told_at_once() -> None:
    failing = replace(well("pacs"), failures=2, since=NOW)
    assert escalation.stage_of(failing, NOW) == 0
    assert escalation.stage_of(replace(failing, failures=3), NOW) == AT_ONCE
    assert escalation.stage_of(failing, NOW, permanent=True) == AT_ONCE


def test_an_alarm_names_cause_duration_and_what_waits() -> None:
    state = DestinationState("pacs", 9, None, "nothing listens on the port", NOW - timedelta(hours=26))
    said = escalation.text(state, Waiting(1200, 0, None), NOW)
    assert said == "nothing listens on the port; it fails for 1 day, and 1200 instances wait for it: nothing is lost"


@pytest.mark.parametrize(
    ("lasted", "words"),
    [(59, "less than a minute"), (60, "1 minute"), (3599, "59 minutes"), (7200, "2 hours"), (172_800, "2 days")],
)
def test_a_duration_is_said_as_people_do(lasted: int, words: str) -> None:
    assert escalation.duration(timedelta(seconds=lasted)) == words


# --- with a clock that is moved ----------------------------------------------------------------------------------


@pytest.fixture
def desk(database: Database, tmp_path: Path, clock: FakeClock) -> Desk:
    return Desk(database, FileSpool(tmp_path / "spool"), clock)


def escalate(desk: Desk) -> int:
    def on_event(_tx: Transaction, event: str, subject: str, text: str) -> None:
        desk.events.append((event, subject, text))

    return escalation.escalate(desk.database, desk.clock, on_event)


def live(desk: Desk, period: timedelta, step: float) -> None:
    """Let time pass as `serve` does: what is due is sent, and once a beat people are told."""
    end = desk.clock.now() + period
    while desk.clock.now() < end:
        while desk.deliver():
            pass
        escalate(desk)
        desk.clock.advance(step)


def many(desk: Desk, count: int) -> None:
    """Receive many instances in one transaction, every tenth of them STAT."""
    kept = [desk.spool.keep(pieces(data_set(f"1.{n}")), facts(f"1.{n}")) for n in range(1, count + 1)]
    with desk.database.write("spool-index") as tx:
        for number, instance in enumerate(kept):
            spool_store.add(tx, instance)
            priority = Priority.ROUTINE if number % 10 else Priority.STAT
            store.owe(tx, instance.id, ("pacs",), desk.clock.now(), {"pacs": priority})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "days"), [(Unavailable("off"), 8), (AssociationRefused("no", Rejection(1, 1, 3)), 1)], ids=str
)
def test_days_of_outage_lose_and_park_nothing_and_a_person_is_told_each_day(
    desk: Desk, error: Exception, days: int
) -> None:
    many(desk, MANY)
    desk.pacs.refusals = {"": error}
    live(desk, timedelta(hours=1, minutes=10), 60.0)
    live(desk, timedelta(days=days, hours=-2), 3600.0)
    assert len(desk.files()) == MANY
    assert {(d.state, d.tries) for d in desk.by_uid().values()} == {(DeliveryState.WAITING, 0)}
    assert days * 22 < len(desk.pacs.associations) < days * 24 * 2, "a slow probe"
    told = [(event, subject) for event, subject, _ in desk.events]
    assert told == [(FAILING, "pacs")] * (3 + days - 1), "at once, after 15 minutes, after an hour, and each day"
    assert f"{MANY} instances wait" in desk.events[-1][2]

    desk.pacs.refusals = {}
    desk.clock.advance(3600)
    live(desk, timedelta(minutes=20), 600.0)
    assert {d.state for d in desk.by_uid().values()} == {DeliveryState.DELIVERED}
    assert (desk.files(), len(desk.pacs.stored)) == ([], MANY)
    urgent = [f"1.{n}" for n in range(1, MANY + 1, 10)]
    assert [uid for uid, _ in desk.pacs.stored[: len(urgent)]] == urgent, "STAT first"
    assert len(desk.events) == len(told), "it is well again"


def test_after_it_was_well_a_person_is_told_anew(desk: Desk) -> None:
    for uid in ("1.1", "1.2"):
        desk.receive(uid)
        desk.pacs.refusals = {"": Unavailable("off")}
        live(desk, timedelta(minutes=20), 60.0)
        desk.pacs.refusals = {}
        live(desk, timedelta(minutes=20), 60.0)
    assert len(desk.events) == 2 * 2
    with desk.database.read() as tx:
        assert destination_store.destination_state(tx, "pacs").told == 0


def test_an_instance_that_keeps_failing_is_told_of_and_parked_after_a_week(desk: Desk) -> None:
    desk.receive("1.1")
    desk.receive("1.2")
    desk.pacs.replies = {"1.1": Answer(0x0110)}
    live(desk, timedelta(days=6), 3600.0)
    found = desk.by_uid()
    assert (found["1.1"].state, found["1.2"].state) == (DeliveryState.WAITING, DeliveryState.DELIVERED)
    assert {(event, subject) for event, subject, _ in desk.events} == {(STUCK, "pacs")}
    assert len(desk.events) == 1 + 5, "after an hour, and each day"
    live(desk, timedelta(days=2), 3600.0)
    parked = desk.by_uid()["1.1"]
    assert parked.state is DeliveryState.PARKED and "in 7 days" in parked.reason
    with desk.database.read() as tx:
        assert destination_store.told_of_instances(tx) == {}


def test_nobody_is_told_of_a_destination_that_is_owed_nothing(desk: Desk) -> None:
    failing = replace(well("pacs"), failures=5, since=desk.clock.now(), reason="off")
    with desk.database.write("delivery") as tx:
        destination_store.set_destination_state(tx, failing)
    desk.clock.advance(86_400)
    assert escalate(desk) == 0


def test_who_holds_a_destination_is_reminded_each_day_and_told_of_nothing_else(desk: Desk) -> None:
    desk.receive("1.1")
    failing = replace(well("pacs"), failures=5, since=desk.clock.now(), reason="off")
    with desk.database.write("delivery") as tx:
        destination_store.set_destination_state(tx, failing)
        destination_store.hold_destination(tx, "pacs", "held by x: new disks", desk.clock.now())
    for hours, told in ((2, 0), (21, 0), (1, 1), (1, 0), (23, 1)):
        desk.clock.advance(hours * 3600)
        assert escalate(desk) == told, hours
    assert desk.events[-1][2] == "held by x: new disks; for 2 days, and 1 instance waits for its release"
    assert {event for event, _, _ in desk.events} == {HELD}
    with desk.database.write("delivery") as tx:
        destination_store.hold_destination(tx, "pacs", "", desk.clock.now())
    assert escalate(desk) == 1
    assert desk.events[-1][0] == FAILING


def test_a_destination_that_the_profile_lacks_is_told_of_each_day(desk: Desk) -> None:
    desk.receive("1.1", "gone")
    with desk.database.write("delivery") as tx:
        lacking = replace(well("gone"), since=desk.clock.now(), reason="the profile has no destination 'gone'")
        destination_store.set_destination_state(tx, lacking)
    for hours, told in ((0.1, 0), (0.2, 1), (1, 1), (1, 0), (22, 1), (24, 1)):
        desk.clock.advance(hours * 3600)
        assert escalate(desk) == told, hours
    assert {event for event, _, _ in desk.events} == {ABSENT}
