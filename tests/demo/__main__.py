"""The order of the demo's steps, its folder and its exit code: 0 only if every step was verified."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.demo import steps
from tests.demo.screen import NotVerified, Screen
from tests.demo.world import Exam, World
from tests.peers.commands_process import commands as running_commands

SITE_ZONE = ZoneInfo("Europe/Berlin")  # as the profiles say
OPENING = (
    "Two worlds side by side, each with a RIS and a PACS, and one ultrasound, as processes of their own:",
    "",
    "  RIS ── order ──> broker ── worklist ──> ultrasound ── image, cine, report ──> broker ──> PACS",
    "",
    "The ultrasound proves itself in Test by its own traffic. Ann asks for its promotion, Eve approves it, it",
    "goes live in Production, and comes back in the middle of an exam.",
    "",
    "Every line below was verified before it was written.",
)


def main() -> int:
    """Run the demo; return the exit code."""
    _leave_the_callers_settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: every process, and the folder
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode shall not end the demo
    screen = Screen({"test": "green", "production": "red"})
    folder = Path(tempfile.mkdtemp(prefix="broker-demo-"))
    code = 1
    try:
        code = _run(screen, folder)
    except KeyboardInterrupt:
        screen.console.print("interrupted: every process was ended")
        code = 130
    finally:
        if code != 1:  # a failure keeps its logs
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _leave_the_callers_settings() -> None:
    """Forget what the caller's shell says about the broker: the demo's worlds are its own."""
    for name in [name for name in os.environ if name.startswith("BROKER_")]:
        del os.environ[name]


def _run(screen: Screen, folder: Path) -> int:
    screen.opening(OPENING)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            _show(screen, *_worlds(folder, stack))
    except NotVerified as why:
        screen.failure(why, str(folder))
        return 1
    except (AssertionError, subprocess.SubprocessError) as error:  # how the peers say that they gave up
        screen.failure(NotVerified("the step ends", str(error)), str(folder))
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost loop: whatever it was, say where it was
        screen.failure(NotVerified("no error of the demo itself", f"{type(error).__name__}: {error}"), str(folder))
        return 1
    shutil.rmtree(folder)
    screen.summary(time.monotonic() - began)
    return 0


def _worlds(folder: Path, stack: ExitStack) -> tuple[World, World]:
    now = datetime.now(SITE_ZONE).replace(second=0, microsecond=0)
    test = Exam(1001, "T", "Probe^Änne", "T-4711", "19800229", now)
    production = Exam(2001, "P", "García^Lucía", "4712", "19671105", now)
    commands = stack.enter_context(running_commands(folder / "commands.log"))
    return (
        World("test", "BROKER_TEST", "TEST_PACS", test, folder, stack, commands),
        World("production", "BROKER", "PACS", production, folder, stack, commands),
    )


def _show(screen: Screen, test: World, production: World) -> None:
    both = (test, production)
    for title, step in (
        ("started", steps.start),
        ("profile and PACS checked", steps.check),
        ("Ann and Eve", steps.people),
    ):
        screen.run(title, *((world.name, partial(step, world)) for world in both))
    screen.run("ultrasound registered", (test.name, partial(steps.register, test)))
    screen.run("ultrasound not served yet", (production.name, partial(steps.not_served, production)))
    _main_job(screen, test)
    _promotion(screen, test, production)
    _main_job(screen, production)
    for title, apart in (
        ("nothing of the other world is here", steps.only_its_own),
        ("message for the other world refused", steps.refuse_the_other_kind),
    ):
        screen.run(
            title, (test.name, partial(apart, test, production)), (production.name, partial(apart, production, test))
        )
    screen.run(
        "unregistered device refused, told why",
        *((each.name, partial(steps.refuse_unregistered, each)) for each in both),
    )
    for title, step in (
        ("second exam begun", steps.begin_another),
        ("rolled back in the middle of it", steps.roll_back),
        ("the exam ends where it began", steps.end_it),
    ):
        screen.run(title, (production.name, partial(step, production)))
    screen.run("stopped", *((world.name, partial(steps.stop, world)) for world in both))


def _promotion(screen: Screen, test: World, production: World) -> None:
    """From what the ultrasound has shown to what Production serves."""
    screen.run("proven by its own traffic", (test.name, partial(steps.prove, screen, test, production)))
    for title, step in (
        ("plan", partial(steps.plan, screen)),
        ("asked for by Ann, approved by Eve", steps.approve),
        ("applied", steps.apply),
    ):
        screen.run(title, (production.name, partial(step, test, production)))


def _main_job(screen: Screen, world: World) -> None:
    """From an empty worklist to the exam at the PACS."""
    for title, step in (
        ("worklist empty before its own order", steps.nothing_yet),
        ("order sent and acknowledged", steps.order),
        ("worklist as the ultrasound sees it", partial(steps.worklist, screen)),
        ("exam: image, cine loop, report", steps.store),
        ("forwarded to the PACS", steps.forwarded),
        ("compared byte for byte at the PACS", partial(steps.compare, screen)),
    ):
        screen.run(title, (world.name, partial(step, world)))


if __name__ == "__main__":
    sys.exit(main())
