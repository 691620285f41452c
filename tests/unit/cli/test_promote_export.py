"""Test and Production on two hosts: `broker promote export`, and `--from FILE` on the other side."""

from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.promotion import evidence, readiness
from broker.promotion.model import CheckResult, CheckState
from broker.promotion.recorded import noting
from tests.unit.cli.conftest import Command

LIVE = ("--env", "production")
NAME = "us-room-2"
PASSED = (CheckResult("soak", "Soak", CheckState.PASSED, "3 of 3 exams"),)


@pytest.fixture
def packet(run: Command, document: Path, environments: Path, tmp_path: Path) -> Path:
    """The packet of a device that was tested on the other host."""
    (environments / "site.key").write_text("one secret\n")
    for name in ("test", "production"):
        with (environments / f"{name}.toml").open("a") as profile_file:
            profile_file.write('[promotion]\npacket_key = { file = "site.key" }\n')
    run("modality", "apply", document, "--env", "test")
    run("modality", "bind", NAME, "--host", "127.0.0.1", "--port", 1, "--env", "test")
    profile = profiles.read(environments / "test.toml")
    database = open_database(profile)
    noting.note(database, profile, SystemClock())
    database.close()
    file = tmp_path / "us.packet"
    said = run("promote", "export", NAME, file, "--env", "test").stdout
    assert f"{file} written and signed: us-room-2 revision " in said
    (environments / "test.toml").rename(tmp_path / "gone.toml")
    return file


@pytest.fixture
def all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check passes: what they say is tested elsewhere."""
    monkeypatch.setattr(evidence, "judged", lambda *_: PASSED)
    monkeypatch.setattr(readiness, "judge", lambda *_: ())


def test_a_packet_is_planned_with_where_there_is_no_test_environment(run: Command, as_json: Any, packet: Path) -> None:
    sides = (NAME, "--from", packet, "--to", "production")
    plan = as_json("promote", "plan", *sides, code=3)
    assert plan["source"]["environment"] == "test"
    assert {check["check"] for check in plan["checks"]} >= {"soak", "packet_version", "target_orders"}
    assert f"--from {packet}" in run("promote", "plan", *sides, code=3).stdout


@pytest.mark.usefixtures("all_is_well")
def test_what_was_asked_for_by_a_packet_is_applied_by_a_new_one(
    run: Command, as_json: Any, packet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = as_json("user", "add", "ann", "--role", "administrator", *LIVE)["token"]
    monkeypatch.setenv("BROKER_TOKEN", ann)
    eve = as_json("user", "add", "eve", "--role", "approver", *LIVE)["token"]
    id_ = as_json("promote", "request", NAME, "--from", packet, "--to", "production")["id"]
    with monkeypatch.context() as other:
        other.setenv("BROKER_TOKEN", eve)
        run("promote", "approve", id_)
    assert "give it with --from FILE" in run("promote", "apply", id_, code=1).stderr
    assert (
        "a person applies it, the clock does not"
        in run("promote", "apply", id_, "--at", "2030-01-01T06:00+01:00", code=1).stderr
    )
    altered = tmp_path / "altered.packet"
    altered.write_text(packet.read_text().replace("3 of 3", "9 of 9"))
    assert "altered: evidence is not" in run("promote", "apply", id_, "--from", altered, code=1).stderr
    assert "is served in production" in run("promote", "apply", id_, "--from", packet).stdout
    assert as_json("modality", "list", *LIVE)[0]["name"] == NAME


def test_a_packet_is_verified_by_who_has_the_key(run: Command, packet: Path) -> None:
    assert "signed with our key, and not stale" in run("promote", "verify", packet, *LIVE).stdout
    assert "whose profile names the key" in run("promote", "verify", packet, code=1).stderr
    (profiles.folder() / "site.key").write_text("another\n")
    assert "signed with another key" in run("promote", "verify", packet, *LIVE, code=1).stderr


def test_a_packet_of_another_device_is_refused(run: Command, packet: Path) -> None:
    words = ("promote", "plan", "us-room-9", "--from", packet, "--to", "production")
    assert "the packet is of us-room-2, not of us-room-9" in run(*words, code=1).stderr


def test_only_a_test_environment_is_exported(run: Command, packet: Path, tmp_path: Path) -> None:
    words = ("promote", "export", NAME, tmp_path / "x", *LIVE)
    assert "a device is tested in a test environment" in run(*words, code=1).stderr


def test_the_policy_of_the_target_may_be_asked_of_it(run: Command, packet: Path, tmp_path: Path) -> None:
    (tmp_path / "gone.toml").rename(profiles.folder() / "test.toml")
    run("promote", "export", NAME, tmp_path / "x", "--soak-exams", 7, "--env", "test")
    assert '"soak_exams": 7' in (tmp_path / "x").read_text()
