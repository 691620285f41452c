"""DCMTK's programs, as a modality and as a PACS."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.processes import accepts, free_port, program, run, running, wait_for


@dataclass(frozen=True)
class Node:
    """Where somebody listens, and under which title."""

    port: int
    ae_title: str


def echoscu(node: Node, calling: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Send C-ECHO."""
    return run([program("echoscu", "dcmtk"), "-v", *options, *_as(node, calling)])


def findscu(node: Node, calling: str, keys: Sequence[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Query the worklist; `keys` as findscu's -k takes them."""
    arguments = [part for key in keys for part in ("-k", key)]
    return run([program("findscu", "dcmtk"), "-v", "-W", *options, *arguments, *_as(node, calling)])


def dcmsend(
    node: Node, calling: str, files: Sequence[Path], *options: str, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Send files, each in its own transfer syntax."""
    command = [program("dcmsend", "dcmtk"), "-v", *options, *_as(node, calling), *map(str, files)]
    return run(command, seconds, TCP_NODELAY="1")


def storescu(node: Node, calling: str, files: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
    """Send files in the transfer syntax that `options` propose."""
    command = [program("storescu", "dcmtk"), "-v", *options, *_as(node, calling), *map(str, files)]
    return run(command, TCP_NODELAY="1")


@contextmanager
def storescp(
    folder: Path, port: int = 0, ae_title: str = "PACS", *options: str, unique: bool = False
) -> Iterator[Node]:
    """Run a PACS that writes what it gets, byte for byte (+B), into `folder`; `unique` keeps what has a name twice."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        program("storescp", "dcmtk"),
        "-v",
        "+B",
        "+xa",
        "-aet",
        ae_title,
        "-od",
        folder,
        *(["--unique-filenames"] if unique else []),
        *options,
        str(port),
    ]
    with running(command, folder.parent / f"{folder.name}.log", {"TCP_NODELAY": "1"}) as process:
        wait_for("storescp listens", lambda: process.poll() is None and accepts(port))
        yield Node(port, ae_title)


def _as(node: Node, calling: str) -> list[str]:
    return ["-aet", calling, "-aec", node.ae_title, "127.0.0.1", str(node.port)]


@contextmanager
def wlmscpfs(folder: Path, *options: str) -> Iterator[int]:
    """Run a worklist provider over the files in `folder`/TITLE, and give its port."""
    port = free_port()
    command = [program("wlmscpfs", "dcmtk"), "-v", "-csk", *options, "-dfp", folder, str(port)]
    with running(command, folder / "wlmscpfs.log", {"TCP_NODELAY": "1"}) as process:
        wait_for("wlmscpfs listens", lambda: process.poll() is None and accepts(port))
        yield port
