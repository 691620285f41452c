"""`broker user` as a person runs it."""

from typing import Any

import pytest

from tests.unit.cli.conftest import Command

ADD = ("user", "add")
ENV = ("--env", "production")


def _token(as_json: Any, name: str, role: str) -> str:
    return str(as_json("user", "add", name, "--role", role, *ENV)["token"])


def test_the_first_user_is_an_administrator_and_needs_no_token_the_next_needs_his(
    run: Command, as_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "first user must be an administrator" in run(*ADD, "eve", "--role", "approver", *ENV, code=1).stderr
    ann = _token(as_json, "ann", "administrator")
    assert "needs the token of a person" in run(*ADD, "eve", "--role", "approver", *ENV, code=1).stderr
    monkeypatch.setenv("BROKER_TOKEN", ann)
    eve = _token(as_json, "eve", "approver")
    monkeypatch.setenv("BROKER_TOKEN", eve)
    assert "eve is approver" in run(*ADD, "joe", "--role", "viewer", *ENV, code=1).stderr
    rows = as_json("user", "list", *ENV)
    assert [(row["name"], row["role"]) for row in rows] == [("ann", "administrator"), ("eve", "approver")]


def test_a_token_counts_in_its_own_environment_only(
    run: Command, as_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_TOKEN", _token(as_json, "ann", "administrator"))
    assert "nobody's token in test" in run("modality", "list", "--env", "test", code=1).stderr


def test_a_viewer_changes_nothing_and_a_disabled_user_sees_nothing(
    run: Command, as_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = _token(as_json, "ann", "administrator")
    monkeypatch.setenv("BROKER_TOKEN", ann)
    joe = _token(as_json, "joe", "viewer")
    monkeypatch.setenv("BROKER_TOKEN", joe)
    run("modality", "list", *ENV)
    assert "joe is viewer" in run("modality", "retire", "us", *ENV, code=1).stderr
    assert "joe is viewer" in run("user", "disable", "ann", *ENV, code=1).stderr
    for act in (("alert", "ack", 1), ("delivery", "retry", 1), ("order", "dismiss", 1, "--why", "x")):
        assert "joe is viewer" in run(*act, *ENV, code=1).stderr
    monkeypatch.setenv("BROKER_TOKEN", ann)
    assert run("user", "disable", "joe", *ENV).stdout == "joe is disabled\n"
    assert run("user", "disable", "joe", *ENV).stdout == "joe was disabled before\n"
    monkeypatch.setenv("BROKER_TOKEN", joe)
    assert "joe's account in production was disabled" in run("modality", "list", *ENV, code=1).stderr
