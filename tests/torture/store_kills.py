"""Faults F01, F02, F05, F28 and F31: the product's processes end, are told to end, or lack what they need.

Every case is some lives in a row on one state; after the last, all that was answered has to be where it belongs.
"""

import atexit
import os
import random
import signal
import socket
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path

from tests.peers.raw_sender import DataSet
from tests.torture.classes import Case, FaultClass
from tests.torture.crashing import Crashing
from tests.torture.crowd import crowd
from tests.torture.nursery import Nursery
from tests.torture.ordering import ordering
from tests.torture.pacs import Plan, Turn
from tests.torture.usage import children
from tests.unit.spool.datasets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, US_IMAGE, data_set

SMALL, MIDDLE, LARGE, HUGE = 1000, 90_000, 1_200_000, 100_000_000
_SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
_IN_A_ROW = 5
_KILL_SECONDS = 4.0

SEGMENT = [f"segment.{verb}" for verb in ("prewrite", "rename", "syncdir", "write", "sync")]
FILE = [f"spool.{verb}" for verb in ("write", "sync", "rename", "syncdir")]
RECEIVING = [*SEGMENT, *FILE, "associations.commit", "spool-index.commit", "store.answer"]
SENDING = ["delivery-lease.commit", "store.send", "delivery-outcome.commit", "segment.mark", "spool.unlink"]


def image(uid: str, pixels: int, syntax: str = EXPLICIT) -> DataSet:
    """Return an image of about so many bytes."""
    if syntax != DEFLATED:
        return DataSet(US_IMAGE, uid, syntax, data_set(uid, syntax=syntax, pixels=pixels))
    packer = zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    content = packer.compress(data_set(uid, pixels=pixels)) + packer.flush()
    return DataSet(US_IMAGE, uid, syntax, content + b"\0" * (len(content) % 2))


@contextmanager
def crashing(destinations: int = 1) -> Iterator[Crashing]:
    """Give a state of its own, and what forks the product."""
    with tempfile.TemporaryDirectory(prefix="broker-crash-") as folder:
        world = Crashing(Path(folder), nursery(), destinations=destinations)
        try:
            yield world
        finally:
            world.close()


@cache
def nursery() -> Nursery:
    """Return the one process that forks the product; it lives as long as we do."""
    made = Nursery()
    atexit.register(made.close)
    return made


def receiver_kills() -> Iterator[Case[Crashing]]:
    """F01: at every place of C-STORE, for images in segments and in files, of each syntax."""
    chance = random.Random(1)
    kills = []
    for place in RECEIVING:
        for side in ("before", "after"):
            for nth, syntax in zip((1, 1, 1, 2, 1, 1, 2, 1, 1), (*_SYNTAXES, *_SYNTAXES, EXPLICIT), strict=True):
                kills.append((f"{place}.{side}:{_nth(place, nth)}:killall", syntax))
    chance.shuffle(kills)
    yield from _rows("receiver", kills)
    # A quarter of a megabyte is written at once.
    yield Case(
        "receiver killed with 75 of 100 MB written", partial(_lives, [("spool.write.after:300:killall", "huge")])
    )


def _nth(place: str, nth: int) -> int:
    return nth if place in ("segment.write", "segment.sync", "spool.write", "store.answer") else 1


def sender_kills() -> Iterator[Case[Crashing]]:
    """F02: at every place of forwarding, the first to the third time."""
    chance = random.Random(2)
    kills = [
        (f"{place}.{side}:{nth}:killall", _SYNTAXES[number % 4])
        for place in SENDING
        for side in ("before", "after")
        for number in range(15)
        for nth in [1 + number % (1 if place in ("spool.unlink", "delivery-lease.commit") else 3)]
    ]
    chance.shuffle(kills)
    yield from _rows("sender", kills)


def _rows(name: str, kills: Sequence[tuple[str, str]]) -> Iterator[Case[Crashing]]:
    iterator = iter(kills)
    for number in range(len(kills)):
        row = list(islice(iterator, _IN_A_ROW))
        if not row:
            return
        places = ", ".join(kill for kill, _ in row)
        yield Case(f"{name} row {number}: {places}", partial(_lives, row), count=len(row))


def _lives(kills: Sequence[tuple[str, str]], world: Crashing) -> None:
    """Live one life for each kill, then one in which all is well."""
    missed = []
    for number, (kill, syntax) in enumerate(kills):
        if not _is_killed(world, kill, syntax):
            missed.append(kill)
        world.end()
        if number == 0:
            world.pacs["pacs0"].plan = Plan()
    world.begin()
    world.settle()
    seen = world.judge()
    assert seen.duplicates <= 4 * world.lives, f"{seen.duplicates} duplicates in {world.lives} lives"
    assert not missed, f"not passed: {missed}"


def _is_killed(world: Crashing, kill: str, syntax: str) -> bool:
    """Send images of every size until the product ends; tell whether it did by itself."""
    if world.begin(kill):
        world.send_again()
        sizes = (HUGE,) if syntax == "huge" else (SMALL, MIDDLE, MIDDLE, LARGE, MIDDLE)
        for number, pixels in enumerate(sizes):
            assert world.living is not None
            if not world.living.lives():
                break
            uid = f"1.2.826.0.1.9.{world.lives}.{number}"
            world.send(image(uid, pixels, EXPLICIT if syntax == "huge" else syntax))
    assert world.living is not None
    return world.living.wait_end(_KILL_SECONDS) is not None


# --- F05: at any time, under load --------------------------------------------------------------------------------

_DEVICES = 20


def random_kills() -> Iterator[Case[Crashing]]:
    """F05: ten in a row at any moment while twenty devices and five HL7 senders send; nobody repairs anything."""
    for number in range(5):
        yield Case(f"seed {number}", partial(_killed_at_random, number), count=10)


def _killed_at_random(seed: int, world: Crashing) -> None:
    chance = random.Random(f"F05 {seed}")
    for _ in range(10):
        if world.begin():
            with (
                devices(world, chance.randrange(2**30)),
                ordering(world.orders, world.hl7_port, world.lives, chance.randrange(2**30)),
            ):
                time.sleep(chance.uniform(0.05, 1.2))
                world.end()
        else:
            raise AssertionError(f"did not start: {world.log_end()}")
    world.begin()
    world.settle(90)
    seen = world.judge()
    taken, ordered = len(seen.answered), len(seen.ordered.acknowledged)
    assert min(taken, ordered) >= 20, f"only {taken} images and {ordered} orders were taken: too few to show anything"


def devices(world: Crashing, seed: int, count: int = _DEVICES) -> AbstractContextManager[None]:
    """Let devices send until the block ends."""

    def store(number: int, index: int, chance: random.Random) -> None:
        uid = f"1.2.826.0.1.9.{world.lives}.{number}.{index}"
        world.send(image(uid, chance.choice((200, SMALL, SMALL, 20_000, MIDDLE))), 5.0)

    return crowd(store, f"{seed}", count)


# --- F28: told to end --------------------------------------------------------------------------------------------


def stops() -> Iterator[Case[Crashing]]:
    """F28: SIGTERM in the midst of receiving and of forwarding: exit code 0 within 30 s, and nothing is lost."""
    for number in range(20):
        yield Case(f"SIGTERM, seed {number}", partial(_stopped, number), count=2)


def _stopped(seed: int, world: Crashing) -> None:
    chance = random.Random(f"F28 {seed}")
    for _ in range(2):
        world.pacs["pacs0"].plan = Plan(turns=[Turn(seconds=0.1)] * 5)
        assert world.begin(), f"did not start: {world.log_end()}"
        with devices(world, chance.randrange(2**30), 5):
            time.sleep(chance.uniform(0.0, 0.8))
            begun = time.monotonic()
            code = world.end("stop")
            took = time.monotonic() - begun
        assert code == 0, f"exit code {code}: {world.log_end()}"
        assert took < 31.0, f"took {took:.1f} s"
    world.begin()
    world.settle(60)
    world.judge()


# --- F31: what the system does not give --------------------------------------------------------------------------


def shortages() -> Iterator[Case[Crashing]]:
    """F31: processes that are killed for memory, and too few descriptors: it recovers without a restart."""
    for number in range(5):
        yield Case(f"the listeners' process is killed ({number})", partial(_child_killed, number, 0))
        yield Case(f"the senders' process is killed ({number})", partial(_child_killed, number, 1))
        yield Case(f"descriptors: {64 + 16 * number}", partial(_few_descriptors, 64 + 16 * number))


def _child_killed(seed: int, which: int, world: Crashing) -> None:
    chance = random.Random(f"F31 {seed}")
    assert world.begin()
    assert world.living is not None
    with devices(world, chance.randrange(2**30), 3):
        time.sleep(chance.uniform(0.05, 0.5))
        processes = children(world.living.pid)
        assert len(processes) == 2, f"{len(processes)} processes"
        os.kill(processes[which], signal.SIGKILL)
        time.sleep(0.3)
    for one in world.pacs.values():
        one.life += 1
    world.settle(60)
    world.judge()


def _few_descriptors(count: int, world: Crashing) -> None:
    """With too few it starts; what is too much is refused or waits; when that has gone it serves as before."""
    started = world.begin(limits={"RLIMIT_NOFILE": count})
    if not started:
        assert "cannot start" in world.log_end() or "process.failed" in world.log_end(), "refused without a sentence"
        world.end()
        world.begin()
    with ExitStack() as held:
        for _ in range(2 * count):
            with suppress(OSError):
                held.enter_context(socket.create_connection(("127.0.0.1", world.port), 1))
        world.send(image("1.2.826.0.1.9.1.1", SMALL), 1.0)
    deadline = time.monotonic() + 30
    while world.send(image("1.2.826.0.1.9.1.1", SMALL), 3.0) != 0:
        assert time.monotonic() < deadline, f"it did not recover: {world.log_end()}"
        time.sleep(0.2)
    world.settle(60)
    world.judge()


CLASSES: Sequence[FaultClass[Crashing]] = (
    FaultClass("F01 receiver killed", receiver_kills, 200, crashing, is_fresh=True, patience=120),
    FaultClass("F02 sender killed", sender_kills, 150, crashing, is_fresh=True, patience=120),
    FaultClass("F05 killed at any time", random_kills, 50, crashing, is_fresh=True, patience=180),
    FaultClass("F28 told to end", stops, 40, crashing, is_fresh=True, patience=120),
    FaultClass("F31 shortages", shortages, 15, crashing, is_fresh=True, patience=120),
)
