"""`python -m tests.torture [--count N] [--seed N] [--longest S]`: every class, a table, exit code 1 on a violation.

Of D14, N mutations go over the wire and as many to the readers directly. Peers for which the product waits longer
than S seconds are left out.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture import hl7_run, mpps_classes, mutated, query_classes, scripted, waiting
from tests.torture.measured import Tally, server
from tests.wire.dimse.test_acceptor_states import echoes

_CLIENTS = 6
_CHUNK = 250
_ALL = 100_000
_WARM_UP = 200
SCRIPTED: dict[str, Callable[[], Iterable[scripted.Case]]] = {
    "D01 first bytes": scripted.first_bytes,
    "D02 lengths, items, contexts": scripted.lengths,
    "D03 each PDU in each state": scripted.states,
    "D04 DIMSE": scripted.messages,
    "D05 titles": scripted.titles,
}


def main() -> int:
    """Run everything; return the exit code."""
    asked = _arguments()
    if asked.only == "hl7":
        return _hl7(asked)
    begun = time.monotonic()
    with server() as (port, process_id):
        for _ in range(_WARM_UP):
            assert echoes(port), "the acceptor does not answer before anything bad was sent"
        with ThreadPoolExecutor(1) as beside:
            waited = beside.submit(_waiting, port, process_id, asked)
            tallies = [_scripted(name, cases(), port, process_id) for name, cases in SCRIPTED.items()]
            for name, send in mutated.WIRE.items():
                tallies.append(_over_the_wire(name, send, port, process_id, asked))
            tallies.extend(_read_directly(name, read, asked) for name, read in mutated.readers())
            tallies.append(waited.result())
    with tempfile.TemporaryDirectory() as folder:
        tallies.extend(_told(tally) for tally in mpps_classes.tallies(Path(folder)))
    if asked.only != "dicom":  # the tests have a sample of these of their own
        tallies.extend(_told(tally) for tally in query_classes.tallies(_ALL, seed=asked.seed))
    _print(tallies, asked, time.monotonic() - begun)
    violated = any(tally.violated for tally in tallies)
    return max(int(violated), 0 if asked.only == "dicom" else _hl7(asked))


def _hl7(asked: argparse.Namespace) -> int:
    """Run classes H01 to H19: as many of each as of D14's mutations."""
    return hl7_run.main(["--share", str(min(1.0, asked.count / _ALL)), "--seed", str(asked.seed)])


def _scripted(name: str, cases: Iterable[scripted.Case], port: int, process_id: int) -> Tally:
    tally = Tally(name)
    with tally.measured(process_id), ThreadPoolExecutor(_CLIENTS) as clients:
        list(clients.map(lambda case: _case(tally, case, port), cases))
    return _told(tally)


def _case(tally: Tally, case: scripted.Case, port: int) -> None:
    with tally.case(case.name):
        case.run(port)
    with tally.case(f"C-ECHO after {case.name}", counts=False):
        assert echoes(port)


def _waiting(port: int, process_id: int, asked: argparse.Namespace) -> Tally:
    """Let all peers that owe something wait at the same time."""
    tally = Tally("waiting for what is owed")
    cases = [case for case in waiting.waits(scripted.openings()) if case.deadline <= asked.longest]

    def one(case: waiting.Wait) -> None:
        with tally.case(case.name, deadline=case.deadline):
            case.run(port)
        with tally.case(f"C-ECHO after {case.name}", counts=False):
            assert echoes(port)

    with tally.measured(process_id), ThreadPoolExecutor(len(cases)) as peers:
        list(peers.map(one, cases))
    return _told(tally)


def _over_the_wire(
    name: str, send: Callable[[int, random.Random], None], port: int, process_id: int, asked: argparse.Namespace
) -> Tally:
    tally = Tally(f"D14 {name}")

    def chunk(number: int) -> None:
        for index in range(_CHUNK):
            with tally.case(f"seed {asked.seed}, {number}:{index}"):
                send(port, random.Random(f"{asked.seed} {name} {number} {index}"))
        with tally.case(f"C-ECHO after seed {asked.seed}, {number}", counts=False):
            assert echoes(port)

    with tally.measured(process_id), ThreadPoolExecutor(_CLIENTS) as clients:
        list(clients.map(chunk, range(-(-asked.count // 2 // _CHUNK))))
    return _told(tally)


def _read_directly(name: str, read: Callable[[random.Random], None], asked: argparse.Namespace) -> Tally:
    tally = Tally(f"D14 {name}")
    with tally.measured(os.getpid()):
        for number in range(asked.count // 4):
            with tally.case(f"seed {asked.seed}, {number}"):
                read(random.Random(f"{asked.seed} {name} {number}"))
    return _told(tally)


def _told(tally: Tally) -> Tally:
    print(f"{tally.name}: {tally.cases} cases in {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally


def _print(tallies: list[Tally], asked: argparse.Namespace, seconds: float) -> None:
    head = f"{'class':<32}{'cases':>9}{'violations':>12}{'worst answer':>14}{'worst cut':>20}{'memory growth':>15}"
    print(head)
    for tally in tallies:
        growth = f"{tally.growth / 2**20:.1f} MiB"
        cut = "{:.1f} s of {:.1f} s".format(*tally.worst_cut) if tally.worst_cut else "–"
        worst = f"{tally.worst_seconds:.3f} s"
        print(f"{tally.name:<32}{tally.cases:>9}{tally.violated:>12}{worst:>14}{cut:>20}{growth:>15}")
    cases, violated = sum(tally.cases for tally in tallies), sum(tally.violated for tally in tallies)
    print(f"{cases} cases, {violated} violations, seed {asked.seed}, {seconds:.0f} s")
    for tally in tallies:
        for violation in tally.violations:
            print(f"  {tally.name}: {violation}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    count = int(os.environ.get("BROKER_MUTATIONS", str(_ALL)))
    parser.add_argument("--count", type=int, default=count, help="mutations over the wire, and given to the readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("dicom", "hl7"), help="one half of the classes")
    parser.add_argument("--longest", type=float, default=600.0, help="seconds that a waiting case may take")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
