"""Fault F15, its rate: beside very many that wait for a PACS which is away, images are received as fast as beside none.

Two products side by side, one with an empty spool and one with `BROKER_WAITING` instances in it, get the same images in
turn. What is compared is the processor time of the listeners' process, the sum of many short rounds: whatever else goes
on then falls on both (beside two equal products it comes to 0.99 to 1.03). What the clock says is told too.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from broker.dimse import message
from tests.torture.classes import Case, FaultClass
from tests.torture.crashing import Crashing
from tests.torture.store_kills import nursery
from tests.torture.store_power import nothing
from tests.torture.store_time import WAITING, fill
from tests.torture.store_world import World
from tests.torture.usage import children
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set
from tests.wire.dimse import raw_peer

_ROUNDS, _IMAGES = 300, 20
_LEAST = 0.95
_PIXELS = 30_000


def rates() -> Iterator[Case[None]]:
    """F15: the rate of receiving beside so many that wait."""
    yield Case(f"{WAITING} waiting", _compare)


def _compare(_world: None) -> Counter[str]:
    with tempfile.TemporaryDirectory(prefix="broker-rate-") as name, ExitStack() as stack:
        empty, full = (_product(Path(name) / each, count, stack) for each, count in (("empty", 0), ("full", WAITING)))
        costs: dict[str, list[tuple[float, float]]] = {"empty": [], "full": []}
        for number in range(-1, _ROUNDS):  # the first warms both
            for which, one in (("empty", empty), ("full", full)) if number % 2 else (("full", full), ("empty", empty)):
                cost = _received(one, f"1.2.826.0.1.8.{number + 2}")
                if number >= 0:
                    costs[which].append(cost)
    processor, clock = (
        sum(each[part] for each in costs["empty"]) / sum(each[part] for each in costs["full"]) for part in (0, 1)
    )
    assert processor >= _LEAST, f"rate beside {WAITING}: {processor:.3f} of that beside none (by the clock {clock:.3f})"
    return Counter({"% of the rate by processor time": round(100 * processor), "% by the clock": round(100 * clock)})


def _product(folder: Path, waiting: int, stack: ExitStack) -> Crashing:
    """Start a product whose PACS is away, with so many waiting, all of them indexed."""
    (folder / "processes").mkdir(parents=True)
    product = Crashing(folder / "processes", nursery(), state=folder / "state", segment=0)
    stack.callback(product.close)
    product.pacs["pacs0"].is_down = True
    if waiting:
        world = World(folder, {"pacs0": product.pacs["pacs0"]})
        try:
            fill(world, waiting)
        finally:
            world.leave()
    assert product.begin(), product.log_end()
    return product


def _received(product: Crashing, study: str) -> tuple[float, float]:
    """Send images on one association; return the listeners' processor time and the time by the clock, in seconds."""
    assert product.living is not None
    process_clock = ((~children(product.living.pid)[0]) << 3) | 2  # clock_getcpuclockid(3)
    contents = [data_set(f"{study}.{n}", pixels=_PIXELS) for n in range(_IMAGES)]
    requests = [raw_peer.data(1, 3, message.store_request(1 + n, US_IMAGE, f"{study}.{n}")) for n in range(_IMAGES)]
    with raw_peer.RawPeer.connect(product.port, 30) as device:
        device.send(raw_peer.rq((raw_peer.ProposedContext(1, US_IMAGE, (EXPLICIT,)),), 65536, calling="US1"))
        assert device.read()[0] == 2
        began = time.clock_gettime(process_clock), time.monotonic()
        for request, content in zip(requests, contents, strict=True):
            device.send(request, _pieces(content))
            assert device.response().number(message.Element.STATUS) == 0
        ended = time.clock_gettime(process_clock), time.monotonic()
    return ended[0] - began[0], ended[1] - began[1]


def _pieces(content: bytes) -> bytes:
    size = 16_000
    ends = range(0, len(content), size)
    return b"".join(raw_peer.data(1, 2 * (at + size >= len(content)), content[at : at + size]) for at in ends)


CLASSES: Sequence[FaultClass[None]] = (FaultClass("F15 rate of receiving", rates, 1, nothing, patience=1800),)
