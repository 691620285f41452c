"""Faults F12, F15, F19, F25: a database that does not answer, a PACS that is away for days or slow, clocks that jump.

`BROKER_WAITING` is how many instances wait through the eight days (100,000).
"""

import os
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from broker.delivery import destination_store
from broker.delivery.model import DeliveryState
from broker.dimse import message
from tests.torture.classes import Case, FaultClass
from tests.torture.crashing import Crashing
from tests.torture.judge import print_of
from tests.torture.pacs import Plan, Turn
from tests.torture.store_faults import recovers, world_of
from tests.torture.store_kills import nursery
from tests.torture.store_world import World
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set
from tests.unit.spool.reading import data_sets
from tests.wire.dimse import raw_peer

HOUR, DAY = 3600.0, 86400.0
WAITING = int(os.environ.get("BROKER_WAITING", "100000"))
_SHORTEST_GAP, _LONGEST_GAP = 5.0, 10 * 60.0  # seconds between two tries
_JITTER, _LATE = 1.2, 65.0  # what is added by chance, and what may pass until somebody looks
_RISING = 6  # gaps before they are at their longest
_STUDIES = 50


# --- F15: days without a PACS ------------------------------------------------------------------------------------


def outages() -> Iterator[Case[World]]:
    """F15: a PACS that is away for an hour to eight days."""
    for name, seconds in (("1 h", HOUR), ("8 h", 8 * HOUR), ("72 h", 3 * DAY), ("8 days", 8 * DAY)):
        yield Case(f"away for {name}, 200 waiting", partial(_away, seconds, 200))


def _away(seconds: float, count: int, world: World) -> None:
    world.pacs["pacs"].is_down = True
    uids = fill(world, count)
    wait_out(world, seconds)
    world.pacs["pacs"].is_down = False
    drain(world, uids)


def fill(world: World, count: int) -> list[str]:
    """Send so many small instances of some studies on one association; return their UIDs, in order."""
    uids = [world.next_uid() for _ in range(count)]
    contexts = (raw_peer.ProposedContext(1, US_IMAGE, (EXPLICIT,)),)
    with raw_peer.RawPeer.connect(world.port, 30) as device:
        device.send(raw_peer.rq(contexts, calling="US1"))
        kind, _ = device.read()
        assert kind == 2, f"PDU type {kind}"
        for number, uid in enumerate(uids):
            content = data_set(uid, StudyInstanceUID=f"1.2.3.{number % _STUDIES}".encode())
            world.taken[uid] = content
            command = message.store_request(1 + number % 1000, US_IMAGE, uid)
            device.send(raw_peer.data(1, 3, command), raw_peer.data(1, 2, content))
            assert device.response().number(message.Element.STATUS) == 0
    world.flows.index_instances()
    return uids


def wait_out(world: World, seconds: float) -> None:
    """Let so much time pass, with a try whenever one is due, and demand what holds of the tries between."""
    pacs = next(iter(world.pacs.values()))
    end = world.clock.now() + timedelta(seconds=seconds)
    tried_at, gaps = world.clock.now(), list[float]()
    while world.clock.now() < end:
        before = pacs.calls
        world.deliver()
        world.flows.escalate()
        if pacs.calls > before:
            gaps.append((world.clock.now() - tried_at).total_seconds())
            tried_at = world.clock.now()
            assert pacs.calls - before <= 2, f"{pacs.calls - before} tries at once"
        world.clock.advance(_step(world))
    _demand_gaps(gaps[1:], seconds)
    assert world.told(), "nobody is told that the PACS is away"


def _demand_gaps(gaps: Sequence[float], seconds: float) -> None:
    """From 5 s to 10 min, a fifth more by chance, and never twice the same for long."""
    assert min(gaps) >= _SHORTEST_GAP, f"tried again after {min(gaps):.1f} s"
    assert max(gaps) <= _LONGEST_GAP * _JITTER + _LATE, f"nothing was tried for {max(gaps):.0f} s"
    assert len(gaps) >= seconds / (_LONGEST_GAP * _JITTER + _LATE) - 1, f"only {len(gaps)} tries in {seconds:.0f} s"
    assert len(gaps) <= 20 + seconds / _LONGEST_GAP, f"{len(gaps)} tries in {seconds:.0f} s: it does not let go"
    longest = [round(gap) for gap in gaps[_RISING:]]  # of an outage of an hour these are three or four
    assert len(set(longest)) > len(longest) / 20, "no chance in the gaps: many would knock at once"


def _step(world: World) -> float:
    with world.database.read() as tx:
        due = destination_store.destination_state(tx, next(iter(world.pacs))).due
    return 60.0 if due is None else max(1.0, (due - world.clock.now()).total_seconds() + 0.5)


def drain(world: World, uids: Sequence[str]) -> None:
    """Everything arrives, once, each study in the order in which it came."""
    world.settle(uids)
    world.demand_delivered(uids)
    order = {uid: number for number, uid in enumerate(uids)}
    for name, pacs in world.pacs.items():
        arrived = Counter(each.sop_instance_uid for each in pacs.kept)
        assert max(arrived[uid] for uid in uids) == 1, f"{name} got something twice"
        studies: defaultdict[int, list[int]] = defaultdict(list)
        for each in pacs.kept:
            number = order.get(each.sop_instance_uid)
            if number is not None:
                studies[number % _STUDIES].append(number)
        assert all(found == sorted(found) for found in studies.values()), f"{name} got a study out of order"


def long_outage() -> Iterator[Case[None]]:
    """F15 and I9: eight days with very many waiting; real processes start on that, twice, and drain it."""
    yield Case(f"away for 8 days, {WAITING} waiting", _away_for_long)


def _away_for_long(_world: None) -> None:
    with tempfile.TemporaryDirectory(prefix="broker-outage-") as name:
        folder = Path(name)
        (folder / "processes").mkdir()
        crashing = Crashing(folder / "processes", nursery(), state=folder / "state")
        pacs = crashing.pacs["pacs0"]
        pacs.is_down = True
        world = World(folder, {"pacs0": pacs})
        try:
            fill(world, WAITING)
            wait_out(world, 8 * DAY)
        finally:
            world.leave()
        try:
            for uid, content in world.taken.items():
                crashing.sent[uid].add(print_of(content))
                crashing.answered[uid].add(print_of(content))
            for _ in range(2):
                assert crashing.begin(), crashing.log_end()
                time.sleep(1.0)
                crashing.end("kill")
            pacs.is_down = False
            (folder / "offset").write_text(str(HOUR))  # more than the longest wait between two tries
            assert crashing.begin(BROKER_CLOCK_OFFSET_FILE=str(folder / "offset")), crashing.log_end()
            crashing.settle(60 + WAITING / 50)
            seen = crashing.judge()
            assert seen.duplicates == 0, f"{seen.duplicates} duplicates although nothing was ever sent before"
        finally:
            crashing.close()


# --- F19: slow ---------------------------------------------------------------------------------------------------


def slow() -> Iterator[Case[World]]:
    """F19: responses before and after the deadline (1 s here); another destination waits for none of it."""
    for seconds in (0.3, 0.6, 0.8, 1.3, 2.0, 5.0):
        yield Case(f"response after {seconds} s", partial(_slow, Turn(seconds=seconds)))
    for each in (1, 16, 256, 1024):
        yield Case(f"reads {each} bytes a second", partial(_slow, Turn(bytes_a_second=each)))


def _slow(turn: Turn, world: World) -> None:
    first, second = world.pacs.values()
    first.plan = Plan(turns=[turn])
    uids = world.take(3)
    aside = threading.Thread(target=world.deliver, args=([next(iter(world.pacs))],))
    aside.start()
    begun = time.monotonic()
    world.deliver([list(world.pacs)[1]])
    took = time.monotonic() - begun
    there = {each.sop_instance_uid for each in second.kept} >= set(uids)
    aside.join(30)
    assert there, "the other destination had to wait"
    assert took < 1.0 + _SLACK, f"the other destination took {took:.1f} s"
    world.settle(uids)
    world.demand_delivered(uids)
    for uid in uids:
        count = sum(each.sop_instance_uid == uid for each in first.kept)
        assert count <= 2, f"sent {count} times"


_SLACK = 2.0  # of a machine that is shared


# --- F25: the clock jumps ----------------------------------------------------------------------------------------

_JUMPS = {
    "an hour on": HOUR,
    "an hour back": -HOUR,
    "a day back": -DAY,
    "ten years on": 3652 * DAY,
    "ten years on, and back": -3652 * DAY,
    "summer time begins": 8 * 7 * DAY - 6 * HOUR,
    "summer time ends": 38 * 7 * DAY - 6 * HOUR,
}


def jumps() -> Iterator[Case[World]]:
    """F25: the clock jumps while a destination fails, and while it is well: no retry is stuck, none is busy."""
    for name, seconds in _JUMPS.items():
        for tries in (1, 3, 8):
            yield Case(f"{name}, after {tries} tries", partial(_jumps, name, seconds, tries))


_START = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


def _jumps(name: str, seconds: float, tries: int, world: World) -> None:
    pacs = world.pacs["pacs"]
    world.clock.instant = _START
    if name.endswith("and back"):
        world.clock.advance(-seconds)
    pacs.is_down = True
    uids = world.take(2)
    for _ in range(tries):
        world.deliver()
        world.clock.advance(_step(world))
    world.deliver()
    world.flows.mind_clock()
    world.clock.advance(seconds)
    pacs.is_down = False
    before = pacs.calls
    for _ in range(20):
        world.deliver()
    assert pacs.calls - before <= 3, f"{pacs.calls - before} tries in one moment"
    for _ in range(12):  # half an hour each: the longest wait between two tries
        world.flows.mind_clock()
        world.deliver()
        if all(one.state is DeliveryState.DELIVERED for one in world.deliveries(uids)):
            break
        world.clock.advance(HOUR / 2)
    else:
        raise AssertionError("stuck: six hours after the clock jumped nothing was tried")
    world.demand_delivered(uids)
    recovers(Plan, 1, world)


# --- F12: the database -------------------------------------------------------------------------------------------


def broken_databases() -> Iterator[Case[World]]:
    """F12: locked, its WAL deleted, the file replaced, a page of it overwritten: refused, never guessed."""
    for seconds in (0.2, 1.0, 3.0, 6.0):
        yield Case(f"locked for {seconds} s", partial(_locked, seconds))
    for what in ("broker.db", "broker.db-wal"):
        yield Case(f"{what} deleted", partial(_damaged, partial(_deleted, what)))
        yield Case(f"{what} replaced", partial(_damaged, partial(_replaced, what)))
    for seed in range(12):
        yield Case(f"page overwritten, seed {seed}", partial(_damaged, partial(_overwritten, seed)))


def _locked(seconds: float, world: World) -> None:
    """What comes meanwhile is kept in the spool, and indexed and delivered when the database answers again."""
    other = sqlite3.connect(world.folder / "state" / "broker.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(seconds, lambda: other.execute("ROLLBACK"))
    timer.start()
    try:
        uids = world.try_to_take(3)
    finally:
        timer.join()
        other.close()
    world.settle(uids)
    world.demand_delivered(uids)
    recovers(Plan, 1, world)


def _damaged(how: Callable[[Path], None], world: World) -> None:
    """What is answered 0000 is found in the spool by a start on a new database, whatever became of the old one."""
    before = world.take(3)
    how(world.folder / "state")
    after = world.try_to_take(3)
    world.leave()
    found = data_sets(world.folder / "state" / "spool")
    for uid in (*before, *after):
        assert world.taken[uid] in found, f"{uid} was answered 0000 and is not in the spool"


def _deleted(what: str, state: Path) -> None:
    (state / what).unlink()


def _replaced(what: str, state: Path) -> None:
    content = (state / what).read_bytes()
    (state / what).unlink()
    (state / what).write_bytes(content)


def _overwritten(seed: int, state: Path) -> None:
    chance = random.Random(f"F12 {seed}")
    with (state / "broker.db").open("r+b") as file:
        pages = file.seek(0, os.SEEK_END) // 4096
        for _ in range(chance.randrange(1, 20)):
            file.seek(4096 * chance.randrange(pages))
            file.write(chance.randbytes(4096))


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


CLASSES: Sequence[FaultClass[World] | FaultClass[None]] = (
    FaultClass("F12 broken database", broken_databases, 20, partial(world_of, 1), is_fresh=True),
    FaultClass("F15 PACS away", outages, 4, partial(world_of, 1), is_fresh=True, patience=300),
    FaultClass("F15 PACS away for 8 days, I9", long_outage, 1, _nothing, patience=3600),
    FaultClass("F19 slow PACS", slow, 10, partial(world_of, 2), patience=90),
    FaultClass("F25 clock jumps", jumps, 20, partial(world_of, 1), is_fresh=True),
)
