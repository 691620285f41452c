"""dcmjs-dimse as a modality that sends MPPS, and as a provider that takes it."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.dcmtk import Node
from tests.peers.npm import FOLDER
from tests.peers.processes import accepts, free_port, program, running, wait_for


@dataclass(frozen=True)
class Conversation:
    """What came back, in order."""

    statuses: list[int]
    comments: list[str]
    events: list[str]


def request(kind: str, uid: str, **attributes: Any) -> dict[str, Any]:
    """Return an N-CREATE ("create") or N-SET ("set") with these attributes, by keyword."""
    return {"kind": kind, "uid": uid, "attributes": attributes}


def send(node: Node, calling: str, requests: Sequence[Mapping[str, Any]]) -> Conversation:
    """Send requests one after the other."""
    document = {"port": node.port, "called": node.ae_title, "calling": calling, "requests": requests}
    done = subprocess.run(
        [program("node", "nodejs npm"), _script("mpps.js")],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Conversation(**json.loads(done.stdout))


@contextmanager
def scp(folder: Path) -> Iterator[Node]:
    """Run an SCP that keeps what it reads in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program("node", "nodejs npm"), _script("mpps_scp.js"), str(port), folder]
    with running(command, folder.parent / f"{folder.name}.log") as process:
        wait_for("dcmjs-dimse listens", lambda: process.poll() is None and accepts(port))
        yield Node(port, "DCMJS")


def kept(folder: Path) -> list[dict[str, Any]]:
    """Return what an SCP kept, in order: kind, uid, attributes."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]


def _script(name: str) -> Path:
    assert (FOLDER / "node_modules" / "dcmjs-dimse").is_dir(), "dcmjs-dimse is missing: run 'make peers'"
    return FOLDER / name
