"""`python -m tests.torture.store [--share S] [--seed N] [--only TEXT]`: every class of faults of the store gateway.

Each case demands the invariants of `judge`. Prints a table; exit code 1 on a violation.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tests.torture import store_disk, store_faults, store_inputs, store_kills, store_power, store_time
from tests.torture.classes import FaultClass, tally
from tests.torture.measured import Tally

CLASSES: Sequence[FaultClass[Any]] = (
    *store_faults.CLASSES,
    *store_kills.CLASSES,
    *store_power.CLASSES,
    *store_disk.CLASSES,
    *store_time.CLASSES,
    *store_inputs.CLASSES,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run, print a table, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of each class")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="classes whose names contain one of these words, by commas")
    asked = parser.parse_args(words)
    chosen = [each for each in CLASSES if any(word in each.name for word in asked.only.split(","))]
    done = [tally(each, asked.share, asked.seed) for each in chosen]
    return print_tallies(done, asked.seed)


def print_tallies(done: Sequence[Tally], seed: int) -> int:
    """Print a table and what was violated; return the exit code."""
    print(f"{'class':<32}{'cases':>9}{'violations':>12}{'seconds':>9}")
    for each in done:
        print(f"{each.name:<32}{each.cases:>9}{each.violated:>12}{each.seconds:>9.0f}")
    for each in done:
        for violation in each.violations:
            print(f"  {each.name}: {violation}")
    violated = sum(each.violated for each in done)
    print(f"{sum(each.cases for each in done)} cases, {violated} violations, seed {seed}")
    return int(violated > 0)


if __name__ == "__main__":
    sys.exit(main())
