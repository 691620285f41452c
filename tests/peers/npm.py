"""dcmjs-dimse, a DICOM upper layer in JavaScript, as a modality and as a PACS. `make peers` installs it."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.dcmtk import Node
from tests.peers.processes import accepts, free_port, program, running, wait_for

FOLDER = Path(__file__).with_name("npm")


@dataclass(frozen=True)
class Encoded:
    """A data set as dcmjs-dimse encoded it to send it."""

    sop_instance_uid: str
    transfer_syntax: str
    data: bytes


@dataclass(frozen=True)
class Conversation:
    """What came back on one association, in order."""

    statuses: list[int]
    answers: list[dict[str, Any]]  # of C-FIND, by keyword
    encoded: list[Encoded]  # by C-STORE
    events: list[str]


def echo(node: Node, calling: str, times: int = 1) -> Conversation:
    """Send C-ECHO."""
    return _converse(node, calling, {"operation": "echo", "times": times})


def find(node: Node, calling: str, keys: Mapping[str, Any], maximum_length: int = 0) -> Conversation:
    """Query the worklist with dcmjs-dimse's own keys, of which `keys` replaces some."""
    return _converse(node, calling, {"operation": "find", "keys": keys, "maximum_length": maximum_length})


def store(node: Node, calling: str, files: Sequence[Path], folder: Path) -> Conversation:
    """Send files; what was encoded is left in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return _converse(
        node, calling, {"operation": "store", "files": [str(file) for file in files], "folder": str(folder)}
    )


@contextmanager
def scp(folder: Path, maximum_length: int = 65536, refused: Sequence[str] = ()) -> Iterator[Node]:
    """Run an SCP that keeps data sets' bytes in `folder` and takes every transfer syntax but those `refused`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [_node(), _script("scp.js"), str(port), folder, str(maximum_length), *refused]
    with running(command, folder.parent / f"{folder.name}.log") as process:
        wait_for("dcmjs-dimse listens", lambda: process.poll() is None and accepts(port))
        yield Node(port, "DCMJS")


def kept(folder: Path) -> set[tuple[str, str, bytes]]:
    """Return what an SCP kept: SOP Instance UID, transfer syntax, the data set's bytes."""
    return {(*file.name.split("@"), file.read_bytes()) for file in folder.iterdir()}  # type: ignore[misc]


def _converse(node: Node, calling: str, asked: Mapping[str, Any]) -> Conversation:
    document = {"port": node.port, "called": node.ae_title, "calling": calling, **asked}
    done = subprocess.run(
        [_node(), _script("scu.js")],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    encoded = [
        Encoded(each["sop_instance_uid"], each["transfer_syntax"], Path(each["file"]).read_bytes())
        for each in said["encoded"]
    ]
    return Conversation(said["statuses"], said["answers"], encoded, said["events"])


def _node() -> str:
    return program("node", "nodejs npm")


def _script(name: str) -> Path:
    assert (FOLDER / "node_modules" / "dcmjs-dimse").is_dir(), "dcmjs-dimse is missing: run 'make peers'"
    return FOLDER / name
