"""What a person sees of the demo: a line a step while it runs, tables, the summary. Verifies nothing."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WIDTH = 110  # where no terminal says otherwise
LAST_LINES = 10  # of what was seen; the rest is in the logs


class NotVerified(Exception):
    """A step's outcome is not what it must be."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; seen {seen}")
        self.expected = expected
        self.seen = seen


@dataclass
class Step:
    """One step of one world as it runs; `note` becomes the end of its line."""

    world: str
    title: str
    note: str = ""
    seconds: float = 0.0


Act = tuple[str, Callable[[Step], None]]
"""The name of a world, and what a step does in it."""


@dataclass
class Screen:
    """The screen. `colours` of the worlds by name."""

    colours: dict[str, str]
    steps: list[Step] = field(default_factory=list)  # the verified ones
    current: Step | None = None

    def __post_init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=WIDTH)

    def opening(self, lines: Sequence[str]) -> None:
        """Say what will be shown."""
        self.console.print(Panel("\n".join(lines), title="modality-broker demo", title_align="left", padding=(0, 1)))

    def run(self, title: str, *acts: Act) -> None:
        """Run one step in each of the given worlds at once; a line is written for each when it was verified."""
        steps = [Step(world, title) for world, _ in acts]
        with self.console.status(f"{title} …"), ThreadPoolExecutor(len(acts)) as threads:
            running = [threads.submit(_timed, step, act) for step, (_, act) in zip(steps, acts, strict=True)]
            for step, future in zip(steps, running, strict=True):
                self.current = step
                future.result()
                self.steps.append(step)
                self.console.print(self._line(step))
        self.current = None

    def table(self, title: str, world: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a table of that world."""
        table = Table(
            title=Text.assemble(self._name(world), " ", title),
            title_justify="left",
            border_style=self.colours[world],
            header_style="bold",
        )
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(value)) for value in row))
        self.console.print(table)

    def summary(self, seconds: float) -> None:
        """Write what was verified in which world, and how long each step took."""
        table = Table(title="Verified", title_justify="left", header_style="bold")
        table.add_column("step")
        for world, colour in self.colours.items():
            table.add_column(Text(world, style=f"bold {colour}"), justify="right")
        took = {(step.title, step.world): step.seconds for step in self.steps}
        for title in dict.fromkeys(step.title for step in self.steps):
            table.add_row(title, *(self._cell(took.get((title, world))) for world in self.colours))
        self.console.print()
        self.console.print(table)
        self.console.print(
            Text(
                f"PASSED  {len(self.steps)} steps verified in {seconds:.1f} s; no process and no file is left.", "bold"
            )
        )

    def failure(self, why: NotVerified, logs: str) -> None:
        """Write which step failed, what was expected, what was seen, and where to look."""
        step = self.current or Step("", "between two steps")
        text = Text.assemble(
            ("expected  ", "bold"),
            why.expected,
            "\n",
            ("seen      ", "bold"),
            "\n".join(why.seen.strip().splitlines()[-LAST_LINES:]),
            "\n",
            ("logs in   ", "bold"),
            logs,
        )
        title = Text.assemble(("FAILED  ", "bold red"), self._name(step.world), f" {step.title}")
        self.console.print(Panel(text, title=title, title_align="left", border_style="red"))

    def _line(self, step: Step) -> Table:
        line = Table.grid(padding=(0, 1))
        for width in (1, 10, 37, 6, None):
            line.add_column(width=width, justify="right" if width == 6 else "left", overflow="fold")
        line.add_row(
            Text("✓", "bold"),
            self._name(step.world),
            step.title,
            Text(f"{step.seconds:.2f} s", "dim"),
            Text(step.note),
        )
        return line

    def _name(self, world: str) -> Text:
        return Text(world, style=f"bold {self.colours.get(world, 'default')}")

    @staticmethod
    def _cell(seconds: float | None) -> Text:
        return Text("") if seconds is None else Text(f"✓ {seconds:5.2f} s")


def _timed(step: Step, act: Callable[[Step], None]) -> None:
    began = time.monotonic()
    act(step)
    step.seconds = time.monotonic() - began
