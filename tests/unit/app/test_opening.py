"""A port that cannot be opened, as the person who starts `serve` reads of it."""

import json
import os
import signal
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.peers.broker import Environment
from tests.peers.processes import accepts, free_port, wait_for
from tests.torture.usage import children


def _refusal(environment: Environment) -> dict[str, Any]:
    """Start in vain, and return the line that says why."""
    with pytest.raises(AssertionError, match="not ready"):
        environment.start()
    lines = [json.loads(line) for line in environment.log.read_text().splitlines()]
    (told,) = [line for line in lines if line["event"] == "process.failed"]
    assert lines[-1]["code"] == 1
    return dict(told)


@pytest.mark.parametrize("noun", ["hl7", "dicom", "http"])
def test_a_port_that_another_program_has_is_named(tmp_path: Path, noun: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        why = _refusal(Environment(tmp_path, ports={noun: port}).write())["why"]
    assert f"[{noun}] port {port} of 127.0.0.1 is taken by another program" in why
    assert f"ss -ltnp 'sport = :{port}'" in why


def test_a_port_that_is_taken_while_the_listeners_restart_is_an_alert_and_had_again_later(tmp_path: Path) -> None:
    environment = Environment(tmp_path, ports={"hl7": free_port()}).write()
    with environment.serving() as serving:
        port = environment.ports["hl7"]
        with _instead_of_the_listeners(serving.process.pid, port):
            (alert,) = wait_for("an alert", lambda: environment.ask("alert", "list"))
        wait_for("it listens again", lambda: accepts(port))
    assert (alert["event"], alert["severity"]) == ("listener.closed", "urgent")
    assert f"[hl7] port {port} of 127.0.0.1 is taken by another program" in alert["text"]


def _instead_of_the_listeners(supervisor: int, port: int) -> socket.socket:
    """Kill the process of the listeners and take one of its ports, before its supervisor can start it again."""
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(children(supervisor)[0], signal.SIGKILL)
        return wait_for("its port is free", partial(_taken, port))
    finally:
        os.kill(supervisor, signal.SIGCONT)


def _taken(port: int) -> socket.socket | None:
    with suppress(OSError):
        return socket.create_server(("127.0.0.1", port))
    return None


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_said_to_be_that(tmp_path: Path, host: str) -> None:
    environment = Environment(tmp_path).write()
    text = environment.profile.read_text().replace('[dicom]\nhost = "127.0.0.1"', f'[dicom]\nhost = "{host}"')
    environment.profile.write_text(text)
    assert f"'{host}' is no address of this machine" in _refusal(environment)["why"]
