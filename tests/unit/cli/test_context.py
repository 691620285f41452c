import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from broker.audit.model import ActorKind
from broker.cli import NOUNS, main
from broker.cli.context import detail, listing, opened, os_user, titled
from broker.environments import profile as profiles
from broker.errors import Misconfigured, NotFound, Unavailable
from tests.unit.cli.conftest import Command

COLUMNS = [("id", "id"), ("at", "time")]
AT = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


def test_help_names_every_noun_without_importing_any() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from broker.cli import main\n"
        "print(CliRunner().invoke(main, ['--help']).output)\n"
        "print([name for name in sys.modules if name in ('broker.app', 'sqlalchemy', 'rich')])"
    )
    written = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert all(f"\n  {noun} " in written for noun in NOUNS)
    assert written.splitlines()[-1] == "[]"


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_is_there(noun: str) -> None:
    result = CliRunner().invoke(main, [noun, "--help"])
    assert result.exit_code == 0, result.output


def test_word_that_is_no_noun_is_a_usage_error(run: Command) -> None:
    assert "No such command 'modaliti'" in run("modaliti", code=2).stderr


def test_missing_environment_is_a_usage_error_that_names_those_there_are(run: Command, environments: Path) -> None:
    stderr = run("worklist", "list", code=2).stderr
    assert "Give --env or set $BROKER_ENV" in stderr
    assert "production, test" in stderr


def test_environment_may_come_from_the_process(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_ENV", "test")
    run("modality", "list")


def test_unknown_environment_is_one_line_and_exit_1(run: Command) -> None:
    (line,) = run("modality", "list", "--env", "tets", code=1).stderr.splitlines()
    assert line.startswith("there is no environment 'tets': did you mean 'test'?")


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (NotFound("not\n there"), ["not there"]),
        (Unavailable("the database is away"), ["the database is away"]),
        (Misconfigured("f: a: x\nf: b: y"), ["f: a: x", "f: b: y"]),
    ],
)
def test_error_is_a_line_on_stderr_and_misconfiguration_a_line_a_mistake(error: Exception, lines: list[str]) -> None:
    from broker.cli.group import Nouns

    @click.command
    def fail() -> None:
        raise error

    class Failing(Nouns):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fail

    result = CliRunner().invoke(Failing(nouns={}), ["fail"])
    assert (result.exit_code, result.stdout, result.stderr.splitlines()) == (1, "", lines)


def test_environment_is_opened_with_its_database_and_the_user_of_the_system(environments: Path) -> None:
    with opened("test") as environment:
        assert environment.profile.name == "test"
        assert environment.actor == os_user()
        with environment.database.read():
            pass


def test_user_is_known_by_number_not_by_what_the_process_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = os_user()
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    assert os_user() == honest
    assert honest.kind is ActorKind.OS_USER


def test_json_listing_is_one_document_with_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    listing([{"id": "a", "at": AT, "more": ("x", Path("/y"))}], COLUMNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"id": "a", "at": "2026-02-01T08:00:00.000+00:00", "more": ["x", "/y"]}
    ]


def test_table_in_a_pipe_keeps_each_row_on_one_line_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = "1.2.840." + "9" * 300
    listing([{"id": long, "at": AT}, {"id": "[red]b", "at": None}], COLUMNS, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(long in line and "2026-02-01T08:00:00.000+00:00" in line for line in lines)
    assert any("[red]b" in line for line in lines)


def test_table_of_an_environment_shows_instants_in_its_site_s_time(
    environments: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    title = titled(profiles.read(profiles.find("test")), "things, and a title wider than all there is to see below it")
    listing([{"id": "a", "at": AT}], COLUMNS, as_json=False, title=title)
    detail({"in": {"side": [AT]}}, as_json=False, title=title)
    written = capsys.readouterr().out
    assert written.count("2026-02-01 09:00:00 CET") == 2
    assert written.splitlines()[0] == "test things, and a title wider than all there is to see below it"


def test_text_of_a_peer_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    listing([{"id": "a\x1b[2Jb\x07\u202e"}], COLUMNS, as_json=False)
    written = capsys.readouterr().out
    assert "\\x1b[2Jb\\x07\\x202e" in written


def test_title_names_the_world_in_its_colour(environments: Path) -> None:
    title = titled(profiles.read(profiles.find("production")), "[x]")
    assert title.markup == r"[bold red]production[/] \[x]"


def test_one_thing_is_a_line_a_field_or_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    thing: dict[str, object] = {"name": "a", "good": True, "in": {"side": [1, 2]}, "rows": [{"k": "v"}]}
    detail(thing, as_json=True)
    assert json.loads(capsys.readouterr().out) == thing
    detail(thing, as_json=False)
    written = capsys.readouterr().out
    assert all(part in written for part in ("in.side", "1, 2", "yes", "k=v"))


@pytest.mark.parametrize("words", [["env", "list"], ["env", "list", "--json"], ["--help"]])
def test_closed_pipe_is_no_traceback(environments: Path, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "broker", *words]
    try:
        ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writing)
    assert ended.stderr == ""
