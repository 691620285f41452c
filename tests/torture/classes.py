"""What a class of faults is, and how a run of it is tallied."""

import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from tests.torture.measured import Tally

W = TypeVar("W")


@dataclass(frozen=True)
class Case(Generic[W]):
    """One fault, or some in a row; `run` raises what is violated, and may return what it has counted."""

    name: str
    run: Callable[[W], Counter[str] | None]
    count: int = 1


@runtime_checkable
class Resting(Protocol):
    """A world that can demand that files and threads are back when nothing goes on any more (I10)."""

    def rest(self) -> None:
        """Demand it now, or at the end of the next case."""


@dataclass(frozen=True)
class FaultClass(Generic[W]):
    """Cases of one kind, how many a whole run has to have, and the world that they happen in."""

    name: str
    cases: Callable[[], Iterator[Case[W]]]
    least: int
    world: Callable[[], AbstractContextManager[W]]
    is_fresh: bool = False  # each case in a world of its own
    patience: float = 60.0  # seconds of real time for a case


def tally(each: FaultClass[W], share: float, seed: int, *, rests: bool = False) -> Tally:
    """Run a share of a class's cases, always the same ones for the same seed; `rests`: demand I10 after the last."""
    found = Tally(each.name)
    begun = time.monotonic()
    chosen = _chosen(each, share, seed)
    if each.is_fresh:
        for case in chosen:
            with each.world() as world:
                if rests and case is chosen[-1] and isinstance(world, Resting):
                    world.rest()
                _run(found, case, world, each.patience)
    else:
        with each.world() as world:
            for case in chosen:
                _run(found, case, world, each.patience)
            if rests and isinstance(world, Resting):
                with found.case("all at rest", counts=False, deadline=each.patience):
                    world.rest()
    found.seconds = time.monotonic() - begun
    print(f"{found.name}: {found.cases} cases in {found.seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def _chosen(each: FaultClass[W], share: float, seed: int) -> Sequence[Case[W]]:
    every = list(each.cases())
    wanted = max(1, math.ceil(len(every) * share))
    return every if wanted >= len(every) else random.Random(f"{seed} {each.name}").sample(every, wanted)


def _run(found: Tally, case: Case[W], world: W, patience: float) -> None:
    with found.case(case.name, deadline=patience):
        found.counted.update(case.run(world) or {})
    found.cases += case.count - 1
