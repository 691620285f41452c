import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.alerts.store import open_alerts
from broker.audit import store as audit
from broker.audit.model import Actor, ActorKind
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.registry.cache import RegistryCache
from tests.unit.cli.conftest import Command

Json = Callable[..., Any]
ANN = Actor(ActorKind.PERSON, "ann")


def test_applied_document_is_active_when_the_command_returns(run: Command, document: Path) -> None:
    database = open_database(profiles.read(profiles.find("test")))
    cache = RegistryCache(database)
    assert cache.current().by_calling("US_ROOM2") is None
    result = run("modality", "apply", document, "--env", "test")
    device = cache.current().by_calling("US_ROOM2")
    database.close()
    assert device is not None
    revision = hashlib.sha256(document.read_bytes()).hexdigest()
    assert device.revision == revision
    expected = f"us-room-2 revision {revision[:12]} is active in test: AE titles US_ROOM2; stations US_ROOM2\n"
    assert result.stdout == expected


def test_exported_document_has_the_very_bytes(run: Command, document: Path) -> None:
    first = document.read_bytes()
    run("modality", "apply", document, "--env", "test")
    assert run("modality", "export", "us-room-2", "--env", "test").stdout_bytes == first
    document.write_bytes(first + b"# moved\n")
    run("modality", "apply", document, "--env", "test")
    assert run("modality", "export", "us-room-2", "--env", "test").stdout_bytes == first + b"# moved\n"
    sha256 = hashlib.sha256(first).hexdigest()
    assert run("modality", "export", "us-room-2", "--revision", sha256[:12], "--env", "test").stdout_bytes == first


def test_list_and_show_name_what_is_active(run: Command, as_json: Json, document: Path) -> None:
    assert as_json("modality", "list", "--env", "test") == []
    run("modality", "apply", document, "--env", "test")
    (row,) = as_json("modality", "list", "--env", "test")
    assert row == {
        "name": "us-room-2",
        "modality": "US",
        "ae_titles": ["US_ROOM2"],
        "stations": ["US_ROOM2"],
        "host": "",
        "port": None,
        "revision": hashlib.sha256(document.read_bytes()).hexdigest(),
        "state": "active",
    }
    shown = as_json("modality", "show", "us-room-2", "--env", "test")
    assert shown["character_sets"] == ["ISO_IR 100", "ISO_IR 192"]
    assert [revision["active"] for revision in shown["revisions"]] == [True]
    assert shown["revisions"][0]["recorded"].endswith("+00:00")
    assert "us-room-2" in run("modality", "list", "--env", "test").stdout
    assert "US_ROOM2" in run("modality", "show", "us-room-2", "--env", "test").stdout


def test_binding_keeps_what_is_not_said_and_an_empty_title_frees_it(
    run: Command, as_json: Json, document: Path
) -> None:
    run("modality", "apply", document, "--env", "test")
    at = ("modality", "bind", "us-room-2", "--env", "test", "--host", "10.0.0.2", "--port", 104)
    row = as_json(*at, "--ae-title", "US2_TEST", "--station", "ROOM2")
    assert (row["ae_titles"], row["stations"], row["host"], row["port"]) == (["US2_TEST"], ["ROOM2"], "10.0.0.2", 104)
    assert as_json(*at)["ae_titles"] == ["US2_TEST"]
    assert as_json(*at, "--ae-title", "")["ae_titles"] == ["US_ROOM2"]
    assert "at most 16" in run(*at, "--station", "A" * 17, code=2).stderr
    run(*at[:-1], 70000, code=2)


def test_retired_device_stays_in_the_list(run: Command, as_json: Json, document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    assert "is retired in test" in run("modality", "retire", "us-room-2", "--env", "test").stdout
    assert [row["state"] for row in as_json("modality", "list", "--env", "test")] == ["retired"]


def test_unknown_device_is_one_line_and_exit_1(run: Command) -> None:
    for verb in ("show", "export", "retire"):
        result = run("modality", verb, "us-9", "--env", "test", code=1)
        assert result.stderr == "there is no modality 'us-9': see broker modality list\n"
        assert result.stdout == ""


def test_every_mistake_of_a_document_is_a_line(run: Command, document: Path) -> None:
    document.write_text('name = "US"\nmodality = "US"\n', encoding="utf-8")
    lines = run("modality", "apply", document, "--env", "test", code=1).stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{document}: ") for line in lines)


def test_title_of_the_broker_itself_is_refused(run: Command, document: Path) -> None:
    document.write_text('name = "us"\nmodality = "US"\nae_titles = ["BROKER_TEST"]\n', encoding="utf-8")
    assert "this broker's own" in run("modality", "apply", document, "--env", "test", code=1).stderr


def test_route_to_a_destination_that_is_not_there_is_refused(run: Command, document: Path) -> None:
    document.write_bytes(document.read_bytes() + b'[[routes]]\nto = ["archive"]\n')
    stderr = run("modality", "apply", document, "--env", "test", code=1).stderr
    assert stderr == "us-room-2: a route names 'archive', which is no destination of test\n"


def test_production_is_changed_only_by_a_person_who_breaks_the_glass_with_a_reason(
    run: Command, as_json: Json, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = ("modality", "apply", document, "--env", "production")
    assert "add --break-glass --why TEXT" in run(*apply, code=1).stderr
    assert "add --break-glass --why TEXT" in run(*apply, "--why", "fire", code=1).stderr
    assert "needs --why" in run(*apply, "--break-glass", code=1).stderr
    run("modality", "retire", "us-room-2", "--env", "production", code=1)
    run("modality", "bind", "us-room-2", "--host", "h", "--port", 1, "--env", "production", code=1)
    assert "needs the token of a person" in run(*apply, "--break-glass", "--why", "fire in room 2", code=1).stderr
    token = as_json("user", "add", "ann", "--role", "administrator", "--env", "production")["token"]
    monkeypatch.setenv("BROKER_TOKEN", token)
    run(*apply, "--break-glass", "--why", "fire in room 2")
    database = open_database(profiles.read(profiles.find("production")))
    with database.read() as tx:
        _, entry = audit.entries(tx)
        (alert,) = open_alerts(tx)
    database.close()
    assert (entry.action, entry.actor, entry.detail["why"]) == ("modality.apply", ANN, "fire in room 2")
    assert (alert.event, alert.subject) == ("modality.break-glass", "us-room-2")


def test_worlds_share_nothing(run: Command, as_json: Json, document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    assert as_json("modality", "list", "--env", "production") == []


def test_without_an_environment_test_and_production_stand_side_by_side(
    run: Command, as_json: Json, document: Path
) -> None:
    run("modality", "apply", document, "--env", "test")
    (row,) = as_json("modality", "list")
    assert (row["name"], row["same"]) == ("us-room-2", False)
    assert (row["test"]["life"], row["production"]) == ("draft", {"life": "draft", "revision": ""})
    run("modality", "bind", "us-room-2", "--host", "10.0.0.2", "--port", 104, "--env", "test")
    (row,) = as_json("modality", "list")
    assert row["test"]["life"] == "testing"
    assert "test: the device: its own traffic ticks the checks" in row["next"]
    assert "not there" in run("modality", "list").stdout
