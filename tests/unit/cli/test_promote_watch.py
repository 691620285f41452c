"""`broker promote watch`, as somebody in front of a console runs it."""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.associations import store as associations
from broker.associations.model import Association, Context, Result
from broker.audit.model import CLOCK
from broker.database import Database
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.promotion import store
from broker.promotion.model import Life
from broker.promotion.store import Served
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding
from tests.peers.processes import wait_for
from tests.unit.cli.conftest import Command

LIVE = ("--env", "production")
NAME = "us-room-2"
PLACE = Binding("127.0.0.9", 104)


@pytest.fixture
def database(environments: Path) -> Iterator[Database]:
    opened = open_database(profiles.read(profiles.find("production")))
    yield opened
    opened.close()


@pytest.fixture
def live(database: Database, document: Path) -> Database:
    """A device that has just gone live."""
    content = document.read_bytes()
    with database.write("promotion") as tx:
        registry.apply(tx, documents.read(content, "us"), content, CLOCK, now())
        registry.bind(tx, NAME, PLACE, CLOCK, now())
    cut_over(database, "applied", Life.WATCHED)
    return database


def now() -> datetime:
    return datetime.now(UTC)


def cut_over(database: Database, what: str, life: Life) -> None:
    with database.write("promotion") as tx:
        revision = registry.modality(tx, NAME).revision
        store.record(tx, Served(0, NAME, now(), str(CLOCK), what, "", revision, PLACE, life, None))
        store.set_life(tx, NAME, life, now())


def call(database: Database, number: int, **changes: Any) -> None:
    row = Association(
        id=f"{number:026}",
        started=now(),
        calling_ae_title="US_ROOM2",
        called_ae_title="BROKER_PROD",
        address="127.0.0.9",
        implementation_class_uid="1.2.3",
        implementation_version_name="STACK_1",
        contexts=(Context("1.2.840.10008.1.1", "1.2.840.10008.1.2"),),
        device=NAME,
        revision="",
        software="0",
    )
    with database.write("associations") as tx:
        associations.add(tx, replace(row, **changes))


def test_what_is_awaited_is_named_with_what_to_do_and_ends_with_3(run: Command, live: Database) -> None:
    shown = run("promote", "watch", NAME, *LIVE, "--once", code=3).stdout
    assert f"{NAME} in production: watched, cut over" in shown
    assert "  ...   --:--:--  Worklist with answers: refresh the worklist at the console" in shown
    assert "  (may) --:--:--  Verification (C-ECHO)" in shown
    assert shown.splitlines()[-1].startswith("NOT YET: no broker serve runs on production here")


def test_what_was_seen_is_ticked_with_its_time(run: Command, live: Database) -> None:
    call(live, 1)
    shown = run("promote", "watch", NAME, *LIVE, "--once", code=3).stdout
    assert "It calls Production: from 127.0.0.9" in next(line for line in shown.splitlines() if "  seen  " in line)


def test_a_refusal_names_its_cause_and_the_way_back_and_ends_with_1(run: Command, live: Database) -> None:
    call(
        live, 1, device="", result=Result.REJECTED, reason="no device has the title US_ROM2", calling_ae_title="US_ROM2"
    )
    shown = run("promote", "watch", NAME, *LIVE, "--once", code=1).stdout
    assert "refused: no device has the title US_ROM2" in shown
    assert f"to do:    compare the console with broker card {NAME}" in shown
    assert shown.endswith(
        f"TROUBLE: 1 thing is wrong\nthe way back: broker promote rollback {NAME} --env production --why TEXT\n"
    )


def test_json_is_the_whole_state(as_json: Any, live: Database) -> None:
    found = as_json("promote", "watch", NAME, *LIVE, code=3)
    assert (found["life"], found["good"], found["exams"], found["exams_asked"]) == ("watched", False, 0, 1)
    assert {first["first"] for first in found["firsts"]} >= {"worklist_query", "mpps_completed", "image_proven"}


def test_it_ends_when_the_device_is_live_and_says_each_thing_once(run: Command, live: Database) -> None:
    def morning() -> None:
        call(live, 1)
        cut_over(live, "settled", Life.LIVE)

    timer = threading.Timer(0.5, morning)
    timer.start()
    shown = run("promote", "watch", NAME, *LIVE, "--every", "0.1").stdout
    timer.join()
    assert shown.count("It calls Production") == 1
    assert shown.rstrip().endswith("LIVE: us-room-2 has shown what is asked for; nobody need watch")


def test_who_stops_it_is_told_that_the_broker_goes_on(run: Command, live: Database) -> None:
    usual = signal.getsignal(signal.SIGINT)

    def stop() -> None:
        wait_for("it watches", lambda: signal.getsignal(signal.SIGINT) is not usual)
        os.kill(os.getpid(), signal.SIGINT)

    somebody = threading.Thread(target=stop)
    somebody.start()
    result = run("promote", "watch", NAME, *LIVE, "--every", "30", code=3)
    somebody.join()
    assert result.stderr == "no longer watched here; the broker goes on watching\n"
    assert result.stdout.rstrip().splitlines()[-1].startswith("NOT YET")


def test_it_may_wait_for_one_of_the_firsts_alone(run: Command, live: Database) -> None:
    call(live, 1)
    run("promote", "watch", NAME, *LIVE, "--until", "association", "--every", "0.1")
    assert "not one of live, association" in run("promote", "watch", NAME, *LIVE, "--until", "lunch", code=2).stderr


def test_a_time_ends_it_too(run: Command, live: Database) -> None:
    run("promote", "watch", NAME, *LIVE, "--until", "2026-01-01T06:30+01:00", code=3)


def test_a_rollback_ends_it_with_1(run: Command, live: Database) -> None:
    cut_over(live, "suspended", Life.SUSPENDED)
    shown = run("promote", "watch", NAME, *LIVE, code=1).stdout
    assert "ROLLED BACK: us-room-2 is suspended" in shown


def test_without_a_cutover_there_is_nothing_to_watch(run: Command, database: Database, document: Path) -> None:
    assert "there is no modality 'us-room-2'" in run("promote", "watch", NAME, *LIVE, code=1).stderr
    assert "Give --env" in run("promote", "watch", NAME, code=2).stderr


def test_a_scheduled_one_is_waited_for(run: Command, database: Database) -> None:
    with database.write("promotion") as tx:
        store.set_life(tx, NAME, Life.SCHEDULED, now())
    assert "scheduled; the clock applies it" in run("promote", "watch", NAME, *LIVE, "--once", code=3).stdout
