"""`broker promote rehearse`, as an administrator runs it the evening before."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.database import Database
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.promotion.recorded import noting
from broker.promotion.rehearsed import store as rehearsals
from tests.unit.cli.conftest import Command

LIVE = ("--env", "production")
NAME = "us-room-2"
SIDES = (NAME, "--from", "test", "--to", "production")


@pytest.fixture(autouse=True)
def device(run: Command, document: Path, environments: Path, as_json: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device in Test, and ann who may configure Production, where a folder takes images."""
    file = environments / "production.toml"
    with file.open("a") as profile:
        profile.write(
            f'[[destinations]]\nname = "main"\nprotocol = "folder"\npath = "{environments}"\n'
            '[[routes]]\nto = ["main"]\n'
        )
    run("modality", "apply", document, "--env", "test")
    run("modality", "bind", NAME, "--host", "127.0.0.1", "--port", 1, "--env", "test")
    token = as_json("user", "add", "ann", "--role", "administrator", *LIVE)["token"]
    monkeypatch.setenv("BROKER_TOKEN", token)
    profile_ = profiles.read(file)
    database = open_database(profile_)
    noting.note(database, profile_, SystemClock())
    database.close()


@pytest.fixture
def database(device: None) -> Iterator[Database]:
    opened = open_database(profiles.read(profiles.find("production")))
    yield opened
    opened.close()


def states(found: Any) -> dict[str, str]:
    return {check["check"]: check["state"] for check in found["checks"] if check["check"].startswith("rehearsal")}


def test_all_that_applying_does_is_done_and_nothing_stays(run: Command, as_json: Any) -> None:
    found = as_json("promote", "rehearse", *SIDES, code=3)
    assert states(found) == {
        "rehearsal_main": "passed",
        "rehearsal_device": "not applicable",
        "rehearsal_apply": "passed",
        "rehearsal_worklist": "passed",
        "rehearsal_rollback": "passed",
    }
    assert (found["life"], found["good"]) == ("rehearsing", False)
    assert as_json("modality", "list", *LIVE) == []
    assert as_json("promote", "history", NAME, *LIVE) == as_json("promote", "list", *LIVE) == []
    shown = run("promote", "rehearse", *SIDES, "--worklist", code=3).stdout
    assert "tried in production: all 5 went well; everything was undone, nothing changed" in shown
    (beside,) = as_json("modality", "list")
    assert (beside["production"]["life"], beside["same"]) == ("rehearsing", False)
    assert "us-room-2 is rehearsing: nothing is served, its calls to production are refused" in shown
    assert "the folder is there" in shown


def test_the_plan_says_whether_it_was_rehearsed(run: Command, as_json: Any) -> None:
    assert "not rehearsed: broker promote rehearse us-room-2" in run("promote", "plan", *SIDES, code=3).stdout
    run("promote", "rehearse", *SIDES, code=3)
    shown = run("promote", "plan", *SIDES, code=3).stdout
    assert "(rehearsing)" in shown
    assert " checks open, " in shown and " by ann" in shown
    other = run("promote", "plan", *SIDES, "--host", "127.0.0.9", "--port", 104, code=3).stdout
    assert "another plan was rehearsed" in other
    assert as_json("promote", "plan", *SIDES, code=3)["rehearsal"]["this_plan"] is True


def test_its_calls_are_told_apart_while_it_is_rehearsed(run: Command, database: Database) -> None:
    run("promote", "rehearse", *SIDES, code=3)
    with database.read() as tx:
        assert rehearsals.rehearsing(tx, "US_ROOM2") == NAME
        assert rehearsals.rehearsing(tx, "US_ROOM3") == ""
    assert "no longer being rehearsed" in run("promote", "rehearse", *SIDES, "--end").stdout
    with database.read() as tx:
        assert rehearsals.rehearsing(tx, "US_ROOM2") == ""
    assert "is not being rehearsed" in run("promote", "rehearse", *SIDES, "--end", code=1).stderr


def test_what_is_served_already_stays_served_and_is_gone_back_to(
    run: Command, as_json: Any, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glass = (*LIVE, "--break-glass", "--why", "first day")
    run("modality", "apply", document, *glass)
    run("modality", "bind", NAME, "--host", "127.0.0.1", "--port", 1, *glass)
    document.write_bytes(document.read_bytes() + b'location = "ROOM 3"\n')
    with monkeypatch.context() as without:
        without.delenv("BROKER_TOKEN")
        run("modality", "apply", document, "--env", "test")
    before = as_json("modality", "list", *LIVE)
    found = as_json("promote", "rehearse", *SIDES, code=3)
    (back,) = (check["text"] for check in found["checks"] if check["check"] == "rehearsal_rollback")
    assert back == f"back to revision {before[0]['revision'][:12]}, which is served now"
    assert found["life"] != "rehearsing"
    assert as_json("modality", "list", *LIVE) == before


def test_a_candidate_that_production_cannot_take_fails_and_says_why(run: Command, as_json: Any, document: Path) -> None:
    other = document.with_name("other.toml")
    other.write_bytes(document.read_bytes().replace(b"us-room-2", b"us-room-9"))
    run("modality", "apply", other, *LIVE, "--break-glass", "--why", "first day")
    found = as_json("promote", "rehearse", *SIDES, code=3)
    assert states(found)["rehearsal_apply"] == "failed"
    assert "rehearsal_rollback" not in states(found)


def test_only_an_administrator_rehearses(run: Command, as_json: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    token = json.loads(run("user", "add", "eve", "--role", "viewer", *LIVE, "--json").stdout)["token"]
    monkeypatch.setenv("BROKER_TOKEN", token)
    assert "this needs administrator" in run("promote", "rehearse", *SIDES, code=1).stderr
