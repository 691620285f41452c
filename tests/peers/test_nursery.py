"""A forked program is one like any other: its own input, output, errors, variables, session and end."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from broker import __version__
from tests.peers import nursery
from tests.peers.nursery import Forked, Process


def _begin(module: str, words: list[str], folder: Path, **variables: str) -> Process:
    with (folder / "errors").open("wb") as errors:
        process = nursery.program(module, words, errors, variables, takes_input=True)
    assert isinstance(process, Forked)
    return process


def _end(process: Process, given: bytes = b"") -> tuple[int, bytes]:
    assert process.stdin is not None and process.stdout is not None
    with process.stdin as stdin, process.stdout as stdout:
        stdin.write(given)
        stdin.close()
        return process.wait(30), stdout.read()


def test_it_reads_writes_and_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    assert _end(_begin("json.tool", ["--compact"], tmp_path), b'{"a": 1}') == (0, b'{"a":1}\n')
    code, said = _end(_begin("json.tool", [], tmp_path), b"{")
    assert (code, said) == (1, b"")
    assert (tmp_path / "errors").read_text().startswith("Expecting property name")


def test_the_command_has_the_words_variables_and_folder_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _end(_begin("broker", ["--version"], tmp_path)) == (0, f"broker, version {__version__}\n".encode())
    monkeypatch.chdir(tmp_path)
    code, _ = _end(_begin("broker", ["env", "check", "elsewhere"], tmp_path, BROKER_ENVIRONMENTS="named/by/variable"))
    assert (code, "named/by/variable" in (tmp_path / "errors").read_text()) == (1, True)


def test_it_is_killed_with_its_session_and_waited_for(tmp_path: Path) -> None:
    process = _begin("json.tool", [], tmp_path)
    assert os.getsid(process.pid) == process.pid
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert _end(process) == (-signal.SIGKILL, b"")
    process.kill()  # of what has ended: nothing
