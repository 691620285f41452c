"""The metronome: chores by the clock. Due times live in the database, not here. The only user of apscheduler."""

import logging
from collections.abc import Callable, Mapping

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

Chore = Callable[[], object]


class Metronome:
    """Calls each chore again and again, never twice at once; a chore that takes longer than its beat skips beats."""

    def __init__(self, chores: Mapping[str, tuple[float, Chore]]) -> None:
        # That a beat was skipped is how it is meant to be, and no line for our log.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(max(1, len(chores)))},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone="UTC",
        )
        for name, (seconds, chore) in chores.items():
            self._scheduler.add_job(chore, "interval", seconds=seconds, id=name)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Call no chore any more, and wait for those that run."""
        self._scheduler.shutdown(wait=True)
