"""What waits for a common commit: many callers, one writing transaction. What they write is their own matter."""

import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar, cast

from broker.database.tables import Transaction
from broker.errors import BrokerError
from broker.statements import say

_T = TypeVar("_T")


class Job(Generic[_T]):
    """What one caller wants done in a transaction, and what came of it."""

    def __init__(self, work: Callable[[Transaction], _T]) -> None:
        self._work = work
        self._result: _T | None = None
        self._error: BrokerError | None = None
        self.tried = False
        self.done = False

    def run_alone(self, tx: Transaction) -> None:
        """Do it; what it raises undoes the whole transaction."""
        self._error = None
        self._result = self._work(tx)
        self.done = True

    def run_beside_others(self, tx: Transaction) -> None:
        """Do it; what it raises undoes this part, and is kept for the caller."""
        say(tx, "SAVEPOINT job")
        try:
            self._result = self._work(tx)
            self._error = None
        except BrokerError as error:
            say(tx, "ROLLBACK TO SAVEPOINT job")
            self._error = error
        say(tx, "RELEASE SAVEPOINT job")

    def outcome(self) -> _T:
        """Return the result, or raise what stopped it."""
        if self._error is not None:
            raise self._error
        return cast(_T, self._result)


class Jobs:
    """The jobs that wait, by the kind of transaction they share; `write` opens one."""

    def __init__(self, write: Callable[[str], AbstractContextManager[Transaction]]) -> None:
        self._write = write
        self._waiting: dict[str, list[Job[Any]]] = {}
        self._waiting_lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def do(self, what: str, work: Callable[[Transaction], _T]) -> _T:
        """Return `work(tx)`, done beside the others that wait for the same kind, or alone."""
        job = Job(work)
        with self._waiting_lock:
            self._waiting.setdefault(what, []).append(job)
        # In turn, which lets more of them gather for the next commit than waking all at once did (measured: a tenth).
        with self._turns[what]:
            if not job.tried:
                with self._waiting_lock:
                    jobs = self._waiting.pop(what)
                self._work_off(what, jobs)
            if not job.done:  # nobody else waits, or it fell with another's
                with self._write(what) as tx:
                    job.run_alone(tx)
        return job.outcome()

    def _work_off(self, what: str, jobs: list[Job[Any]]) -> None:
        """Do several jobs in one transaction, or leave each to be done alone."""
        for job in jobs:
            job.tried = True
        if len(jobs) == 1:
            return
        finished = False
        try:
            with self._write(what) as tx:
                for job in jobs:
                    job.run_beside_others(tx)
            finished = True
        finally:
            for job in jobs:
                job.done = finished
