"""What is read of a device since its cutover, when the watch over it ends, and what people are told: both databases."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.alerts.store import acknowledge, open_alerts
from broker.associations.model import Result
from broker.audit.model import CLOCK
from broker.database import Database
from broker.environments.commitment import ProofSettings
from broker.errors import Refused
from broker.orders.model import StepStatus
from broker.procedures import store as procedures
from broker.procedures.model import Link, PerformedStatus, PerformedStep, Rule, ScheduledItem
from broker.promotion import clockwork, store, watching
from broker.promotion.model import Life
from broker.promotion.store import Served
from broker.promotion.watching import Watch
from tests.conftest import FakeClock
from tests.unit.promotion.world import World


@pytest.fixture
def world(database: Database, clock: FakeClock, tmp_path: Path) -> World:
    return World(database, clock, tmp_path)


def line(world: World, what: str, life: Life = Life.WATCHED) -> None:
    """Something is served from now on."""
    device, now = world.device, world.clock.now()
    served = Served(0, "us-room-2", now, str(CLOCK), what, "", device.revision, device.binding, life, None)
    with world.database.write("promotion") as tx:
        store.record(tx, served)
        store.set_life(tx, "us-room-2", life, now)


def watch(world: World) -> Watch:
    with world.database.read() as tx:
        return watching.read(tx, world.profile, "us-room-2", world.clock.now())


def settle(world: World) -> list[str]:
    return clockwork.settle(world.profile, world.database, world.clock)


def told(world: World) -> list[str]:
    with world.database.read() as tx:
        return [alert.text for alert in open_alerts(tx)]


def exam(world: World) -> None:
    """One whole exam: worklist, a performed step, an image that is delivered; nothing here proves."""
    world.query(1)
    call = world.call()
    step = PerformedStep("1.9.1", PerformedStatus.IN_PROGRESS, (ScheduledItem("1.2.3", "A1"),), "20260201", "0900")
    with world.database.write("procedures") as tx:
        number = procedures.add(tx, step, call, "US2", world.clock.now())
        linked = Link(1, "S", Rule.STUDY, 0, StepStatus.SCHEDULED)
        procedures.link(tx, number, [linked], world.clock.now())
    world.image()
    done = PerformedStep("1.9.1", PerformedStatus.COMPLETED, (), "20260201", "0900")
    with world.database.write("procedures") as tx:
        procedures.change(tx, number, done, world.clock.now())


def seen(found: Watch) -> set[str]:
    return {first.name for first in found.firsts if first.at is not None}


def test_what_was_seen_before_the_cutover_is_not_looked_at(world: World) -> None:
    exam(world)
    line(world, "applied")
    assert seen(watch(world)) == set()
    world.clock.advance(1)
    world.echo()
    assert seen(watch(world)) == {"association", "echo"}


def test_a_device_without_a_cutover_is_not_watched(world: World) -> None:
    with pytest.raises(Refused, match="us-room-2 is testing in test: there is no cutover to watch"):
        watch(world)


def test_a_cutover_that_is_scheduled_is_waited_for(world: World) -> None:
    with world.database.write("promotion") as tx:
        store.set_life(tx, "us-room-2", Life.SCHEDULED, world.clock.now())
    assert (watch(world).life, watch(world).is_good) == (Life.SCHEDULED, False)


def test_what_is_refused_from_its_place_or_under_its_title_is_trouble(world: World) -> None:
    line(world, "applied")
    refused = {"device": "", "result": Result.REJECTED, "reason": "calling title XX is not known"}
    world.call(**refused, calling_ae_title="XX")
    world.call("10.0.0.66", **refused)
    world.call("10.0.0.66", **refused, calling_ae_title="XX")
    assert len(watch(world).open_troubles) == 2
    assert settle(world) == []
    (text,) = told(world)
    assert "The way back: broker promote rollback us-room-2 --env test --why" in text


def test_what_was_acknowledged_is_not_told_again(world: World) -> None:
    line(world, "applied")
    world.call(device="", result=Result.REJECTED, reason="calling title XX is not known")
    settle(world)
    with world.database.write("alerts") as tx:
        (alert,) = open_alerts(tx)
        acknowledge(tx, alert.id, "ann", world.clock.now())
    settle(world)
    assert told(world) == []


def test_the_watch_ends_with_the_first_whole_exam(world: World) -> None:
    destinations = tuple(replace(each, proof=ProofSettings()) for each in world.profile.destinations)
    world.profile = replace(world.profile, destinations=destinations)
    line(world, "applied")
    world.query(1)
    assert (settle(world), watch(world).is_good) == ([], False)
    exam(world)
    assert watch(world).is_good
    assert settle(world) == ["us-room-2"]
    with world.database.read() as tx:
        assert store.life(tx, "us-room-2") is Life.LIVE
        newest = store.history(tx, "us-room-2")[0]
    assert (newest.what, newest.by, newest.life) == ("settled", "clock:broker", Life.LIVE)
    assert newest.why.startswith("1 whole exam since 2026-02-01T")
    assert watch(world).since < newest.at


def test_who_was_rolled_back_meanwhile_is_not_made_live(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    line(world, "applied")
    shown = Watch("us-room-2", "test", Life.WATCHED, world.clock.now(), world.clock.now(), "", exams=1)
    monkeypatch.setattr(watching, "read", lambda *_: shown)
    monkeypatch.setattr(store, "in_life", lambda *_: ["us-room-2"])
    with world.database.write("promotion") as tx:
        store.set_life(tx, "us-room-2", Life.SUSPENDED, world.clock.now())
    assert settle(world) == []


def test_what_is_still_lacking_after_a_day_is_told(world: World) -> None:
    line(world, "applied")
    world.clock.advance(timedelta(hours=23).total_seconds())
    world.echo()
    settle(world)
    assert told(world) == []
    world.clock.advance(timedelta(hours=1).total_seconds())
    settle(world)
    (text,) = told(world)
    assert text.startswith("us-room-2 went live 24 hours ago, and has not shown: Worklist with answers, Exam started")


def test_a_rollback_is_a_cutover_and_a_suspension_is_none(world: World) -> None:
    line(world, "applied")
    first = world.clock.now()
    world.clock.advance(60)
    line(world, "suspended", Life.SUSPENDED)
    assert (watch(world).since, watch(world).life) == (first, Life.SUSPENDED)
    world.clock.advance(60)
    line(world, "rolled back")
    assert watch(world).since == world.clock.now()
