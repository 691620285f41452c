"""Faults F06 and F07: the power is cut at any moment of the running product, its database and its spool.

F06: a life of the real processes is traced; at moments of it a model of the disk says what a cut would leave, and the
product starts on that. F07: a real file system is cut off from its disk (`filesystem.py`).
"""

import logging
import random
import re
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.clock import SystemClock
from broker.environments import profile as profiles
from broker.errors import BrokerError
from broker.journal import configure
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from tests.torture import traced
from tests.torture.classes import Case, FaultClass
from tests.torture.crashing import Crashing, looked_at
from tests.torture.disk import Disk
from tests.torture.filesystem import Ext4
from tests.torture.judge import Arrival, Print, violations
from tests.torture.nursery import Nursery
from tests.torture.pacs import Plan, Turn
from tests.torture.store_kills import LARGE, MIDDLE, SMALL, devices, image, nursery
from tests.torture.traced import Act, Did

RUNS, STATES = 50, 100  # of a whole campaign: 5,000 states


@dataclass
class Recording:
    """One life: what there was before it, what was done, what was sent."""

    state: Path
    before: Mapping[str, bytes]
    acts: Sequence[Act]
    sent: Mapping[str, set[Print]]


@contextmanager
def recorded(seed: int) -> Iterator[Recording]:
    """Record a life in which images come, go and are refused."""
    chance = random.Random(f"power {seed}")
    with tempfile.TemporaryDirectory(prefix="broker-power-") as name:
        folder = Path(name)
        world = Crashing(folder, nursery())
        tracing = None
        try:
            world.begin()
            world.end("stop")
            before = _files(world.state)
            tracing = world.nursery = Nursery(traced.command(folder / "trace"))
            _live(world, chance)
        finally:
            world.close()
            if tracing is not None:
                tracing.close()
        with (folder / "trace").open() as lines:
            yield Recording(world.state, before, list(traced.acts(lines)), world.sent)


def _live(world: Crashing, chance: random.Random) -> None:
    moods = [Turn()] * 6 + [Turn(0xA700), Turn(0xC000), Turn(answer_bytes=0)]
    world.pacs["pacs0"].plan = Plan(turns=[chance.choice(moods) for _ in range(4)])
    assert world.begin()
    for number in range(8):
        pixels = chance.choice((200, SMALL, 30_000, MIDDLE, MIDDLE, 200_000, LARGE))
        assert world.send(image(f"1.2.826.0.1.9.{number}", pixels)) == 0, world.log_end()
    world.end(chance.choice(("stop", "kill")))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


_INSTANCE = re.compile(rb"\x00\x00\x00\x10(.)\x00\x00\x00([0-9.]+)", re.DOTALL)  # (0000,1000) AffectedSOPInstanceUID
_RESPONSE = b"\x00\x00\x00\x01\x02\x00\x00\x00\x01\x80"  # (0000,0100) C-STORE-RSP
_SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"  # (0000,0900) 0000


def _succeeded(act: Act) -> str:
    """Return of which instance this call says that it is stored; empty where it says no such thing."""
    found = _INSTANCE.search(act.content)
    if found is None or _RESPONSE not in act.content or _SUCCESS not in act.content:
        return ""
    return found[2].decode("ascii")


def power_cuts() -> Iterator[Case[None]]:
    """F06: recorded lives, each cut at so many moments."""
    for seed in range(RUNS):
        yield Case(f"life {seed}", partial(_cut_often, seed), count=STATES)


def _cut_often(seed: int, _world: None) -> None:
    with recorded(seed) as recording:
        bad = list(cuts(recording, seed, STATES))
    assert not bad, f"{len(bad)} of {STATES} states; the first: {bad[0]}"


def cuts(recording: Recording, seed: int, count: int, *, syncs: bool = True) -> Iterator[str]:
    """Give what is violated after cuts at so many moments of a life."""
    configure("torture", level=logging.CRITICAL)  # what was cut off is told of in every state
    disk = Disk(str(recording.state), recording.before, syncs=syncs)
    chance = random.Random(f"cuts {seed}")
    moments = _moments(recording, chance, count)
    answered: defaultdict[str, set[Print]] = defaultdict(set)
    arrived: list[Arrival] = []
    for number, act in enumerate(recording.acts):
        disk.take(act)
        if act.did in (Did.SENT, Did.GOT) and (uid := _succeeded(act)):
            if act.did is Did.SENT:
                answered[uid] |= recording.sent[uid]
            else:
                arrived += [Arrival("pacs0", uid, each, True, True) for each in recording.sent[uid]]
        for _ in range(moments.count(number)):
            for violation in _after(recording, disk.after_cut(chance), answered, arrived):
                yield f"moment {number} ({act.did.value} {Path(act.path).name}): {violation}"


def _moments(recording: Recording, chance: random.Random, count: int) -> list[int]:
    """Choose moments at which something of the state, or of what is known outside, has changed."""
    folder = f"{recording.state}/"
    found = [number for number, act in enumerate(recording.acts) if act.path.startswith(folder) or _succeeded(act)]
    return [chance.choice(found) for _ in range(count)]


def _after(
    recording: Recording, left: Mapping[str, bytes], answered: Mapping[str, set[Print]], arrived: Sequence[Arrival]
) -> list[str]:
    """Start the product on what is left; return what is violated."""
    shutil.rmtree(recording.state, ignore_errors=True)
    for name, content in left.items():
        path = recording.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    profile = profiles.read(recording.state.parent / "torture.toml")
    try:
        database = open_database(profile)
    except BrokerError as error:
        return [f"I9: does not start: {error}"]
    spool = Spool(profile.spool)
    try:
        spool.begin()
        flows = Flows(profile, database, RegistryCache(database), spool, SystemClock())
        flows.recover_spool()
        flows.release_leases()
        flows.index_instances()
        seen = looked_at(database, spool, ["pacs0"], recording.sent, answered, arrived)
        owed = {one.uid for one in seen.owed}
        return [*violations(seen), *(f"I1: {uid} is kept and owed to nobody" for uid in seen.kept if uid not in owed)]
    finally:
        spool.end()
        database.close()


# --- F07: a real file system -------------------------------------------------------------------------------------


def real_cuts() -> Iterator[Case[None]]:
    """F07: ext4 in a file, cut off without writing its journal, while devices send; then it is mounted again."""
    for seed in range(10):
        yield Case(f"life {seed}", partial(_cut_off, seed), count=3)


def _cut_off(seed: int, _world: None, *, syncs: bool = True) -> None:
    chance = random.Random(f"F07 {seed}")
    with tempfile.TemporaryDirectory(prefix="broker-power-") as name, Ext4(Path(name)) as disk:
        world = Crashing(Path(name), nursery(), state=disk.folder / "state")
        try:
            for _ in range(3):
                assert world.begin(syncs=syncs), f"did not start: {world.log_end()}"
                with devices(world, chance.randrange(2**30), 5):
                    time.sleep(chance.uniform(0.1, 1.0))
                    disk.cut_off()
                world.end()
                disk.mount_again()
            assert world.begin(), f"did not start: {world.log_end()}"
            world.settle(60)
            world.judge()
        finally:
            world.close()


@contextmanager
def nothing() -> Iterator[None]:
    """Give no world: a case makes its own."""
    yield None


CLASSES: Sequence[FaultClass[None]] = (
    FaultClass("F06 power cut, a model", power_cuts, 5000, nothing, patience=600),
    FaultClass("F07 power cut, ext4", real_cuts, 30, nothing, patience=180),
)
