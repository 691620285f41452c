"""Ten thousand images through a PACS that breaks off, refuses and goes silent, and kills of ours: none lost or altered.

What a destination gets twice is counted beside how often nobody could know: an answer that was lost on its way, or one
that was not recorded when we were killed. `BROKER_INSTANCES` is how many there are.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import func, select, text

from broker.database import Database, table_of
from broker.delivery import destination_store
from broker.delivery.model import DeliveryState
from broker.delivery.tables import DeliveryRow
from broker.dimse.service import Rejection
from tests.torture.classes import Case, FaultClass
from tests.torture.crashing import Crashing
from tests.torture.judge import violations_at_the_end
from tests.torture.pacs import Plan, Turn, is_good
from tests.torture.store_kills import MIDDLE, SMALL, crashing, image

INSTANCES = int(os.environ.get("BROKER_INSTANCES", "10000"))
_PART = 1000
_KILLS, _DEVICES = 3, 4

_OWED = table_of(DeliveryRow)
_DELIVERED = text(
    "SELECT sop_instance_uid FROM instance JOIN delivery ON instance_id = instance.id WHERE state = 'delivered'"
)
_MOODS = (
    *(Turn(answer_bytes=0), Turn(answer_bytes=0, is_reset=True), Turn(answer_bytes=40), Turn(aborts=True)),
    *(Turn(request_bytes=0), Turn(request_bytes=700), Turn(request_bytes=700, is_reset=True)),
    *(Turn(0xA700), Turn(0x0110), Turn(0xB000)),
)


def campaign() -> Iterator[Case[Crashing]]:
    """So many images, a thousand in one state."""
    for number in range(INSTANCES // _PART):
        yield Case(f"part {number}", partial(_through_faults, number), count=_PART)


def _through_faults(seed: int, world: Crashing) -> Counter[str]:
    chance = random.Random(f"campaign {seed}")
    pacs = world.pacs["pacs0"]
    refused = [chance.choice([None] * 8 + [Rejection(1, 3, 1), Rejection(2, 3, 2), b""]) for _ in range(200)]
    pacs.plan = Plan(refused, [chance.choice(_MOODS) if chance.random() < 0.08 else Turn() for _ in range(2 * _PART)])
    items = [image(f"1.2.826.0.1.9.{n}", chance.choice((200, SMALL, SMALL, 20_000, MIDDLE))) for n in range(_PART)]
    offset = world.folder / "offset"
    begin = partial(world.begin, BROKER_CLOCK_OFFSET_FILE=str(offset))
    assert begin(), world.log_end()
    unrecorded = 0
    with _hurry(world), ThreadPoolExecutor(_DEVICES) as devices:
        sending = [devices.submit(world.send, each) for each in items]
        for number in range(_KILLS):
            _wait_for(sending, _PART * (number + 1) // (_KILLS + 2))
            world.end("kill")
            unrecorded += _unrecorded(world)
            assert begin(), world.log_end()
        _wait_for(sending, _PART)
        world.settle(120)
    return _counted(world, unrecorded)


def _wait_for(sending: Sequence[object], count: int) -> None:
    while sum(each.done() for each in sending) < count:  # type: ignore[attr-defined]
        time.sleep(0.02)


def _counted(world: Crashing, unrecorded: int) -> Counter[str]:
    """Judge; return what there was of everything."""
    seen = world.seen()
    bad = violations_at_the_end(seen)
    unanswered = sum(is_good(each.status) and not each.is_answered for each in world.pacs["pacs0"].kept)
    there = {one.uid for one in seen.arrivals if one.is_good}
    counted = Counter({
        "sent": len(seen.sent),
        "lost": len(seen.answered.keys() - there),
        "altered": sum(one.print not in seen.sent.get(one.uid, ()) for one in seen.arrivals),
        "duplicates": seen.duplicates,
        "unknown outcomes": unanswered + unrecorded,
    })  # fmt: skip
    assert not bad, f"{len(bad)} violations, the first: {bad[0]}"
    assert counted["lost"] == counted["altered"] == 0, f"{counted}"
    assert counted["duplicates"] <= counted["unknown outcomes"], f"{counted}"
    return counted


def _unrecorded(world: Crashing) -> int:
    """Return how many answers of the life that was killed nobody has recorded."""
    database = world.database()
    try:
        with database.read() as tx:
            done = set(tx.execute(_DELIVERED).scalars())
    finally:
        database.close()
    kept = world.pacs["pacs0"].kept
    answered = [each for each in kept if each.life == world.lives and each.is_answered and is_good(each.status)]
    return len({each.sop_instance_uid for each in answered} - done)


@contextmanager
def _hurry(world: Crashing) -> Iterator[None]:
    """Move the product's clock on whenever nothing is due: nobody waits for minutes."""
    over = threading.Event()
    offset = world.folder / "offset"
    offset.write_text("0")

    def hurry() -> None:
        database = world.database()
        while not over.wait(0.1):
            ahead = _seconds_until_due(database) - float(offset.read_text())
            if ahead > 0:
                temporary = offset.with_suffix(".new")
                temporary.write_text(f"{float(offset.read_text()) + ahead + 0.1:.3f}")
                temporary.rename(offset)
        database.close()

    thread = threading.Thread(target=hurry)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def _seconds_until_due(database: Database) -> float:
    """Return how far ahead of the real clock the next try is; 0 where there is none."""
    waiting = _OWED.c.state == DeliveryState.WAITING.value
    with database.read() as tx:
        first = tx.execute(select(func.min(_OWED.c.due)).where(waiting)).scalar_one()
        due = destination_store.destination_state(tx, "pacs0").due
    if first is None:
        return 0.0
    return float((max(first, due or first) - datetime.now(UTC)).total_seconds())


CLASSES: Sequence[FaultClass[Crashing]] = (
    FaultClass("10000 images through faults", campaign, INSTANCES, crashing, is_fresh=True, patience=400),
)
