"""`broker env` for destinations by STOW-RS: what is shown, what is checked, and that no secret is printed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.web import Web, http, web
from tests.unit.cli.conftest import Command

Json = Callable[..., Any]


@pytest.fixture
def pacs() -> Iterator[Web]:
    with web() as server:
        yield server


@pytest.fixture
def secret(environments: Path, pacs: Web) -> Path:
    """The profile of Test with such a destination; return the file of its secret."""
    file = environments / "password"
    file.touch(mode=0o600)
    file.write_text("hunter2\n", encoding="utf-8")
    profile = environments / "test.toml"
    text = profile.read_text(encoding="utf-8")
    profile.write_text(
        f'{text}\n[[destinations]]\nname = "cloud"\nprotocol = "stow"\nurl = "{pacs.url}"\n'
        '[destinations.login]\nmethod = "basic"\nuser = "broker"\npassword = { file = "password" }\n',
        encoding="utf-8",
    )
    return file


def finding(rows: list[dict[str, str]], check: str) -> dict[str, str]:
    return next(row for row in rows if row["check"] == check)


@pytest.mark.usefixtures("secret")
def test_show_names_the_place_of_a_secret_and_not_the_secret(as_json: Json, run: Command, pacs: Web) -> None:
    shown = as_json("env", "show", "test")
    cloud = next(each for each in shown["destinations"] if each["name"] == "cloud")
    assert cloud["url"] == pacs.url
    assert cloud["login"]["user"] == "broker"
    assert cloud["login"]["secret"].endswith("/password")
    assert cloud["batch_instances"] == 20
    assert "hunter2" not in run("env", "show", "test").stdout


def test_check_says_where_a_secret_is_missing_or_open_to_all(run: Command, secret: Path) -> None:
    assert f"{secret} can be read" in run("env", "check", "test").stdout
    secret.chmod(0o644)
    assert "chmod o-r" in run("env", "check", "test", code=3).stderr
    secret.unlink()
    assert "cannot be read: No such file" in run("env", "check", "test", code=3).stderr


@pytest.mark.usefixtures("secret")
def test_check_asks_the_server_and_says_why_it_is_not_ready(run: Command, pacs: Web) -> None:
    assert "answers a query" in run("env", "check", "test", "--online").stdout
    assert pacs.got[0].headers["authorization"].startswith("Basic ")
    for status, said in ((401, "it does not take our login"), (404, "there is no STOW-RS at this address")):
        pacs.answer = lambda _got, status=status: http(status)  # type: ignore[misc]
        result = run("env", "check", "test", "--online", code=3)
        assert f"HTTP {status}: {said}" in result.stderr
        assert "hunter2" not in result.stdout + result.stderr


def test_the_client_is_loaded_by_who_calls_and_by_nobody_else() -> None:
    code = "import broker.app.serve, sys; assert not {'httpx', 'httpcore', 'h11'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ), timeout=60)
