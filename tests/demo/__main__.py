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

SITE_ZONE = ZoneInfo("Europe/Berlin")  # as the profiles say
OPENING = (
    "Two worlds side by side, each with a RIS, an ultrasound and a PACS as processes of their own:",
    "",
    "  RIS ── order ──> broker ── worklist ──> ultrasound ── image, cine, report ──> broker ──> PACS",
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
    return (
        World("test", "BROKER_TEST", "TEST_PACS", test, folder, stack),
        World("production", "BROKER", "PACS", production, folder, stack),
    )


def _show(screen: Screen, test: World, production: World) -> None:
    both = (test, production)
    for title, step in (
        ("started", steps.start),
        ("profile and PACS checked", steps.check),
        ("ultrasound registered", steps.register),
    ):
        screen.run(title, *((world.name, partial(step, world)) for world in both))
    for world in both:
        _main_job(screen, world)
    for title, apart in (
        ("nothing of the other world is here", steps.only_its_own),
        ("message for the other world refused", steps.refuse_the_other_kind),
    ):
        screen.run(
            title, (test.name, partial(apart, test, production)), (production.name, partial(apart, production, test))
        )
    for title, step in (
        ("unregistered device refused, told why", steps.refuse_unregistered),
        ("stopped", steps.stop),
    ):
        screen.run(title, *((world.name, partial(step, world)) for world in both))


def _main_job(screen: Screen, world: World) -> None:
    """From an empty worklist to the exam at the PACS."""
    for title, step in (
        ("worklist empty before its own order", steps.nothing_yet),
        ("order sent and acknowledged", steps.order),
        ("worklist as the ultrasound sees it", partial(steps.worklist, screen)),
        ("image, cine loop, report stored", steps.store),
        ("forwarded to the PACS", steps.forwarded),
        ("compared byte for byte at the PACS", partial(steps.compare, screen)),
    ):
        screen.run(title, (world.name, partial(step, world)))


if __name__ == "__main__":
    sys.exit(main())
