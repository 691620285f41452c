"""Fault F26: two nodes that send from one database and one spool; one is killed, or frozen while the other takes over.

The product is run as one `broker serve` for each state. What is shown here is what several would rest on: leases, their
tokens (fencing) and their ends, on PostgreSQL, by real processes; it is no support of several nodes.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from broker.delivery.model import DeliveryState
from broker.delivery.worker import LEASE_SECONDS
from tests.peers import postgresql
from tests.torture.classes import Case, FaultClass
from tests.torture.node import FROZEN_SECONDS
from tests.torture.pacs import Pacs, Plan, Turn, is_good
from tests.torture.store_time import fill
from tests.torture.store_world import World

_WAITING = 150  # three batches
_NODES = ("one", "two")
_PATIENCE = 30.0


@dataclass
class Nodes:
    """A world whose images are sent by processes beside it, which come and go."""

    folder: Path
    world: World
    pacs: Pacs
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def offset(self) -> Path:
        """The file with the seconds by which the nodes' clocks are ahead."""
        return self.folder / "offset"

    def start_all(self) -> None:
        """Start the nodes that do not run, side by side."""
        started = [self._started(name) for name in _NODES if name not in self.running]
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "ready\n", "the node did not start"

    def _started(self, name: str) -> subprocess.Popen[str]:
        """Start a node, with a state of its own and everybody's spool."""
        state = self.folder / f"state-{name}"
        if not state.exists():
            state.mkdir()
            (state / "spool").symlink_to(self.folder / "state" / "spool")
        profile = self.folder / f"{name}.toml"
        profile.write_text((self.folder / "torture.toml").read_text().replace('"state"', f'"state-{name}"'))
        environment = {**os.environ, "BROKER_TEST_HOOKS": "1", "BROKER_CLOCK_OFFSET_FILE": str(self.offset)}
        words = [sys.executable, "-m", "tests.torture.node", str(profile)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.running[name] = process
        return process

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a node."""
        self.running[name].send_signal(number)

    def end(self, name: str) -> None:
        """End a node; one that was killed is gone."""
        process = self.running.pop(name)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(_PATIENCE)
        process.stdout.close()

    def close(self) -> None:
        """End all."""
        for name in list(self.running):
            self.running[name].kill()
            self.end(name)
        self.world.close()


# --- what happens to them ----------------------------------------------------------------------------------------


def two_nodes() -> Iterator[Case[Nodes]]:
    """F26: both send; one is killed, or killed and started again, or frozen until its leases have ended."""
    for seed in range(8):
        for name, how in (("both send", _both), ("killed", _killed), ("started again", _again), ("frozen", _frozen)):
            yield Case(f"{name}, seed {seed}", partial(how, seed))


def _both(seed: int, nodes: Nodes) -> Counter[str]:
    return _demand(nodes, _begun(seed, nodes), unknown=0)


def _killed(seed: int, nodes: Nodes) -> Counter[str]:
    """What it had leased is the other's when its time is over."""
    uids = _begun(seed, nodes)
    unknown = _struck(nodes, seed, uids, signal.SIGKILL)
    nodes.end("one")
    _leases_end(nodes)
    return _demand(nodes, uids, unknown)


def _again(seed: int, nodes: Nodes) -> Counter[str]:
    """What it had leased it gives back itself, at once; the other's leases stay."""
    uids = _begun(seed, nodes)
    unknown = _struck(nodes, seed, uids, signal.SIGKILL)
    nodes.end("one")
    nodes.start_all()
    return _demand(nodes, uids, unknown)


def _frozen(seed: int, nodes: Nodes) -> Counter[str]:
    """The other takes over; who thaws has nothing left to send, but for what it was just sending."""
    uids = _begun(seed, nodes)
    unknown = _struck(nodes, seed, uids, signal.SIGSTOP)
    time.sleep(1.5 * FROZEN_SECONDS)  # the server undoes what it stood still in; its leases end long after that
    _leases_end(nodes)
    _settle(nodes, uids)
    nodes.pacs.life += 1  # what it was just sending may come once more
    nodes.signal("one", signal.SIGCONT)
    time.sleep(0.5)
    return _demand(nodes, uids, unknown + 1)


def _begun(seed: int, nodes: Nodes) -> list[str]:
    """Take images, which both nodes begin to send as soon as they are indexed."""
    nodes.start_all()
    chance = random.Random(f"F26 {seed}")
    nodes.pacs.plan = Plan(turns=[Turn(seconds=0.005 * chance.randrange(4)) for _ in range(_WAITING)])
    return fill(nodes.world, _WAITING)


def _struck(nodes: Nodes, seed: int, uids: Sequence[str], number: int) -> int:
    """Strike the first node in the midst; return how many answers nobody has recorded by then."""
    wanted = random.Random(f"F26 at {seed}").randrange(1, _WAITING - 40)
    _wait("images arrive", lambda: len(_arrived(nodes, uids)) >= wanted)
    nodes.signal("one", number)
    time.sleep(0.05)
    nodes.pacs.life += 1
    arrived = _arrived(nodes, uids)
    time.sleep(0.5)  # what the other had answered is recorded by then
    recorded = {uid for uid in uids if nodes.world.deliveries([uid])[0].state is DeliveryState.DELIVERED}
    return len(arrived - recorded)


def _arrived(nodes: Nodes, uids: Sequence[str]) -> set[str]:
    return {one.sop_instance_uid for one in list(nodes.pacs.kept) if is_good(one.status)} & set(uids)


def _leases_end(nodes: Nodes) -> None:
    nodes.offset.write_text(str(float(nodes.offset.read_text()) + 2 * LEASE_SECONDS))


def _settle(nodes: Nodes, uids: Sequence[str]) -> None:
    def is_settled() -> bool:
        return all(one.state is DeliveryState.DELIVERED for one in nodes.world.deliveries(uids))

    _wait("everything is delivered", is_settled)


def _demand(nodes: Nodes, uids: Sequence[str], unknown: int) -> Counter[str]:
    """All arrived, whole, and twice no more than could not be known."""
    _settle(nodes, uids)
    nodes.world.demand_delivered(uids)
    duplicates = nodes.world.seen(uids).duplicates
    assert duplicates <= unknown, f"{duplicates} duplicates, and {unknown} unknown outcomes"
    return Counter({"duplicates": duplicates, "unknown outcomes": unknown})


def _wait(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(0.02)


@contextmanager
def _nodes() -> Iterator[Nodes]:
    with tempfile.TemporaryDirectory(prefix="broker-nodes-") as name, postgresql.cluster() as url:
        folder = Path(name)
        pacs = Pacs()
        world = World(folder, {"pacs": pacs}, database_url=f"{url}/postgres")
        nodes = Nodes(folder, world, pacs)
        nodes.offset.write_text("0")
        try:
            yield nodes
        finally:
            nodes.close()


CLASSES: Sequence[FaultClass[Nodes]] = (FaultClass("F26 two nodes, leases", two_nodes, 30, _nodes, patience=90),)
