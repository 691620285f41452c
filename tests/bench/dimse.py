"""`python -m tests.bench.dimse [--only PART…]`: our upper layer against DCMTK, Orthanc and pynetdicom, as ratios.

Only our sink syncs (pwrite and fdatasync before each answer). Absolute times are those of this machine and moment;
what is compared is measured in turn.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pynetdicom.dsutils import encode

from broker.dimse import message
from broker.dimse.message import Element
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import OutgoingInstance, Peer, ProposedContext
from tests.bench import inputs
from tests.bench.inputs import Shape
from tests.peers.dcmtk import Node
from tests.peers.orthanc import orthanc
from tests.peers.processes import accepts, free_port, program, run, running, wait_for
from tests.peers.raw_sender import read_part10
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import RawPeer, data

EXPLICIT = raw_peer.EXPLICIT
PARTS = ("receive", "send", "find", "crowd", "busy")


@dataclass
class Table:
    """The lines of the report."""

    lines: list[tuple[str, str, str, str]] = field(default_factory=list)

    def compare(self, what: str, ours: float, name: str, theirs: float, goal: float | None) -> None:
        """Note a ratio: how many times faster we are than `name`, and the goal for it."""
        ratio = theirs / ours
        verdict = "" if goal is None else f"goal {goal:g}: {'reached' if ratio >= goal else 'NOT reached'}"
        self.lines.append(
            (what, f"{ours * 1000:.1f} ms", f"{name} {theirs * 1000:.1f} ms", f"{ratio:.2f} x  {verdict}")
        )

    def note(self, what: str, text: str) -> None:
        """Note something that is no ratio."""
        self.lines.append((what, text, "", ""))

    def show(self) -> None:
        """Print the lines in columns."""
        widths = [max(len(line[n]) for line in self.lines) for n in range(3)]
        for line in self.lines:
            print(
                "  ".join([*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[3]]).rstrip()
            )


@contextmanager
def sink(folder: Path, *options: str) -> Iterator[tuple[Node, int]]:
    """Run our sink; gives where it listens, and its process id."""
    command = [sys.executable, "-m", "tests.bench.sink", str(folder / "-".join(("sink", *options))), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        yield Node(int(process.stdout.readline()), "FIND10"), process.pid
        process.stdin.close()


@contextmanager
def listening(command: list[str | Path], port: int, log: Path) -> Iterator[Node]:
    """Run a foreign SCP."""
    with running(command, log, {"TCP_NODELAY": "1"}) as process:
        wait_for(f"{command[0]} listens", lambda: process.poll() is None and accepts(port), 30)
        yield Node(port, "ANY")


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Node]:
    """Run DCMTK's storescp."""
    kept, port = folder / "kept", free_port()
    kept.mkdir(parents=True)
    command = [program("storescp", "dcmtk"), *options, "-od", kept, str(port)]
    with listening(command, port, folder / "log") as node:
        yield node


@contextmanager
def pynetdicom(folder: Path) -> Iterator[Node]:
    """Run pynetdicom's storescp."""
    kept, port = folder / "kept", free_port()
    kept.mkdir(parents=True)
    command = [sys.executable, "-W", "ignore", "-m", "pynetdicom", "storescp", "-q", "-od", kept, str(port)]
    with listening(list(command), port, folder / "log") as node:
        yield node


@contextmanager
def wlmscpfs(folder: Path, count: int, matching: int) -> Iterator[Node]:
    """Run DCMTK's worklist SCP over `count` items."""
    inputs.worklist_folder(folder, count, matching)
    port = free_port()
    command = [program("wlmscpfs", "dcmtk"), "-dfp", folder, str(port)]
    with listening(command, port, folder.parent / f"{folder.name}.log") as node:
        yield Node(node.port, "BENCH")


def timed(action: Callable[[], object], times: int = 1) -> float:
    """Return the median seconds that `action` takes."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def dcmsend(node: Node, files: list[Path], nagle: bool = False) -> None:
    """Send files with DCMTK; with `nagle` as it is shipped."""
    command = [program("dcmsend", "dcmtk"), "-aec", node.ae_title, "127.0.0.1", str(node.port), *map(str, files)]
    sent = run(command, 600.0, TCP_NODELAY="0" if nagle else "1")
    assert sent.returncode == 0, sent.stderr[-500:]


def in_turn(actions: Sequence[Callable[[], object]], times: int) -> list[float]:
    """Return the median seconds of each action; they take turns, so that what else goes on meets all of them."""
    taken = [[timed(action) for action in actions] for _ in range(times)]
    return [statistics.median(each) for each in zip(*taken, strict=True)]


def receive(table: Table, folder: Path, work: dict[str, list[Path]], times: int, nagled: list[Path]) -> None:
    """Measure dcmsend into our sink and into each peer."""
    peers = {
        "storescp": (storescp(folder / "a"), 1.5, 50.0, times),
        "storescp +B": (storescp(folder / "b", "+B"), 1.3, 50.0, times),
        "Orthanc": (orthanc(folder / "c"), 3.0, None, 1),
        "pynetdicom": (pynetdicom(folder / "d"), None, None, 1),
    }
    for name, (peer, goal, nagle_goal, rounds) in peers.items():
        with sink(folder) as (own, _), peer as other:
            nodes = own, Node(other.port, other.ae_title)
            for what, files in work.items():
                ours, theirs = in_turn([partial(dcmsend, node, files) for node in nodes], rounds)
                table.compare(f"receive {what}", ours, name, theirs, goal)
            if nagle_goal:
                ours, theirs = in_turn([partial(dcmsend, node, nagled, nagle=True) for node in nodes], 1)
                table.compare(f"receive {len(nagled)} small, Nagle sender", ours, name, theirs, nagle_goal)


def send(table: Table, folder: Path, work: dict[str, list[Path]], times: int) -> None:
    """Measure our sending beside dcmsend's, into a storescp that keeps nothing."""
    with storescp(folder / "send", "--ignore") as node:
        for what, files in work.items():
            instances = [_outgoing(path) for path in files]
            ours, theirs = in_turn([partial(_send_all, node, instances), partial(dcmsend, node, files)], times)
            table.compare(f"send {what}", ours, "dcmsend", theirs, 1.0)


def _outgoing(path: Path) -> OutgoingInstance:
    part10 = read_part10(path)
    length = len(part10.data)
    offset = path.stat().st_size - length
    return OutgoingInstance(
        part10.sop_class_uid, part10.sop_instance_uid, part10.transfer_syntax, str(path), offset, length
    )


def _send_all(node: Node, instances: list[OutgoingInstance]) -> None:
    wanted = {(each.sop_class_uid, each.transfer_syntax) for each in instances}
    peer = Peer("127.0.0.1", node.port, node.ae_title, "BENCH")
    with EngineRequestor().associate(peer, wanted) as association:
        for instance in instances:
            assert association.store(instance).status == 0


class Replay:
    """A client whose bytes are ready: a fresh association, one C-FIND, all its answers, release."""

    def __init__(self, node: Node) -> None:
        self._port = node.port
        context = ProposedContext(1, inputs.WORKLIST, (raw_peer.IMPLICIT,))
        self._rq = raw_peer.rq((context,), 131072).replace(b"BROKER".ljust(16), node.ae_title.encode().ljust(16), 1)
        keys = encode(inputs.worklist_keys(), True, True)
        assert keys is not None
        self._find = data(1, 3, message.find_request(1, inputs.WORKLIST)) + data(1, 2, keys)

    def __call__(self) -> int:
        """Ask once; return the number of pending answers."""
        with RawPeer.connect(self._port, 60.0) as peer:
            peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.send(self._rq)
            assert peer.read()[0] == 2
            peer.send(self._find)
            pending = 0
            while self._next_status(peer) in (0xFF00, 0xFF01):
                pending += 1
            peer.send(raw_peer.RELEASE_REQUEST)
            assert peer.read()[0] == 6
        return pending

    def _next_status(self, peer: RawPeer) -> int | None:
        while True:
            kind, body = peer.read()
            assert kind == 4, f"PDU type {kind}"
            if body[5] & 1:
                return message.decode(body[6:]).number(Element.STATUS)


def find(table: Table, folder: Path, times: int) -> None:
    """Measure C-FIND on fresh associations, by bytes that are ready, and by findscu."""
    with sink(folder) as (node, _):
        ours = {n: _asked(Node(node.port, f"FIND{n}"), n, times) for n in (10, 500)}
        ours_findscu = timed(lambda: _findscu(node), 3)
    for answers, items in ((10, 100), (500, 500)):
        with wlmscpfs(folder / f"wl{items}", items, answers) as other:
            theirs = _asked(other, answers, times)
            table.compare(f"C-FIND, {answers} answers of {items} items", ours[answers], "wlmscpfs", theirs, 2.0)
            if answers == 10:
                table.compare("the same by findscu", ours_findscu, "wlmscpfs", timed(lambda: _findscu(other), 3), None)


def _asked(node: Node, expected: int, times: int) -> float:
    ask = Replay(node)
    assert ask() == expected
    return timed(ask, times)


def _findscu(node: Node) -> None:
    words = ["-W", "-k", "0040,0100[0].0008,0060=US", "-k", "0010,0010", "-aec", node.ae_title]
    assert run([program("findscu", "dcmtk"), *words, "127.0.0.1", str(node.port)]).returncode == 0


def crowd(table: Table, folder: Path) -> None:
    """Open 100 associations at once, twice; none may be refused, and memory stays flat."""
    with sink(folder) as (node, pid):
        sizes, served = [], 0
        for _ in range(3):
            served = _all_at_once(node)
            sizes.append(_resident(pid))
    growth = (sizes[-1] - sizes[0]) / 1024
    table.note("100 associations at once", f"{served} served; memory {sizes[0] // 1024} MiB, then {growth:+.1f} MiB")


def _all_at_once(node: Node) -> int:
    served: list[int] = []
    gate = threading.Barrier(100)

    def one() -> None:
        with RawPeer.connect(node.port, 60.0) as peer:
            gate.wait(60)
            peer.send(raw_peer.rq())
            if peer.read()[0] == 2:
                gate.wait(60)  # all are established at the same moment
                peer.send(raw_peer.echo())
                served.append(peer.response().field)

    threads = [threading.Thread(target=one) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return len(served)


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def beside_busy_thread(table: Table, folder: Path, small: list[Path], times: int) -> None:
    """Send 20 small images alone, and while a thread of the same process encodes data sets."""
    with sink(folder) as (idle, _), sink(folder, "--busy") as (busied, _):
        alone, busy = in_turn([partial(dcmsend, node, small[:20]) for node in (idle, busied)], times)
    verdict = "reached" if busy <= 2 * alone else "NOT reached"
    table.note(
        "20 small images beside a busy thread", f"{busy * 1000:.0f} ms, alone {alone * 1000:.0f} ms; goal 2: {verdict}"
    )


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: shows that it runs, not how fast")
    parser.add_argument("--times", type=int, default=3, help="repetitions; the median counts")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    arguments = parser.parse_args()
    part, times = (10, 1) if arguments.quick else (1, arguments.times)
    table = Table()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-dimse-")))
        small = inputs.images(folder / "small", inputs.US, 1000 // part, Shape(176, 188, 8))
        work = {
            f"{300 // part} CT of 512 KiB": inputs.images(folder / "ct", inputs.CT, 300 // part, Shape(512, 512, 16)),
            f"{6 // min(part, 3)} loops of 58 MB": inputs.images(
                folder / "loop", inputs.US_LOOP, 6 // min(part, 3), Shape(600, 800, 8, frames=121)
            ),
            f"{len(small)} images of 33 KiB": small,
        }
        parts: dict[str, Callable[[], None]] = {
            "receive": lambda: receive(
                table, folder, work, times, small[: len(small) // (5 if arguments.quick else 1)]
            ),
            "send": lambda: send(table, folder, work, times),
            "find": lambda: find(table, folder, 20 * times),
            "crowd": lambda: crowd(table, folder),
            "busy": lambda: beside_busy_thread(table, folder, small, 3 * times),
        }
        for name in arguments.only:
            parts[name]()
    table.show()


if __name__ == "__main__":
    main()
