"""What is asked of the store gateway's torture: cases of each fault with every submission; and what a run had."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tests.torture.classes import FaultClass
from tests.torture.measured import Tally

ASKED = {
    **{"F01": 200, "F02": 150, "F05": 50, "F06": 5000, "F07": 30, "F09": 50, "F10": 60, "F11": 20, "F12": 20},
    **{"F14": 40, "F15": 5, "F16": 30, "F17": 60, "F18": 100, "F19": 10, "F20": 45, "F21": 60, "F22": 20},
    **{"F23": 200, "F24": 27, "F25": 20, "F26": 30, "F27": 40, "F28": 40, "F31": 15},
    **{"D06": 150, "D07": 60, "D08": 80, "D09": 24, "D10": 15, "D11": 8, "D12": 60, "D13": 60},
}
"""By fault; a fault may have several classes."""


def fault_of(name: str) -> str:
    """Return the fault of a class by its name."""
    return name.partition(" ")[0]


def has(classes: Sequence[FaultClass[Any]]) -> Counter[str]:
    """Return how many cases there are of each fault."""
    found: Counter[str] = Counter()
    for each in classes:
        found[fault_of(each.name)] += sum(case.count for case in each.cases())
    return found


def coverage(classes: Sequence[FaultClass[Any]], done: Sequence[Tally]) -> Iterator[str]:
    """Give a line for each fault: what is asked, what there is, what was run."""
    there, ran = has(classes), Counter[str]()
    for tally in done:
        ran[fault_of(tally.name)] += tally.cases
    yield f"{'fault':<10}{'asked':>8}{'there':>8}{'ran':>8}"
    for fault, asked in ASKED.items():
        short = "" if ran[fault] >= asked else f"  {asked - ran[fault]} fewer than asked"
        yield f"{fault:<10}{asked:>8}{there[fault]:>8}{ran[fault]:>8}{short}"
