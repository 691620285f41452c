"""The `broker` command as a process: what a terminal is shown that is not UTF-8."""

import json
import sys
from pathlib import Path

import pytest

from tests.peers.broker import Environment
from tests.peers.processes import run

DOCUMENT = 'name = "us-1"\ndescription = "Zażółć 超音波"\nmodality = "US"\nae_titles = ["US1"]\nstations = ["US1"]\n'


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_is_not_utf_8_is_shown_what_it_can_and_json_is_whole(tmp_path: Path, encoding: str) -> None:
    environment = Environment(tmp_path).write()
    environment.register(DOCUMENT)

    def said(*words: str) -> str:
        command = [sys.executable, "-m", "broker", *words, "--env", environment.profile]
        result = run(command, PYTHONIOENCODING=encoding, COLUMNS="120")
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    assert "us-1" in said("modality", "list")
    shown = said("modality", "show", "us-1")
    assert "Za" in shown and "?" in shown
    assert json.loads(said("modality", "show", "us-1", "--json"))["description"] == "Zażółć 超音波"
