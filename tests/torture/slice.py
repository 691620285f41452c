"""`python -m tests.torture.slice [--day N] [--seconds S]`: a case of each class in turn, other ones every day.

For submissions: it ends soon after so many seconds, begins where another day does not, and leaves out what takes longer
than a minute. Exit code 1 on a violation.
"""

import argparse
import datetime
import sys
import time
from collections.abc import Sequence

from tests.torture.classes import tally
from tests.torture.store import CLASSES, print_tallies

_STEP = 7  # classes further each day: with their number it has no divisor in common
_LONG = 600.0


def main(words: Sequence[str] | None = None) -> int:
    """Run, print a table, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--day", type=int, default=datetime.datetime.now(datetime.UTC).toordinal())
    parser.add_argument("--seconds", type=float, default=30.0, help="after which no further case is begun")
    asked = parser.parse_args(words)
    classes = [each for each in CLASSES if each.patience <= _LONG]
    first = asked.day * _STEP % len(classes)
    end, done = time.monotonic() + asked.seconds, []
    for each in classes[first:] + classes[:first]:
        if time.monotonic() > end:
            break
        done.append(tally(each, 0.0, asked.day))
    return print_tallies(done, asked.day)


if __name__ == "__main__":
    sys.exit(main())
