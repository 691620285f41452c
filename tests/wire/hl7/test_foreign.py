"""Clients that nobody here wrote send a thousand messages on one connection, and one sends byte by byte."""

import json
import subprocess

import pytest

from hl7.message import Message
from tests.peers import install, pypi_hl7
from tests.peers.processes import program
from tests.wire.hl7.listener import Listening, listening

MANY = 1000
pytestmark = pytest.mark.foreign


def npm_client(script: str, port: int, count: int) -> list[tuple[str, str]]:
    """Have a client of npm send orders over one connection; return MSA-1 and MSA-2 of each answer as it reads them."""
    assert install.STAMP.is_file(), "npm's packages are missing: run 'make peers'"
    asked = json.dumps({"port": port, "count": count})
    command = [program("node", "nodejs npm"), install.NPM / script]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [(code, control_id) for code, control_id in json.loads(done.stdout)["answers"]]


def assert_all_taken(listener: Listening, answers: list[tuple[str, str]], letter: str, count: int) -> None:
    expected = [f"{letter}{number}" for number in range(count)]
    assert answers == [("AA", control_id) for control_id in expected]
    read = [Message.read(payload) for payload in listener.taken]
    assert [message.header.control_id for message in read] == expected
    assert {(pid.get(5), pid.get(5, 2)) for message in read for pid in message.all("PID")} == {("Müßig", "Eva")}
    assert [orc.get(2) for message in read for orc in message.all("ORC")] == [f"P{number}" for number in range(count)]
    listener.await_that(lambda: listener.count("mllp.closed") == 1)
    assert listener.count("mllp.opened") == 1
    assert listener.count("mllp.discarded") == 0


@pytest.mark.parametrize(("script", "letter"), [("hl7_node_client.js", "N"), ("hl7_simple.js", "S")])
def test_client_of_npm_sends_a_thousand_messages_on_one_connection(script: str, letter: str) -> None:
    with listening() as listener:
        assert_all_taken(listener, npm_client(script, listener.port, MANY), letter, MANY)


def test_client_of_pypi_sends_a_thousand_messages_on_one_connection() -> None:
    with listening() as listener:
        assert_all_taken(listener, pypi_hl7.send(listener.port, MANY), "H", MANY)


def test_client_of_pypi_sends_byte_by_byte() -> None:
    with listening() as listener:
        assert_all_taken(listener, pypi_hl7.send(listener.port, 20, byte_by_byte=True), "H", 20)
