"""The product as processes that end when they should not: lives in a row on one state, a device, a PACS, the checker.

A life is `broker serve`; what a device had no answer to in one life it sends again in the next, as every modality does.
After the last the checker of `judge` looks at everything: what was answered, what arrived, what is kept and recorded.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text

from broker.alerts import store as alerts
from broker.database import Database, sqlite_url
from broker.delivery import store as deliveries
from broker.spool import store as spool_store
from broker.spool.errors import DamagedInstance
from broker.spool.files import FileSpool
from broker.spool.spool import Spool
from tests.peers.dcmtk import Node
from tests.peers.processes import free_port
from tests.peers.raw_sender import DataSet, send
from tests.torture.judge import Arrival, Ordered, Owed, Print, Seen, Used, print_of, violations_at_the_end
from tests.torture.nursery import Life, Living, Nursery
from tests.torture.ordering import Orders
from tests.torture.pacs import Kept as Received
from tests.torture.pacs import Pacs, is_good
from tests.torture.usage import Use, children, rested, used, uses

_PROFILE = """\
name = "torture"
kind = "test"
site = "General Hospital"
timezone = "Europe/Berlin"
state = "{state}"
[hl7]
host = "127.0.0.1"
port = {hl7}
[dicom]
host = "127.0.0.1"
port = {dicom}
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = {http}
[policy]
unknown_callers = "accept"
{destinations}
[[routes]]
to = [{names}]
"""
_DESTINATION = """\
[[destinations]]
name = "{name}"
protocol = "dimse"
host = "127.0.0.1"
port = {port}
ae_title = "PACS"
proof = "none"
"""
_SEGMENT = 256 * 1024
_IDLE = 2.0  # seconds that a free thread waits for work; the product's are 30
_PROCESSES = ("the parent", "the listeners", "the senders")


class Crashing:
    """One state and what happens to it. Not for several threads, but for `send`."""

    def __init__(
        self,
        folder: Path,
        nursery: Nursery,
        *,
        state: Path | None = None,
        destinations: int = 1,
        segment: int = _SEGMENT,
    ) -> None:
        """Make it; a `segment` of 0 bytes is as large as the product's own."""
        self.folder = folder
        self._segment = segment
        self.nursery = nursery
        self.state = state or folder / "state"
        self.pacs = {f"pacs{number}": Pacs() for number in range(destinations)}
        self.sent: defaultdict[str, set[Print]] = defaultdict(set)
        self.answered: defaultdict[str, set[Print]] = defaultdict(set)
        self.unanswered: dict[str, DataSet] = {}
        self.ready_seconds: list[float] = []
        self.lives = 0
        self.living: Living | None = None
        self.port, self.hl7_port = free_port(), free_port()
        self.orders = Orders()
        self._ordered = Ordered()
        self._used: list[Used] = []
        self._base: dict[str, Use] = {}
        self._associations = _Peak()
        self._is_last = False
        self._file = folder / "torture.toml"
        blocks = "".join(_DESTINATION.format(name=name, port=one.port) for name, one in self.pacs.items())
        names = ", ".join(f'"{name}"' for name in self.pacs)
        ports = {"dicom": self.port, "hl7": self.hl7_port, "http": free_port()}
        self._file.write_text(_PROFILE.format(state=self.state, destinations=blocks, names=names, **ports))

    def close(self) -> None:
        """End everything."""
        if self.living is not None:
            self.living.kill()
        for one in self.pacs.values():
            one.close()

    def begin(
        self, fail: str = "", *, limits: Mapping[str, int] | None = None, syncs: bool = True, **variables: str
    ) -> bool:
        """Begin a life; tell whether it got as far as being ready."""
        self.lives += 1
        for one in self.pacs.values():
            one.life = self.lives
        ready = self.folder / f"ready-{self.lives}"
        hooks = {"BROKER_TEST_HOOKS": "1", "BROKER_FAIL": fail, **variables}
        life = Life(
            str(self._file),
            str(self.folder / "log"),
            str(ready),
            hooks,
            limits or {},
            segment=self._segment,
            idle=_IDLE,
            syncs=syncs,
        )
        self.living = self.nursery.start(life)
        seconds = self.living.wait_ready()
        if seconds is not None and not limits:
            self.ready_seconds.append(seconds)
        self._base = self._uses()
        return seconds is not None

    def rest(self) -> None:
        """Demand when all is settled that files and threads are back (I10); memory is demanded of every life."""
        self._is_last = True

    def end(self, how: str = "kill") -> int | None:
        """End the life by SIGKILL or, to `stop`, by SIGTERM; return the exit code."""
        assert self.living is not None
        code: int | None = None
        self._used += [replace(one, files=0, threads=0) for one in self._used_now()]
        if how == "stop":
            code = self.living.stop()
        else:
            self.living.kill()
        self.living = None
        return code

    def send(self, item: DataSet, seconds: float = 10.0) -> int | None:
        """Send an instance as a device does; None where there was no answer. What failed is sent again later."""
        found = print_of(item.data)
        self.sent[item.sop_instance_uid].add(found)
        status: int | None = None
        with self._associations.one(), suppress(OSError, AssertionError, ConnectionError):
            status = send(Node(self.port, "BROKER"), "US1", item, seconds)
        if status == 0:
            self.answered[item.sop_instance_uid].add(found)
            self.unanswered.pop(item.sop_instance_uid, None)
        else:
            self.unanswered[item.sop_instance_uid] = item
        return status

    def send_again(self) -> None:
        """Send what had no answer 0000 again."""
        for item in list(self.unanswered.values()):
            self.send(item)

    def settle(self, seconds: float = 40.0) -> None:
        """Wait until everything answered is delivered or parked; then end cleanly."""
        deadline = time.monotonic() + seconds
        while self.unanswered and time.monotonic() < deadline:
            self.send_again()
        assert not self.unanswered, f"{len(self.unanswered)} are not taken; {self.log_end()}"
        if self.orders.sent:
            self.orders.send_again(self.hl7_port)
            self._ordered = self.orders.shown(self.port)
        while not self._is_settled():
            assert time.monotonic() < deadline, f"not settled: {self._states()}; {self.log_end()}"
            time.sleep(0.05)
        if self._is_last:
            self._used += rested(self._used_now)
        code = self.end("stop")
        assert code == 0, f"exit code {code}; {self.log_end()}"

    def judge(self) -> Seen:
        """Return all that was seen; raise AssertionError with what is violated."""
        seen = self.seen()
        bad = violations_at_the_end(seen)
        assert not bad, f"{len(bad)} violations, the first: {bad[0]}"
        return seen

    def seen(self) -> Seen:
        """Gather what there is; nothing serves now."""
        database = self.database()
        try:
            spool = Spool(self.state / "spool")
            seen = looked_at(database, spool, list(self.pacs), self.sent, self.answered, arrivals(self.pacs))
        finally:
            database.close()
        seen.ready_seconds = self.ready_seconds
        seen.used, seen.ordered = self._used, self._ordered
        return seen

    def log_end(self) -> str:
        """Return the end of the product's log."""
        file = self.folder / "log"
        return file.read_text()[-1500:] if file.exists() else "no log"

    def _uses(self) -> dict[str, Use]:
        """Return what each process of the life uses now."""
        if self.living is None:
            return {}
        with suppress(OSError):  # it may have ended
            pids = [self.living.pid, *children(self.living.pid)]
            return uses(dict(zip(_PROCESSES, pids, strict=False)))
        return {}

    def _used_now(self) -> list[Used]:
        return used(self._base, self._uses(), self._associations.most)

    def _is_settled(self) -> bool:
        """Tell whether as many as were answered are known, and each is delivered or parked."""
        database = self.database()
        try:
            with database.read() as tx:
                known = tx.execute(text("SELECT count(*) FROM instance")).scalar_one()
                owed = tx.execute(text("SELECT count(DISTINCT instance_id) FROM delivery")).scalar_one()
                left = text("SELECT count(*) FROM delivery WHERE state NOT IN ('delivered', 'parked')")
                open_now = tx.execute(left).scalar_one()
        finally:
            database.close()
        wanted = sum(map(len, self.answered.values()))
        return bool(known >= wanted and owed >= wanted and open_now == 0)

    def _states(self) -> Sequence[tuple[str, str, str]]:
        database = self.database()
        try:
            with database.read() as tx:
                return [(one.destination, one.state.value, one.reason) for one in deliveries.deliveries(tx)][:5]
        finally:
            database.close()

    def database(self) -> Database:
        """Return the database of the state, for the caller to close."""
        return Database(sqlite_url(self.state / "broker.db"))


class _Peak:
    """How many there were at once, at the most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be one of them for the block."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


def arrivals(pacs: Mapping[str, Pacs]) -> list[Arrival]:
    """Return what has arrived whole, in order, of all PACS."""
    return [arrival(name, each) for name, one in pacs.items() for each in list(one.kept)]


def arrival(name: str, one: Received) -> Arrival:
    """Return what a PACS of this name has kept as the checker takes it."""
    return Arrival(name, one.sop_instance_uid, print_of(one.content), is_good(one.status), one.is_answered, one.life)


def looked_at(  # noqa: PLR0917 - what was seen, in all its parts
    database: Database,
    spool: FileSpool,
    destinations: Sequence[str],
    sent: Mapping[str, set[Print]],
    answered: Mapping[str, set[Print]],
    arrived: Sequence[Arrival],
) -> Seen:
    """Look at everything that the product knows and keeps of what was sent."""
    with database.read() as tx:
        versions = {uid: spool_store.find_by_sop(tx, uid) for uid in sent}
        uids = {each.id: uid for uid, found in versions.items() for each in found}
        known = spool_store.known(tx, list(uids))
        owed = [
            Owed(uids[each], one.destination, one.state.value, one.reason)
            for each in uids
            for one in deliveries.of_instance(tx, each)
        ]
        told = {uids.get(alert.subject, alert.subject) for alert in alerts.open_alerts(tx)}
        audited = _audited(tx.execute(text("SELECT event, fields FROM journal")).all())
    kept: defaultdict[str, set[Print]] = defaultdict(set)
    broken = []
    for each in [one for found in versions.values() for one in found if one.id not in known.forgotten]:
        try:
            kept[uids[each.id]].add(print_of(b"".join(spool.data(each))))
        except DamagedInstance:
            broken.append(uids[each.id])
    forgotten = [uids[each] for each in known.forgotten]
    return Seen(destinations, sent, answered, arrived, owed, kept, broken, forgotten, audited, told)


def _audited(rows: Iterable[Sequence[str]]) -> set[tuple[str, str]]:
    found = ((event, json.loads(fields)) for event, fields in rows)
    return {(event, str(fields["sop_instance_uid"])) for event, fields in found if "sop_instance_uid" in fields}
