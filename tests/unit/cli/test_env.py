import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from broker.environments import bound
from broker.environments import profile as profiles
from tests.peers.processes import free_port
from tests.unit.cli.conftest import Command

Json = Callable[..., Any]

DESTINATION = (
    '[[destinations]]\nname = "{name}"\nprotocol = "dimse"\nhost = "127.0.0.1"\nport = {port}\nae_title = "PACS"\n'
)


@pytest.fixture
def closed_port() -> int:
    return free_port()


@pytest.fixture
def rude_port() -> Iterator[int]:
    """A port that accepts and hangs up: no DICOM program."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def _hang_up(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            server.accept()[0].close()


@pytest.fixture
def storescp_port(closed_port: int) -> Iterator[int]:
    """DCMTK's storescp."""
    command = ["storescp", "--ignore", "-aet", "PACS", str(closed_port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", closed_port), timeout=1):
                break
            time.sleep(0.05)
        yield closed_port
        program.terminate()


def add(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_list_shows_each_profile_with_ports_and_title(as_json: Json, run: Command) -> None:
    production, test = as_json("env", "list")
    assert (test["name"], test["kind"], test["ae_title"], test["valid"]) == ("test", "test", "BROKER_TEST", True)
    assert (test["hl7"], test["dicom"], test["http"]) == (2575, 11112, 8081)
    assert production["mistakes"] == []
    assert "BROKER_PROD" in run("env", "list").stdout


def test_list_counts_the_mistakes_of_a_profile_that_is_not_valid(
    as_json: Json, run: Command, environments: Path
) -> None:
    (environments / "broken.toml").write_text('name = "broken"\nkind = "best"\n', encoding="utf-8")
    broken = as_json("env", "list")[0]
    assert (broken["name"], broken["valid"]) == ("broken", False)
    assert len(broken["mistakes"]) == 6
    assert "6 mistakes" in run("env", "list").stdout


def test_show_gives_defaults_and_hides_a_password(
    as_json: Json, environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_SECRET", "s3cret")
    add(environments / "test.toml", '[database]\nurl = "postgresql+psycopg://b:${ENV:DB_SECRET}@db/x"\n')
    shown = as_json("env", "show", "test")
    assert shown["database"]["url"] == "postgresql+psycopg://b:***@db/x"
    assert shown["hl7"]["processing_ids"] == ["T", "D"]
    assert shown["policy"] == {"unknown_callers": "reject"}


@pytest.mark.usefixtures("no_state")
def test_check_of_a_good_profile_changes_nothing(run: Command, environments: Path) -> None:
    run("env", "check", "test")
    assert not (environments.parent / "var").exists()


def test_check_names_every_mistake_and_exits_1(run: Command, environments: Path) -> None:
    (environments / "test.toml").write_text('name = "test"\nkind = "best"\n', encoding="utf-8")
    assert len(run("env", "check", "test", code=1).stderr.splitlines()) == 6


def test_check_counts_the_devices_in_service(run: Command, as_json: Json, document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    findings = {row["check"]: row["finding"] for row in as_json("env", "check", "test")}
    assert findings["modalities"] == "1 active: us-room-2"
    assert findings["database"] == "answers"


def test_check_finds_what_two_worlds_share(run: Command, environments: Path) -> None:
    production = environments / "production.toml"
    text = production.read_text(encoding="utf-8").replace("var/production", "var/test").replace("11113", "11112")
    production.write_text(text, encoding="utf-8")
    lines = run("env", "check", "test", code=3).stderr.splitlines()
    assert [line.partition(" is also")[0] for line in lines] == [
        f"separation: state directory {environments.parent}/var/test",
        f"separation: database sqlite:///{environments.parent}/var/test/broker.db",
        "separation: port 11112",
    ]


@pytest.mark.usefixtures("no_state")
def test_check_finds_a_state_that_is_no_directory(run: Command, environments: Path) -> None:
    (environments.parent / "var").write_text("", encoding="utf-8")
    assert f"state: {environments.parent}/var is no directory" in run("env", "check", "test", code=3).stderr


def test_check_finds_a_database_that_does_not_answer(run: Command, environments: Path) -> None:
    add(environments / "test.toml", '[database]\nurl = "postgresql+psycopg://b@127.0.0.1:1/x"\n')
    assert "database: the database does not answer" in run("env", "check", "test", code=3).stderr


def test_check_finds_a_port_that_another_program_has(run: Command, as_json: Json, environments: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        profile = environments / "test.toml"
        profile.write_text(profile.read_text().replace("port = 11112", f"port = {port}"))
        said = run("env", "check", "test", code=3).stderr
        assert f"port dicom: [dicom] port {port} of 127.0.0.1 is taken by another program" in said
        served = profiles.read(profile)
        bound.tell(served, {"dicom": port})  # as a `serve` of this environment that was killed left it
        assert "is taken by another program" in run("env", "check", "test", code=3).stderr
        held = bound.take(served)  # and as one that runs has it
        findings = {row["check"]: row["finding"] for row in as_json("env", "check", "test")}
        assert held is not None
        os.close(held)
    assert findings["port dicom"] == "open, `serve` runs"
    assert findings["port hl7"] == "2575 is free"


def test_online_check_names_why_a_destination_is_not_reached(
    run: Command, environments: Path, closed_port: int
) -> None:
    add(environments / "test.toml", DESTINATION.format(name="down", port=closed_port))
    run("env", "check", "test")
    (line,) = run("env", "check", "test", "--online", code=3).stderr.splitlines()
    assert line.startswith(f"destination down: 127.0.0.1:{closed_port}: connection refused: is the program started")


def test_online_check_finds_a_program_that_does_not_speak_dicom(environments: Path, rude_port: int) -> None:
    add(environments / "test.toml", DESTINATION.format(name="rude", port=rude_port))
    command = [sys.executable, "-m", "broker", "env", "check", "test", "--online"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"destination rude: 127.0.0.1:{rude_port} (PACS): ")
    assert last.endswith("is a DICOM program listening there?")


@pytest.mark.foreign
def test_online_check_is_content_with_a_destination_that_answers(
    as_json: Json, environments: Path, storescp_port: int
) -> None:
    add(environments / "test.toml", DESTINATION.format(name="pacs", port=storescp_port))
    *_, answers, proof = as_json("env", "check", "test", "--online")
    assert answers["finding"] == f"127.0.0.1:{storescp_port} (PACS) answers C-ECHO"
    assert proof["finding"] == "none: it takes no storage commitment; what it answers to an instance counts"


@pytest.mark.foreign
@pytest.mark.parametrize(("proof", "called"), [("commitment", "storage commitment"), ("find", "queries (Study Root)")])
def test_online_check_finds_a_destination_that_cannot_prove_as_it_should(
    run: Command, environments: Path, storescp_port: int, proof: str, called: str
) -> None:
    add(environments / "test.toml", DESTINATION.format(name="pacs", port=storescp_port) + f'proof = "{proof}"\n')
    lines = run("env", "check", "test", "--online", code=3).stderr.splitlines()
    assert lines == [f"proof of pacs: it takes no {called}: enable it there, or set another proof"]


def test_two_environments_are_compared_by_settings_and_devices(run: Command, as_json: Any, document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    found = as_json("env", "diff", "test", "production", code=3)
    rows = {(row["what"], row["field"]): (row["one"], row["other"]) for row in found["differences"]}
    assert rows["settings", "dicom.ae_title"] == ("BROKER_TEST", "BROKER_PROD")
    assert rows["us-room-2", ""][1] == "not there"
    assert as_json("env", "diff", "test", "test")["differences"] == []
    assert "dicom.port" in run("env", "diff", "test", "production", code=3).stdout
