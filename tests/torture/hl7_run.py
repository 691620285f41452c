"""`python -m tests.torture.hl7_run [--share S] [--seed N]`: classes H01 to H19, a table, exit code 1 on a violation.

Each case has its defined answers; behind each, a good order must be taken; whatever was answered must be in the
inbox; the memory of the listener's process must not grow by more than is allowed. S is the part of the cases of each
class that is run: 1.0 is everything.
"""

import argparse
import hashlib
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from broker.orders.messages import header_facts
from tests.torture import (
    hl7_crowd,
    hl7_headers,
    hl7_mutated,
    hl7_orders,
    hl7_secured,
    hl7_server,
    hl7_texts,
    hl7_transport,
)
from tests.torture.hl7_exchange import Case, Generator, exchange
from tests.torture.hl7_server import Served
from tests.torture.measured import ANSWER_SECONDS, Tally

_CLIENTS = 6
_ALONE = ("H03", "H07")  # the largest there are: one at a time, so that what is measured is theirs
_WARM_UP = 50
_PATIENCE = 60.0
CLASSES: dict[str, Generator] = {
    "H01 every file": hl7_transport.files,
    "H02 terminators": hl7_transport.terminators,
    "H03 framing": hl7_transport.framing,
    "H04 MSH": hl7_headers.headers,
    "H05 character sets": hl7_texts.character_sets,
    "H06 escapes": hl7_texts.escapes,
    "H07 floods": hl7_headers.floods,
    "H08 identifiers": hl7_headers.identifiers,
    "H09 dates": hl7_texts.dates,
    "H10 order control x state": hl7_orders.controls,
    "H11 segments": hl7_orders.segments,
    "H12 merges": hl7_orders.merges,
    "H13 injection": hl7_texts.injections,
    "H14 batches": hl7_transport.batches,
    "H15 for others": hl7_headers.for_others,
    "H19 sent again": hl7_transport.repeated,
}
# How many cases there must be at least (reliability: the bad-input matrix).
LEAST = {"H01": 834, "H02": 80, "H03": 120, "H04": 150, "H05": 120, "H06": 100, "H07": 40, "H08": 60, "H09": 80}
LEAST |= {"H10": 175, "H11": 250, "H12": 25, "H13": 200, "H14": 20, "H15": 60, "H16": 20_000, "H18": 4, "H19": 40}


def tallies(share: float, seed: int) -> list[Tally]:
    """Run a share of every class against a listener of its own process."""
    with tempfile.TemporaryDirectory(prefix="broker-hl7-") as name, hl7_server.serving(Path(name), "tls") as served:
        for _ in range(_WARM_UP):
            exchange(served.port, ())
        done = [_class(what, sampled(what, cases(), share, seed), served) for what, cases in CLASSES.items()]
        done.append(_class("H16 mutations", sampled("H16", hl7_mutated.mutations(seed), share, seed), served))
        done.append(_scripted("H17 TLS", hl7_secured.peers(served), served, share))
        done.append(_scripted("H18 crowds", hl7_crowd.crowds(served.port), served, share))
        kept = hl7_server.kept(served.folder)
        for tally, cases in done:
            _demand_kept(tally, cases, kept)
    return [tally for tally, _ in done]


def sampled(what: str, cases: Iterable[Case], share: float, seed: int) -> Sequence[Case]:
    """Return a part of the cases, always the same for a seed; at least one."""
    every = list(cases)
    count = min(len(every), max(1, math.ceil(len(every) * share)))
    return every if count == len(every) else random.Random(f"{seed} {what}").sample(every, count)


def _class(name: str, cases: Sequence[Case], served: Served) -> tuple[Tally, Sequence[Case]]:
    tally = Tally(name)

    def one(case: Case) -> None:
        with tally.case(case.name, deadline=case.seconds if case.seconds > ANSWER_SECONDS else 0.0):
            case.run(served.port)

    count = 1 if name.startswith(_ALONE) else _CLIENTS
    with tally.measured(served.process_id), ThreadPoolExecutor(count) as clients:
        list(clients.map(one, cases))
    if name.startswith("H16"):
        tally.cases = sum(len(case.payloads) for case in cases)
    return _told(tally), cases


def _scripted(
    name: str, cases: Mapping[str, Callable[[], None]], served: Served, share: float
) -> tuple[Tally, Sequence[Case]]:
    tally = Tally(name)
    chosen = list(cases.items())[: max(1, math.ceil(len(cases) * share))]
    with tally.measured(served.process_id):
        for what, run in chosen:
            with tally.case(what, deadline=_PATIENCE):
                run()
            with tally.case(f"a good order behind {what}", counts=False):
                assert exchange(served.port, ()) == ([], False)
    return _told(tally), ()


def _demand_kept(tally: Tally, cases: Sequence[Case], kept: set[str]) -> None:
    """Whatever was answered is in the inbox, or the same message is that was answered before."""
    with tally.case("the bytes are kept", counts=False):
        payloads = [payload for case in cases if not case.closes for payload, _ in case.answered]
        lost = [one for one in payloads if not {hashlib.sha256(one).hexdigest(), _payload_sha256(one)} & kept]
        assert not lost, f"{len(lost)} of {len(payloads)} are not kept, the first is {lost[0][:80]!r}"


def _payload_sha256(payload: bytes) -> str:
    return header_facts(payload).payload_sha256


def _told(tally: Tally) -> Tally:
    print(f"{tally.name}: {tally.cases} cases in {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally


def table(done: Iterable[Tally], write: Callable[[str], None] = print) -> None:
    """Print a line for each class, and the violations."""
    write(f"{'class':<32}{'cases':>9}{'violations':>12}{'worst answer':>14}{'memory growth':>15}")
    for tally in done:
        growth = f"{tally.growth / 2**20:.1f} MiB"
        write(f"{tally.name:<32}{tally.cases:>9}{tally.violated:>12}{tally.worst_seconds:>12.3f} s{growth:>15}")
    for tally in done:
        for violation in tally.violations:
            write(f"  {tally.name}: {violation}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.hl7_run", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="the part of each class's cases that is run")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    begun = time.monotonic()
    done = tallies(asked.share, asked.seed)
    table(done, partial(print, flush=True))
    cases, violated = sum(tally.cases for tally in done), sum(tally.violated for tally in done)
    print(f"{cases} cases, {violated} violations, seed {asked.seed}, {time.monotonic() - begun:.0f} s")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
