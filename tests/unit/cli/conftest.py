"""Two worlds in a temporary folder, and the command as a person runs it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from tests.peers.migrated import make_state

PROFILE = """
name = "{name}"
kind = "{kind}"
timezone = "Europe/Berlin"
state = "../var/{name}"
[hl7]
host = "127.0.0.1"
port = {hl7}
[dicom]
host = "127.0.0.1"
port = {dicom}
ae_title = "BROKER_{title}"
[http]
host = "127.0.0.1"
port = {http}
"""


class Command(Protocol):
    def __call__(self, *words: object, code: int = 0) -> Result: ...


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the profiles `test` and `production`, in `$BROKER_ENVIRONMENTS`; `$BROKER_ENV` is unset."""
    folder = tmp_path / "environments"
    folder.mkdir()
    for number, name in enumerate(("test", "production")):
        text = PROFILE.format(
            name=name, kind=name, title=name[:4].upper(), hl7=2575 + number, dicom=11112 + number, http=8081 + number
        )
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
        make_state(tmp_path / "var" / name)
    monkeypatch.setenv("BROKER_ENVIRONMENTS", str(folder))
    monkeypatch.delenv("BROKER_ENV", raising=False)
    monkeypatch.delenv("BROKER_TOKEN", raising=False)
    return folder


@pytest.fixture
def no_state(environments: Path) -> None:
    """Leave the environments as they are before their first start; else each has an empty database."""
    shutil.rmtree(environments.parent / "var")


@pytest.fixture
def run(environments: Path) -> Command:
    """Run `broker` with these words and expect this exit code."""

    def command(*words: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == code, result.output + repr(result.exception)
        return result

    return command


@pytest.fixture
def as_json(run: Command) -> Callable[..., Any]:
    """Run `broker` with these words and `--json`, and return the document."""
    return lambda *words, code=0: json.loads(run(*words, "--json", code=code).stdout)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A modality document with bytes that no writer would give back by itself."""
    file = tmp_path / "us-room-2.toml"
    file.write_bytes(b'# Room 2\r\nname   = "us-room-2"\nmodality = "US"\nae_titles = ["US_ROOM2"]\n\n')
    return file
