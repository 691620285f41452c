"""`broker promote checks | state | waive` and `broker modality echo`, as a person runs them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pynetdicom import AE

from broker.cli.promote_checks import COMMANDS, checks, state, waive
from broker.clock import SystemClock
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.promotion.checks import CHECKS
from broker.promotion.recorded import noting
from tests.unit.cli.conftest import Command

TEST = ("--env", "test")


@pytest.fixture
def device(run: Command, document: Path) -> str:
    """A device in an environment whose `serve` has begun once."""
    run("modality", "apply", document, *TEST)
    profile = profiles.read(profiles.find("test"))
    database = open_database(profile)
    noting.note(database, profile, SystemClock())
    database.close()
    return "us-room-2"


@pytest.fixture
def ann(as_json: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_TOKEN", as_json("user", "add", "ann", "--role", "administrator", *TEST)["token"])


def say(command: click.Command, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def test_each_check_is_shown_with_what_to_do_and_what_is_open_ends_with_3(device: str) -> None:
    shown = say(checks, device, *TEST, code=3)
    assert all(name in shown for name in CHECKS)
    assert "at the console: network settings, this broker, Verify" in shown
    assert "say where it is: broker modality bind us-room-2" in shown
    assert shown.rstrip().endswith(f"of {len(CHECKS)} checks are open")


def test_a_statement_is_signed_by_a_persons_token(device: str, as_json: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (device, "images_look_right", "--text", "loops run", *TEST)
    runner = CliRunner().invoke(state, words)
    assert "needs the token of a person" in str(runner.exception)
    monkeypatch.setenv("BROKER_TOKEN", as_json("user", "add", "ann", "--role", "administrator", *TEST)["token"])
    assert say(state, *words) == "ann states of us-room-2: images_look_right: loops run\n"
    assert "ann: loops run" in say(checks, device, *TEST, code=3)


@pytest.mark.usefixtures("ann")
def test_only_what_a_person_can_see_is_stated(device: str) -> None:
    runner = CliRunner().invoke(state, (device, "still_image", "--text", "I saw one", *TEST))
    assert "it is not a person's to state" in str(runner.exception)


@pytest.mark.usefixtures("ann")
def test_a_waiver_says_who_and_why_wherever_the_check_is_shown(device: str) -> None:
    say(waive, device, "cine_loop", "--why", "the licence for loops is not bought", *TEST)
    assert "ann says so: the licence for loops is not bought" in say(checks, device, *TEST, code=3)


@pytest.mark.usefixtures("ann")
def test_what_must_be_explained_is_not_waived_and_a_slip_of_the_name_is_helped(device: str) -> None:
    runner = CliRunner().invoke(waive, (device, "trouble", "--why", "x", *TEST))
    assert "broker promote state us-room-2 trouble" in str(runner.exception)
    runner = CliRunner().invoke(waive, (device, "cine_lop", "--why", "x", *TEST))
    assert "did you mean 'cine_loop'?" in str(runner.exception)


@pytest.mark.usefixtures("ann")
def test_what_awaits_a_device_in_production_is_waived_there_before_it_comes(as_json: Any) -> None:
    runner = CliRunner().invoke(waive, ("us-room-2", "cine_loop", "--why", "x", *TEST))
    assert "there is no modality 'us-room-2'" in str(runner.exception)
    assert "target_orders does not apply" in say(waive, "us-room-2", "target_orders", "--why", "new room", *TEST)


def test_the_commands_are_given_to_the_group() -> None:
    assert [command.name for command in COMMANDS] == ["checks", "state", "waive"]


@pytest.fixture
def console() -> Iterator[int]:
    """A device that answers C-ECHO; its port."""
    ae = AE("US_ROOM2")
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield server.socket.getsockname()[1]
    server.shutdown()


def test_our_verification_is_kept_whatever_came_of_it(run: Command, device: str, console: int) -> None:
    assert "is not bound in test" in run("modality", "echo", device, *TEST, code=1).stderr
    run("modality", "bind", device, "--host", "127.0.0.1", "--port", console, *TEST)
    assert (
        run("modality", "echo", device, *TEST).stdout == f"us-room-2 at 127.0.0.1:{console} (US_ROOM2) answers C-ECHO\n"
    )


def test_a_verification_that_is_not_answered_fails_the_check(run: Command, device: str) -> None:
    run("modality", "bind", device, "--host", "127.0.0.1", "--port", 1, *TEST)
    assert "127.0.0.1:1 (US_ROOM2)" in run("modality", "echo", device, *TEST, code=1).stderr
    assert "FAILED" in say(checks, device, *TEST, code=3)
