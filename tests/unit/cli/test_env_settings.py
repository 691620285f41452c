"""`broker env pending | request | approve | adopt` as people run them."""

from pathlib import Path
from typing import Any

import pytest

from broker.app.serve import _settled
from broker.environments import profile as profiles
from tests.unit.cli.conftest import Command

ENV = ("--env", "production")


@pytest.fixture
def people(as_json: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Tokens of an administrator and an approver."""
    tokens: dict[str, str] = {}
    for name, role in (("ann", "administrator"), ("eve", "approver")):
        tokens[name] = as_json("user", "add", name, "--role", role, *ENV)["token"]
        monkeypatch.setenv("BROKER_TOKEN", tokens["ann"])
    return tokens


def _edit(environments: Path) -> None:
    file = environments / "production.toml"
    file.write_text(file.read_text().replace("BROKER_PROD", "BROKER_NEW"))


def _served() -> str:
    return str(_settled(profiles.read(profiles.find("production"))).dicom.ae_title)


def test_an_edited_file_of_production_waits_until_another_person_approves_it(
    run: Command, environments: Path, people: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _served() == "BROKER_PROD"
    assert run("env", "pending", "production").stdout == "production serves what its files say\n"
    assert "nothing is pending" in run("env", "request", "production", "--why", "x", code=1).stderr
    _edit(environments)
    assert _served() == "BROKER_PROD"
    assert '+ae_title = "BROKER_NEW"' in run("env", "pending", "production", code=3).stdout
    assert "other settings are served" in run("env", "check", "production").stdout
    assert "request 2:" in run("env", "request", "production", "--why", "renamed").stdout
    assert "ann is administrator" in run("env", "approve", 2, *ENV, code=1).stderr
    assert _served() == "BROKER_PROD"
    monkeypatch.setenv("BROKER_TOKEN", people["eve"])
    assert "is approved" in run("env", "approve", 2, *ENV).stdout
    assert _served() == "BROKER_NEW"
    run("env", "pending", "production")


def test_the_glass_is_broken_by_an_administrator_with_a_reason_and_everybody_sees_it(
    run: Command, as_json: Any, environments: Path, people: dict[str, str]
) -> None:
    _served()
    _edit(environments)
    assert "another person's approval" in run("env", "adopt", "production", code=1).stderr
    assert "another person's approval" in run("env", "adopt", "production", "--break-glass", code=1).stderr
    run("env", "adopt", "production", "--break-glass", "--why", "the old title is gone")
    assert _served() == "BROKER_NEW"
    assert "environment.break-glass" in {alert["event"] for alert in as_json("alert", "list", *ENV)}


def test_a_test_environment_serves_what_its_files_say(run: Command, environments: Path) -> None:
    file = environments / "test.toml"
    file.write_text(file.read_text().replace("BROKER_TEST", "BROKER_NEW"))
    assert str(_settled(profiles.read(file)).dicom.ae_title) == "BROKER_NEW"
    run("env", "pending", "test")


def test_of_pending_files_a_person_is_told_at_the_start(as_json: Any, environments: Path) -> None:
    _served()
    _edit(environments)
    _served()
    assert [alert["event"] for alert in as_json("alert", "list", *ENV)] == ["environment.pending"]
