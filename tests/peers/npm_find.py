"""dcmjs-dimse as consoles that query the worklist: a list of queries, and what each was answered."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.peers.npm import FOLDER
from tests.peers.processes import program


@dataclass(frozen=True)
class Found:
    """What came back to one query: statuses in order, and the answers by keyword."""

    statuses: list[int]
    comments: list[str]
    answers: list[dict[str, Any]]
    events: list[str]


def find(queries: Sequence[Mapping[str, Any]]) -> list[Found]:
    """Ask `queries` (`port`, `called`, `calling`, and by keyword `asked`) with one program; return what each found."""
    assert (FOLDER / "node_modules" / "dcmjs-dimse").is_dir(), "dcmjs-dimse is missing: run 'make peers'"
    done = subprocess.run(
        [program("node", "nodejs npm"), FOLDER / "find.js"],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [Found(**each) for each in json.loads(done.stdout)]
