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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    screen = Screen({"test": "green", "production": "red"})
    folder = Path(tempfile.mkdtemp(prefix="broker-demo-"))
    code = 1
    try:
        code = _run(screen, folder)
    except KeyboardInterrupt:
        screen.console.print("interrupted: every process was ended")
        code = 130
    finally:
        if code != 1:
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
    for world in both:
        with screen.step(world.name, "started") as step:
            steps.start(world, step)
    for world in both:
        _main_job(screen, world)
    _apart(screen, test, production)
    _apart(screen, production, test)
    for world in both:
        with screen.step(world.name, "stopped") as step:
            steps.stop(world, step)


def _main_job(screen: Screen, world: World) -> None:
    """From an empty world to the exam at the PACS."""
    with screen.step(world.name, "profile and PACS checked") as step:
        steps.check(world, step)
    with screen.step(world.name, "ultrasound registered") as step:
        steps.register(world, step)
    with screen.step(world.name, "worklist empty before its own order") as step:
        steps.nothing_yet(world, step)
    with screen.step(world.name, "order sent and acknowledged") as step:
        steps.order(world, step)
    with screen.step(world.name, "worklist as the ultrasound sees it") as step:
        steps.worklist(world, step, screen)
    with screen.step(world.name, "image, cine loop, report stored") as step:
        steps.store(world, step)
    with screen.step(world.name, "forwarded to the PACS") as step:
        steps.forwarded(world, step)
    with screen.step(world.name, "compared byte for byte at the PACS") as step:
        steps.compare(world, step, screen)


def _apart(screen: Screen, world: World, other: World) -> None:
    """What must not happen."""
    with screen.step(world.name, "nothing of the other world is here") as step:
        steps.only_its_own(world, other, step)
    with screen.step(world.name, "message for the other world refused") as step:
        steps.refuse_the_other_kind(world, other, step)
    with screen.step(world.name, "unregistered device refused, told why") as step:
        steps.refuse_unregistered(world, step)


if __name__ == "__main__":
    sys.exit(main())
