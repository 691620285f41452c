"""`python -m tests.torture.store [--share S] [--seed N] [--only TEXT]`: every class of faults of the store gateway.

Each case demands the invariants of `judge`. Prints a table; exit code 1 on a violation.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tests.torture import (
    store_campaign,
    store_disk,
    store_faults,
    store_inputs,
    store_kills,
    store_nodes,
    store_power,
    store_rate,
    store_time,
    store_web,
)
from tests.torture.asked import coverage
from tests.torture.classes import FaultClass, tally
from tests.torture.measured import Tally

CLASSES: Sequence[FaultClass[Any]] = (
    *store_faults.CLASSES,
    *store_kills.CLASSES,
    *store_power.CLASSES,
    *store_disk.CLASSES,
    *store_time.CLASSES,
    *store_rate.CLASSES,
    *store_inputs.CLASSES,
    *store_web.CLASSES,
    *store_nodes.CLASSES,
    *store_campaign.CLASSES,
)
_WHOLE = 0.05  # of a share from which on files and threads are demanded back: that takes seconds a class


def main(words: Sequence[str] | None = None) -> int:
    """Run, print a table, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of each class")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="classes whose names contain one of these words, by commas")
    asked = parser.parse_args(words)
    chosen = [each for each in CLASSES if any(word in each.name for word in asked.only.split(","))]
    done = [tally(each, asked.share, asked.seed, rests=asked.share >= _WHOLE) for each in chosen]
    code = print_tallies(done, asked.seed)
    if not asked.only:
        print(*coverage(CLASSES, done), sep="\n")
    return code


def print_tallies(done: Sequence[Tally], seed: int) -> int:
    """Print a table and what was violated; return the exit code."""
    least = {each.name: each.least for each in CLASSES}
    print(f"{'class':<32}{'least':>8}{'ran':>8}{'violations':>12}{'seconds':>9}")
    for each in done:
        print(f"{each.name:<32}{least[each.name]:>8}{each.cases:>8}{each.violated:>12}{each.seconds:>9.0f}")
    for each in done:
        if each.counted:
            print(f"  {each.name}: {', '.join(f'{count:,} {what}' for what, count in each.counted.items())}")
        for violation in each.violations:
            print(f"  {each.name}: {violation}")
    violated = sum(each.violated for each in done)
    print(f"{sum(each.cases for each in done)} cases, {violated} violations, seed {seed}")
    return int(violated > 0)


if __name__ == "__main__":
    sys.exit(main())
