"""`python -m tests.bench.store [--only PART…]`: images through the whole product against DCMTK and Orthanc, as ratios.

The product runs as in a hospital: every image synced and indexed before it is answered, then forwarded. The others
sync nothing unless their name says so. Absolute times are those of this machine and moment.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.bench import inputs
from tests.bench.dimse import Table, dcmsend, storescp, timed
from tests.bench.inputs import Shape
from tests.peers.broker import Environment, destination
from tests.peers.dcmtk import Node
from tests.peers.orthanc import orthanc
from tests.peers.processes import free_port, run, wait_for

_POLICY = 'unknown_callers = "accept"'
PARTS = ("receive", "forward", "crowd", "memory")
_PATIENCE = 600.0
_STEP = 0.005
_SENDERS, _EACH = 100, 10
_MIB = 2**20


@contextmanager
def broker(folder: Path, port: int, title: str = "PACS") -> Iterator[tuple[Node, int]]:
    """Serve a fresh environment with one destination on loopback; gives where it listens, and its process group."""
    environment = Environment(folder, destinations=destination("pacs", port, title), policy=_POLICY).write()
    with environment.serving() as serving:
        yield environment.dicom, serving.process.pid


def receive(table: Table, folder: Path, work: dict[str, list[Path]], times: int) -> None:
    """Measure dcmsend into the product, durable and indexed while its PACS is down, and into each peer."""
    ours = {what: _median(lambda n, f=files: _received(folder / f"in{n}", f), times) for what, files in work.items()}
    goals = {"storescp": (storescp(folder / "a"), 1.2), "storescp +B": (storescp(folder / "b", "+B"), 1.0)}
    for name, (peer, goal) in goals.items():
        with peer as node:
            for what, files in work.items():
                theirs = timed(lambda files=files, node=node: dcmsend(node, files), times)  # type: ignore[misc]
                table.compare(f"receive {what}", ours[what], name, theirs, goal)
    with orthanc(folder / "c") as other:
        node = Node(other.port, other.ae_title)
        for what, files in work.items():
            theirs = timed(lambda files=files, node=node: dcmsend(node, files))  # type: ignore[misc]
            table.compare(f"receive {what}", ours[what], "Orthanc", theirs, None)


def _received(folder: Path, files: list[Path]) -> float:
    with _fresh(folder), broker(folder, free_port()) as (node, _):
        return timed(lambda: dcmsend(node, files))


def forward(table: Table, folder: Path, work: dict[str, list[Path]], goals: dict[str, float], times: int) -> None:
    """Measure from the first byte in to the last byte in the file of a storescp behind each."""
    for what, files in work.items():
        direct = _median(lambda n, f=files: _through(folder / f"direct{n}", f, _none), times)
        ours = _median(lambda n, f=files: _through(folder / f"ours{n}", f, _broker), times)
        theirs = _median(lambda n, f=files: _through(folder / f"theirs{n}", f, _orthanc), 1)
        verdict = "reached" if ours <= goals[what] * direct else "NOT reached"
        table.lines.append(
            (
                f"store and forward {what}",
                f"{ours * 1000:.1f} ms",
                f"dcmsend directly {direct * 1000:.1f} ms",
                f"{ours / direct:.2f} times as long  goal {goals[what]:g}: {verdict}",
            )
        )
        table.compare(f"store and forward {what}", ours, "Orthanc's auto-routing", theirs, 4.0)


def _through(folder: Path, files: list[Path], way: Callable[[Path, Node], Iterator[Node]]) -> float:
    """Return the seconds until all has arrived whole at a storescp behind `way`."""
    with _fresh(folder), storescp(folder / "sink") as last, contextmanager(way)(folder / "way", last) as first:
        # A data set arrives whole, however it is written there: at least its pixels.
        least = sum(file.stat().st_size for file in files) * 0.999 - 1024 * len(files)
        begun = time.perf_counter()
        dcmsend(first, files)
        wait_for("all has arrived", lambda: _arrived(folder / "sink" / "kept", len(files), least), _PATIENCE)
        return time.perf_counter() - begun


def _arrived(folder: Path, count: int, least: float) -> bool:
    with os.scandir(folder) as entries:
        sizes = [entry.stat().st_size for entry in entries]
    return len(sizes) >= count and sum(sizes) >= least


def _none(_folder: Path, last: Node) -> Iterator[Node]:
    yield last


def _broker(folder: Path, last: Node) -> Iterator[Node]:
    with broker(folder, last.port) as (node, _):
        yield node


def _orthanc(folder: Path, last: Node) -> Iterator[Node]:
    folder.mkdir()
    script = folder / "route.lua"
    script.write_text("function OnStoredInstance(id, tags, metadata)\n  Delete(SendToModality(id, 'sink'))\nend\n")
    with orthanc(folder / "orthanc", LuaScripts=[str(script)]) as server:
        server.know("sink", "ANY", last.port)
        yield Node(server.port, server.ae_title)


def crowd(table: Table, folder: Path, small: Path) -> None:
    """Let 100 ultrasounds send at once."""
    with _fresh(folder), storescp(folder / "sink", "--ignore") as last, broker(folder / "b", last.port) as (node, _):
        _send(node, small, 1, 1, "1")
        seen = _send(node, small, _SENDERS, _EACH, "2")
    good = not seen["refused"] and seen["stored"] == _SENDERS * _EACH and seen["p95"] <= 0.25
    table.note(
        f"{_SENDERS} senders at once",
        f"{seen['refused']} refused, {seen['stored']} of {_SENDERS * _EACH} stored in {seen['seconds']:.1f} s, "
        f"p95 of an image {seen['p95'] * 1000:.0f} ms, worst {seen['worst'] * 1000:.0f} ms; "
        f"goal none, 250 ms: {'reached' if good else 'NOT reached'}",
    )


def memory(table: Table, folder: Path, loop: Path, gigabytes: float) -> None:
    """Let gigabytes of loops pass, and watch the memory of each process of the product."""
    count = max(2, round(gigabytes * 1e9 / loop.stat().st_size / 2))
    with (
        _fresh(folder),
        storescp(folder / "sink", "--ignore") as last,
        broker(folder / "b", last.port) as (node, group),
    ):
        watch = Watch(group)
        with watch:
            seen = _send(node, loop, 2, count, "3")
            wait_for("the spool is empty", lambda: _size(folder / "b") < 4 * loop.stat().st_size, _PATIENCE)
    size = 2 * count * loop.stat().st_size / 1e9
    verdict = "reached" if watch.most <= 250 * _MIB and seen["stored"] == 2 * count else "NOT reached"
    table.note(
        f"memory while {size:.1f} GB pass",
        f"at most {watch.most / _MIB:.0f} MiB in all processes together, "
        f"{size / seen['seconds'] * 1000:.0f} MB a second; goal 250 MB: {verdict}",
    )


class Watch:
    """The most memory that the processes of a group had together, of what is theirs alone."""

    def __init__(self, group: int) -> None:
        self._group, self.most = group, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            self.most = max(self.most, sum(map(_proportional, _members(self._group))))


def _members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
    return found


def _proportional(pid: int) -> int:
    """Return PSS: what a process shares counts once among all that share it."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return 0


def _send(node: Node, image: Path, associations: int, count: int, number: str) -> dict[str, float]:
    words = [node.port, node.ae_title, image, associations, count, number]
    done = run([sys.executable, "-m", "tests.bench.senders", *map(str, words)], _PATIENCE)
    assert done.returncode == 0, done.stderr[-1000:]
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


@contextmanager
def _fresh(folder: Path) -> Iterator[None]:
    """Have a folder that is gone afterwards, so that gigabytes of one measurement do not stay for the next."""
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder)


def _median(action: Callable[[int], float], times: int) -> float:
    return statistics.median(action(number) for number in range(times))


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: shows that it runs, not how fast")
    parser.add_argument("--times", type=int, default=3, help="repetitions; the median counts")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--gigabytes", type=float, default=10.0, help="that pass while memory is watched")
    arguments = parser.parse_args()
    part, times = (10, 1) if arguments.quick else (1, arguments.times)
    table = Table()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-store-")))
        small = inputs.images(folder / "small", inputs.US, 1000 // part, Shape(176, 188, 8))
        loops = inputs.images(folder / "loop", inputs.US_LOOP, 6 // min(part, 3), Shape(600, 800, 8, frames=121))
        ct = inputs.images(folder / "ct", inputs.CT, 300 // part, Shape(512, 512, 16))
        work = {
            f"{len(ct)} CT of 512 KiB": ct,
            f"{len(loops)} loops of 58 MB": loops,
            f"{len(small)} images of 33 KiB": small,
        }
        goals = dict(zip(work, (1.5, 1.5, 2.0), strict=True))
        gigabytes = 0.3 if arguments.quick else arguments.gigabytes
        parts: dict[str, Callable[[], None]] = {
            "receive": lambda: receive(table, folder, work, times),
            "forward": lambda: forward(table, folder, work, goals, times),
            "crowd": lambda: crowd(table, folder / "crowd", small[0]),
            "memory": lambda: memory(table, folder / "memory", loops[0], gigabytes),
        }
        for name in arguments.only:
            parts[name]()
    table.show()


if __name__ == "__main__":
    main()
