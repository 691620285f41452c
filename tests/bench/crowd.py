"""Fifty consoles at once, as the goal says it and as it hurts: what each offer of queries got."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.consoles import Question
from tests.peers.processes import run

CONSOLES = 50
GOAL_EVERY = 0.24  # seconds in which each console asks once: 208 queries a second, a little more than the goal
HURRIED_EVERY = 0.2  # 250 a second
GOAL_RATE, GOAL_P95 = 200, 150  # queries a second, milliseconds


@dataclass(frozen=True)
class Offer:
    """What fifty consoles offered, and what they got."""

    offered: float  # queries a second; 0: each asks again at once
    answered: float  # queries a second whose last answer came within the time
    p50: float  # milliseconds from asking to the end of the association
    p95: float
    p95_due: float  # the same from the moment at which the query was due: waiting for the one before counts
    failed: int

    @property
    def line(self) -> str:
        """One line of the table."""
        offered = f"{self.offered:.0f}/s" if self.offered else "at once"
        due = f"{self.p95_due:.0f} ms" if self.offered else ""
        return f"{offered:>8}{self.answered:>10.0f}/s{self.p50:>9.0f} ms{self.p95:>9.0f} ms{due:>16}{self.failed:>9}"


HEAD = f"{'offered':>8}{'answered':>12}{'p50':>12}{'p95':>12}{'p95 since due':>16}{'failed':>9}"


def crowd(folder: Path, port: int, called: str, questions: Iterable[Question], seconds: int, every: float) -> Offer:  # noqa: PLR0917 - whom, by whom, how long
    """Run fifty consoles, each asking once in `every` seconds (0: again at once)."""
    of = [{"calling": each.calling, "identifier": each.identifier.hex(), "answers": each.answers} for each in questions]
    file = folder / "crowd.json"
    file.write_text(
        json.dumps({"port": port, "called": called, "seconds": seconds, "every": every, "count": CONSOLES, "of": of})
    )
    done = run([sys.executable, "-m", "tests.bench.consoles", file], seconds + 180)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    for failure in said["failed"][:5]:
        print(f"a console: {failure}", file=sys.stderr)
    waits, since_due = said["waits"], said["since_due"]
    return Offer(
        CONSOLES / every if every else 0.0,
        said["within"] / seconds,
        waits[len(waits) // 2] * 1000,
        waits[int(len(waits) * 0.95)] * 1000,
        since_due[int(len(since_due) * 0.95)] * 1000,
        len(said["failed"]),
    )
