"""What a start costs, by what it loads and leaves to be looked at; not by time, which the machine decides."""

import sys
from pathlib import Path

import pytest

from tests.peers.processes import run

RARE = {
    "alembic": "migrations, once in a schema's life",
    "httpx": "STOW-RS, where a destination is reached by it",
    "fpdf": "what is printed",
    "fontTools": "what is printed",
    "segno": "what is printed",
    "uharfbuzz": "what is printed",
    "numpy": "transcoding, in a process of its own",
    "psycopg": "PostgreSQL, where the profile names it",
    "cryptography": "certificates of tests",
    "click": "the command line",
    "broker.promoting": "promotions, in Production's deliveries alone",
    "broker.exams.printed": "what is printed",
}
"""Third parties and rooms of ours that few starts need, and who needs them."""


def _loaded(module: str) -> set[str]:
    """Return the packages, and our rooms, that a fresh interpreter has after importing a module."""
    result = run([sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"])
    assert result.returncode == 0, result.stderr
    names = [name.split(".") for name in result.stdout.split()]
    return {".".join(parts[:depth]) for parts in names for depth in (1, 2, 3)}


def test_serving_loads_nothing_that_few_starts_need() -> None:
    assert _loaded("broker.app.serve") & RARE.keys() == set()


@pytest.mark.parametrize("noun", ["alert", "order", "outbox"])
def test_a_command_loads_no_listener_and_no_sender(noun: str) -> None:
    unwanted = {"pynetdicom", "apscheduler", "httpx", "alembic", "broker.app", "broker.listeners", "broker.pipeline"}
    assert _loaded(f"broker.cli.{noun}") & unwanted == set()


PROGRAM = """
import gc, os, signal
from broker.supervisor import Supervisor

def live(ports, ready, stop):
    ready({"collects": gc.isenabled(), "passed by": gc.get_freeze_count()})
    stop.wait()

def told(ports):
    print(ports["collects"], ports["passed by"] > 10_000, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

gc.disable()
raise SystemExit(Supervisor({"a": live}, told).run())
"""


def test_a_child_looks_for_garbage_but_not_among_what_its_parent_has_loaded() -> None:
    result = run([sys.executable, "-c", PROGRAM], 20, PYTHONPATH=str(Path(__file__).parents[2]))
    assert (result.returncode, result.stdout) == (0, "True True\n")
