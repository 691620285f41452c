"""`python -m tests.bench.worklist [--quick]`: what a worklist query costs, among a thousand items and a million.

The product as it runs, its items put in by the stores' own rows; wlmscpfs and Orthanc's plugin in the same run, asked
by the same client, whose bytes are ready. Each query goes over a fresh association. Absolute times are those of this
machine and moment.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pynetdicom.dsutils import encode

from broker import migrations
from broker.audit.model import Actor, ActorKind
from broker.database import Database, sqlite_url
from broker.registry import store as registry_store
from broker.registry.document import read
from broker.worklist import store
from broker.worklist.plan import plan
from tests.bench import inputs, orders, worklist_items, worklist_peers
from tests.bench.consoles import Console, Question
from tests.bench.crowd import CONSOLES, GOAL_EVERY, GOAL_P95, GOAL_RATE, HEAD, HURRIED_EVERY, Offer, crowd
from tests.peers.broker import Environment, Serving
from tests.peers.processes import program, run
from tests.unit.worklist.building import identifier

SIZES = (1_000, 100_000, 1_000_000)
PEER_SIZES = {100: 20, 1_000: 10, 10_000: 3}  # items, and how often each is asked
CALLED = "BROKER_TEST"
_FEW, _MANY = SIZES[0], SIZES[-1]


@dataclass
class Goals:
    """What was to be reached, and what was."""

    lines: list[tuple[str, str, bool]] = field(default_factory=list)

    def judge(self, what: str, found: str, reached: bool) -> None:
        """Note one goal."""
        self.lines.append((what, found, reached))

    def show(self) -> None:
        """Print them."""
        for what, found, reached in self.lines:
            print(f"{what:<70}{found:>24}  {'yes' if reached else 'NO'}")


@dataclass
class Ours:
    """What one size of worklist cost: milliseconds of each query, of an order, MiB, and what a crowd saw."""

    waits: dict[str, float]
    order_waits: list[float]
    replaced: float
    memory: float = 0.0
    crowds: list[Offer] = field(default_factory=list)  # the goal's, then a hurried one, then as many as they get


def main() -> int:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.worklist", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the items: shows that it runs, not how fast")
    is_quick = parser.parse_args().quick
    sizes = {shown: shown // 10 if is_quick and shown > _FEW else shown for shown in SIZES}
    with tempfile.TemporaryDirectory(prefix="bench-worklist-") as folder:
        peers = {name: _peer(Path(folder), name, is_quick) for name in worklist_peers.PEERS}
        ours = {
            shown: _ours(Path(folder) / f"n{count}", count, shown == _MANY, is_quick) for shown, count in sizes.items()
        }
        starts = _findscu_start()
    _show(ours, peers, sizes)
    print(f"{CONSOLES} consoles at once among {sizes[_MANY]:,} items", HEAD, sep="\n")
    print(*(offer.line for offer in ours[_MANY].crowds), sep="\n")
    print(f"findscu itself starts and ends in {starts * 1000:.0f} ms, which no figure here holds")
    _goals(ours, peers).show()
    return 0


# --- ours ------------------------------------------------------------------------------------------------------------


def _ours(folder: Path, count: int, is_last: bool, is_quick: bool) -> Ours:
    never = "[worklist]\nexpire_days = 0\n"  # else those of past days would leave in mid-measurement
    environment = Environment(folder, policy='unknown_callers = "accept"', destinations=never).write()
    begun = time.monotonic()
    replaced = _filled(folder / "state-test", count)
    print(f"{count} items in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    with environment.serving(60) as serving:
        port = environment.ports["dicom"]
        waits = {name: _asked(Console(port, CALLED, question)) for name, question in _questions(count).items()}
        found = Ours(waits, _ordered(environment, 20 if is_quick else 100), replaced)
        if is_last:
            found.crowds = _crowds(folder, port, list(_questions(count).values()), is_quick)
        found.memory = _memory(serving)
    return found


def _filled(state: Path, count: int) -> float:
    """Make the database: devices and items. Return the milliseconds that an order's items take after that."""
    state.mkdir(exist_ok=True)
    database = Database(sqlite_url(state / "broker.db"))
    migrations.upgrade(database)
    with database.write("registry") as tx:
        for title in worklist_items.DEVICES:
            content = worklist_items.document(title).encode()
            actor = Actor(ActorKind.OS_USER, "bench")
            registry_store.apply(tx, read(content, f"{title}.toml"), content, actor, datetime.now(UTC))
    worklist_items.fill(database, count)
    taken = [_timed(partial(_replace, database, number)) for number in range(count, count + 200)]
    database.close()
    return statistics.median(taken) * 1000


def _replace(database: Database, number: int) -> None:
    order_id = worklist_items.order_id(number)
    items = plan(worklist_items.order(number), order_id)
    with database.write("orders") as tx:
        store.replace(tx, order_id, items)


def _questions(count: int) -> dict[str, Question]:
    return {
        name: Question(query.calling, _identifier(query), query.finds)
        for name, query in worklist_items.queries(count).items()
    }


def _identifier(query: worklist_items.Query) -> bytes:
    keys = inputs.worklist_keys()
    step = {element.keyword: "" for element in keys.ScheduledProcedureStepSequence[0]} | dict(query.step)
    outer = {element.keyword: "" for element in keys if element.VR != "SQ"} | dict(query.keys)
    return identifier(step, **outer)


def _asked(console: Console, times: int = 40) -> float:
    """Return the median milliseconds of one query over a fresh association."""
    for _ in range(3):
        assert console() == console.answers
    return statistics.median(_timed(console) for _ in range(times)) * 1000


def _timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def _ordered(environment: Environment, count: int) -> list[float]:
    """Send orders over one connection; return the milliseconds until each was acknowledged, sorted."""
    folder = environment.folder / "orders"
    folder.mkdir()
    frames = (b"\x0b" + orders.message(50_000_000 + number) + b"\x1c\r" for number in range(count))
    (folder / "0").write_bytes(b"".join(frames))
    done = run([sys.executable, "-m", "tests.bench.ris", str(environment.ports["hl7"]), folder], 300)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["codes"] == {"AA": count}, said["codes"]
    waits: list[float] = said["waits"]
    return waits


def _crowds(folder: Path, port: int, questions: list[Question], is_quick: bool) -> list[Offer]:
    """Return what fifty consoles get: as the goal says, hurried, and asking again at once."""
    lengths = {GOAL_EVERY: 30, HURRIED_EVERY: 15, 0.0: 10}
    return [
        crowd(folder, port, CALLED, questions, max(3, seconds // 6) if is_quick else seconds, every)
        for every, seconds in lengths.items()
    ]


def _memory(serving: Serving) -> float:
    """Return the most memory in MiB that any of the product's processes had."""
    most = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != serving.process.pid:
                continue
            line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            continue
        most = max(most, int(line.split()[1]) / 1024)
    return most


# --- peers -----------------------------------------------------------------------------------------------------------


def _peer(folder: Path, name: str, is_quick: bool) -> dict[int, float]:
    """Return the median milliseconds of a query with ten answers, by how many items the peer has."""
    keys = encode(inputs.worklist_keys(), True, True)
    assert keys is not None
    found = {}
    for count, times in PEER_SIZES.items():
        with ExitStack() as stack:
            inner = worklist_peers.worklist_folder(folder / f"{name}{count}", count)
            node = stack.enter_context(worklist_peers.PEERS[name](inner))
            console = Console(node.port, node.ae_title, Question("BENCH", keys, worklist_peers.MATCHING))
            assert console() == console.answers
            found[count] = statistics.median(_timed(console) for _ in range(1 if is_quick else times)) * 1000
    return found


def _findscu_start() -> float:
    return statistics.median(_timed(lambda: run([program("findscu", "dcmtk"), "--version"])) for _ in range(5))


# --- telling ---------------------------------------------------------------------------------------------------------


def _show(ours: dict[int, Ours], peers: dict[str, dict[int, float]], sizes: dict[int, int]) -> None:
    heads = "".join(f"{f'{count:,} items':>17}" for count in sizes.values())
    print(f"{'C-FIND over a fresh association, median':<42}{heads}{'ratio':>9}")
    for name in ours[_FEW].waits:
        waits = [each.waits[name] for each in ours.values()]
        _line(name, waits, waits[-1] / waits[0])
    _line("an order by HL7 until its AA", [statistics.median(each.order_waits) for each in ours.values()])
    _line("an order's items replaced and committed", [each.replaced for each in ours.values()])
    print(f"{'':<42}" + "".join(f"{f'{count:,} items':>17}" for count in PEER_SIZES))
    for name, asked in peers.items():
        _line(f"{name}, ten answers", list(asked.values()))


def _line(what: str, waits: list[float], ratio: float | None = None) -> None:
    ratio = waits[-1] / waits[0] if ratio is None else ratio
    print(f"{what:<42}" + "".join(f"{wait:>14.2f} ms" for wait in waits) + f"{ratio:>8.2f}x")


def _goals(ours: dict[int, Ours], peers: dict[str, dict[int, float]]) -> Goals:
    few, many, goals = ours[_FEW], ours[_MANY], Goals()
    worst = max(many.waits[name] / few.waits[name] for name in few.waits)
    goals.judge("a query among the most items: at most 1.5 times that among the fewest", f"{worst:.2f} x", worst <= 1.5)
    slowest, dcmtk = max(many.waits.values()), peers["wlmscpfs"][100]
    found = f"{slowest:.1f} ms, {dcmtk:.1f} ms"
    goals.judge("and no slower than wlmscpfs among 100", found, slowest <= dcmtk)
    asked, hurried, at_once = many.crowds
    goals.judge(
        f"{CONSOLES} consoles offer {asked.offered:.0f} queries a second: at least {GOAL_RATE} are answered",
        f"{asked.answered:.0f}",
        asked.answered >= GOAL_RATE,
    )
    found = f"{asked.p95_due:.0f} ms"
    goals.judge(f"and p95 since each was due at most {GOAL_P95} ms", found, asked.p95_due <= GOAL_P95)
    failed = sum(offer.failed for offer in (asked, hurried, at_once))
    goals.judge("and none is refused or wrong, however many they offer", f"{failed}", failed == 0)
    goals.judge("memory of each process under 300 MiB", f"{many.memory:.0f} MiB", many.memory < 300)
    order = statistics.median(many.order_waits) / statistics.median(few.order_waits)
    goals.judge("the last order costs what the first did (at most 1.5 times)", f"{order:.2f} x", order <= 1.5)
    return goals


if __name__ == "__main__":
    begun = time.monotonic()
    code = main()
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(code)
