"""A process that sends what the outbox owes to one receiver until nothing is left, as that of the deliveries does.

Called with the database's URL and the receiver's port. Its clock moves on when nothing is due, so that nobody waits.
"""

import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

from broker import failpoints
from broker.clock import SystemClock
from broker.database import Database
from broker.environments.model import Receiver, World
from broker.outbox import store, worker
from broker.outbox.connection import sender
from broker.owed import OPEN

_MOST_ROUNDS = 200


class _HurryingClock(SystemClock):
    instant = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant


def _run(database: Database, port: int) -> bool:
    receiver = Receiver("ris", "127.0.0.1", port, World.TEST, timeout_seconds=1)
    clock = _HurryingClock()
    with database.write("outbox") as tx:
        store.release_all(tx)
    with closing(sender(receiver)) as line:
        for _ in range(_MOST_ROUNDS):
            while worker.send_batch(database, receiver, line, clock, lambda: 1.0, lambda *_: None, limit=3):
                pass
            with database.read() as tx:
                if not any(message.state in OPEN for message in store.messages_of(tx)):
                    return True
            clock.instant += timedelta(seconds=5)
    return False


if __name__ == "__main__":
    failpoints.arm_from_environment()
    opened = Database(sys.argv[1])
    done = _run(opened, int(sys.argv[2]))
    opened.close()
    sys.exit(0 if done else 1)
