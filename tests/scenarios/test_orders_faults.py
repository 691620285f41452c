"""Faults between MLLP and worklist: killed at each failpoint, the database locked or gone, fifty messages at once."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from broker.clock import SystemClock
from broker.database import Database, sqlite_url
from broker.errors import Unavailable
from broker.inbox.model import Arrival
from broker.listeners.mllp import acknowledgement
from broker.migrations import upgrade
from broker.orders import store as orders
from broker.orders.model import StoredOrder
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from broker.worklist import find
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.stations import Stations
from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.golden.world import World
from tests.peers import postgresql
from tests.peers.broker import Environment
from tests.peers.processes import wait_for
from tests.scenarios.kills import tried
from tests.scenarios.order_kinds import KINDS
from tests.torture.hl7_exchange import frames
from tests.torture.hl7_messages import adt, order
from tests.torture.hl7_server import Served, database_file, serving

pytestmark = pytest.mark.slow

P = {11: "P"}


# --- F03: killed at each failpoint -------------------------------------------------------------------------------

SIDES = ("before", "after")
HALF = "hl7.answer.half"
_TAKEN = ("AA", "CA")
# Where a message that is taken, and one that is refused, becomes durable, and its answer leaves, whole or not.
KILLS = [
    (name, point)
    for name, kind in KINDS.items()
    for place in ("orders.commit" if kind.answer in _TAKEN else "inbox.commit", "hl7.answer")
    for point in (*(f"{place}.{side}" for side in SIDES), *([HALF] if place == "hl7.answer" else []))
]
assert len(KILLS) > 140


@pytest.mark.parametrize(("name", "point"), tried(KILLS, 23))
def test_killed_at_a_failpoint_a_message_has_its_whole_effect_or_none_and_once_sent_again_all(
    tmp_path: Path, name: str, point: str
) -> None:
    kind = KINDS[name]
    nth = 1 if point.startswith("inbox") else len(kind.history) + 1
    armed = {} if point == HALF else {"BROKER_TEST_HOOKS": "1", "BROKER_FAIL": f"{point}:{nth}:kill"}
    with serving(tmp_path, **armed) as served:
        assert {_answer(served.port, earlier) for earlier in kind.history} <= {"AA"}
        before = _state(tmp_path)
        answered = _half_answer(served, kind.message) if point == HALF else _answer(served.port, kind.message)
    assert answered in ({None, kind.answer} if point == "hl7.answer.after" else {None})
    killed = _state(tmp_path)
    with serving(tmp_path) as served:
        assert [_answer(served.port, kind.message) for _ in range(2)] == [kind.answer] * 2
    after = _state(tmp_path)
    assert (after != before) is kind.changes
    assert killed == (before if "commit.before" in point else after), "half of it, or more than once"
    assert {(item.accession_number, item.patient_id) for item in after.items} == kind.shown
    assert len(after.items) == len({(item.accession_number, item.scheduled_procedure_step_id) for item in after.items})
    if kind.answer in _TAKEN:  # what was refused is looked at anew each time, and so kept each time
        assert after.messages == len({*kind.history, kind.message}), "a message is kept once"


@pytest.mark.parametrize("side", tried(SIDES, 2))
def test_killed_while_a_merge_is_taken_back_it_is_taken_back_whole_or_not_at_all(tmp_path: Path, side: str) -> None:
    merge = KINDS["a merge"]
    with serving(tmp_path) as served:
        assert {_answer(served.port, message) for message in (*merge.history, merge.message)} == {"AA"}
    merged = _state(tmp_path)
    assert _unmerged(tmp_path, BROKER_TEST_HOOKS="1", BROKER_FAIL=f"orders.commit.{side}:1:kill") == -signal.SIGKILL
    killed = _state(tmp_path)
    assert _unmerged(tmp_path) == (0 if side == "before" else 1), "what is taken back cannot be taken back again"
    after = _state(tmp_path)
    assert killed == (merged if side == "before" else after)
    assert {(item.accession_number, item.patient_id) for item in after.items} == {("A1", "H1"), ("A2", "H2")}


def _unmerged(folder: Path, **environment: str) -> int:
    """Take the first merge back by the command line; return its exit code."""
    url = f'[database]\nurl = "{sqlite_url(database_file(folder))}"\n'
    profile = folder / "unmerged.toml"
    profile.write_text((folder / "torture.toml").read_text() + url)
    words = ["patient", "unmerge", "1", "--why", "two people after all", "--env", str(profile)]
    return subprocess.run(
        [sys.executable, "-m", "broker", *words],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode


@dataclass(frozen=True)
class State:
    """All that a message may change."""

    items: tuple[WorklistItem, ...]
    orders: tuple[StoredOrder, ...]
    messages: int = field(compare=False)  # an answer is kept with its message


def _state(folder: Path) -> State:
    with closing(Database(sqlite_url(database_file(folder)))) as database:
        with database.read() as tx:
            known = orders.orders(tx, 100)
        return State(_offered(database), tuple(known), _count(database, "inbox"))


# --- F12: the database is locked ---------------------------------------------------------------------------------


def test_while_the_database_is_locked_nothing_is_acknowledged_and_afterwards_the_same_message_is(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as served:
        assert _answer(served.port, order("F12A")) == "AA"
        with closing(sqlite3.connect(database_file(tmp_path), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = _answer(served.port, order("F12B"))
            other.execute("ROLLBACK")
        assert answer is None
        assert _answer(served.port, order("F12B")) == "AA"
    assert {accession for accession, _ in _shown(tmp_path)} == {"AF12A", "AF12B"}


def test_while_the_database_is_locked_the_running_product_rejects_a_sender_that_only_then_sends_again(
    tmp_path: Path,
) -> None:
    retries = '[[hl7.sources]]\nname = "retries"\nsending_application = "RETRIES"\nretries_on_reject = true\n'
    environment = Environment(tmp_path, hl7_keys=retries).write()
    message = order("F12C", msh={3: "RETRIES", 11: "T"})
    with environment.serving():
        port = environment.ports["hl7"]
        with closing(sqlite3.connect(tmp_path / "state-test" / "broker.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert _said(port, message) == ("AR", ["207"])
            assert _answer(port, order("F12D", msh={11: "T"})) is None
            other.execute("ROLLBACK")
        assert _said(port, message) == ("AA", [])
        shown = environment.ask("worklist", "list")
    assert [item["accession"] for item in shown] == ["AF12C"]


# --- F13: PostgreSQL goes away -----------------------------------------------------------------------------------


@pytest.mark.foreign
def test_a_backend_that_is_terminated_in_any_statement_leaves_all_or_nothing(
    tmp_path: Path, postgresql_url: str
) -> None:
    admin = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with _opened(postgresql_url) as database, closing(_Terminating(admin, database)) as terminating:
        take = _taking(tmp_path, database)
        assert take(order("F13", msh=P)) == "AA"
        for kind, messages in _CHANGES.items():
            statement, unanswered = 0, 0
            while True:
                statement += 1
                terminating.at(statement)
                message = messages(statement)
                first = take(message)
                if not terminating.happened:
                    assert first == "AA"
                    break
                unanswered += first is None
                assert take(message) == "AA", f"{kind}, statement {statement}"
            assert unanswered > 3, kind
        terminating.at(0)  # never
        items = _offered(database)
    admin.dispose()
    assert len(items) == len({item.accession_number for item in items}), "an order is there twice"
    assert {item.patient_id for item in items if item.accession_number == "AF13"} == {"HF13"}


_CHANGES: dict[str, Callable[[int], bytes]] = {
    "a new order": lambda n: order(f"F13N{n}", msh=P),
    "a change": lambda n: order("F13", control=f"X{n}", msh=P, of_orc={1: "XO", 7: f"^^^2026030{n % 9 + 1}^^R"}),
    "a cancel of what is unknown": lambda n: order(f"F13C{n}", msh=P, of_orc={1: "CA", 7: ""}, of_obr={20: ""}),
}


class _Terminating:
    """Terminates the backend that runs the nth statement, before it runs."""

    def __init__(self, admin: Any, database: Database) -> None:
        self._admin, self._database = admin, database
        self._left = 0
        self.happened = False
        event.listen(database.engine, "before_cursor_execute", self._before)

    def at(self, statement: int) -> None:
        self._left, self.happened = statement, False

    def close(self) -> None:
        event.remove(self._database.engine, "before_cursor_execute", self._before)

    def _before(self, connection: Any, *_: object) -> None:
        self._left -= 1
        if self._left == 0:
            self.happened = True
            process_id = connection.connection.dbapi_connection.info.backend_pid
            with self._admin.connect() as admin:
                admin.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": process_id})


@pytest.mark.foreign
def test_a_server_that_is_restarted_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with postgresql.cluster() as server, _opened(f"{server}/postgres") as database:
        take = _taking(tmp_path, database)
        acknowledged: list[str] = []
        stop = threading.Event()

        def send(sender: int) -> None:
            number = 0
            while not stop.is_set():
                message = order(f"S{sender}X{number}", msh=P)
                if take(message) == "AA":  # else the same again, as every sender does
                    acknowledged.append(f"AS{sender}X{number}")
                    number += 1

        with ThreadPoolExecutor(4) as senders:
            running = [senders.submit(send, sender) for sender in range(4)]
            try:
                wait_for("some are acknowledged", lambda: len(acknowledged) > 20)
                folder = _restart(server)
                before = len(acknowledged)
                wait_for("more are acknowledged", lambda: len(acknowledged) > before + 20, 60)
            finally:
                stop.set()
            assert [one.result() for one in running] == [None] * 4
        shown = {item.accession_number for item in _offered(database)}
        database.close()
        _control(folder, "stop", "-m", "immediate")
    assert set(acknowledged) <= shown
    assert len(shown) <= len(acknowledged) + 4


def _restart(server: str) -> Path:
    admin = create_engine(f"{server}/postgres")
    with admin.connect() as connection:
        folder = Path(str(connection.execute(text("SHOW data_directory")).scalar()))
    admin.dispose()
    _control(folder, "restart", "-m", "immediate", "-w")
    return folder


def _control(folder: Path, *words: str) -> None:
    binary = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))[-1]
    owner = ["setpriv", f"--reuid={folder.stat().st_uid}", f"--regid={folder.stat().st_gid}", "--clear-groups"]
    command = [*owner, str(binary), *words, "-D", str(folder), "-l", str(folder / "restarted.log")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- F33: fifty at once ------------------------------------------------------------------------------------------

MANY = 50


def test_fifty_first_messages_for_one_order_make_one_order(tmp_path: Path, database: Database) -> None:
    take = _taking(tmp_path, database)
    messages = [order("F33", control=f"C{n}", msh=P, of_obr={31: f"^reason {n}"}) for n in range(MANY)]
    assert _at_once(take, messages) == ["AA"] * MANY
    (item,) = _offered(database)
    assert (item.accession_number, item.patient_id) == ("AF33", "HF33")
    assert _count(database, "patient") == 1


def test_fifty_first_messages_for_one_patient_make_one_patient(tmp_path: Path, database: Database) -> None:
    take = _taking(tmp_path, database)
    messages = [order(f"F33N{n}", msh=P, of_pid={3: "H33^^^HOSP^MR"}) for n in range(MANY)]
    assert _at_once(take, messages) == ["AA"] * MANY
    assert len(_offered(database)) == MANY
    assert _count(database, "patient") == 1


def test_the_same_message_fifty_times_at_once_is_one_message(tmp_path: Path, database: Database) -> None:
    take = _taking(tmp_path, database)
    assert _at_once(take, [order("F33S", msh=P)] * MANY) == ["AA"] * MANY
    assert len(_offered(database)) == 1
    assert _count(database, "inbox") == 1


def test_a_merge_among_the_orders_of_both_patients_leaves_all_with_the_surviving_one(
    tmp_path: Path, database: Database
) -> None:
    take = _taking(tmp_path, database)
    patients = ("33OLD", "33NEW")
    messages = [order(f"F33M{n}", msh=P, of_pid={3: f"H{patients[n % 2]}^^^HOSP^MR"}) for n in range(MANY)]
    merge = adt("A40", "33NEW", control="MERGE", merged="H33OLD^^^HOSP^MR").replace(b"|T|2.5.1", b"|P|2.5.1")
    assert _at_once(take, [*messages[:25], merge, *messages[25:]]) == ["AA"] * (MANY + 1)
    items = _offered(database)
    assert len(items) == MANY
    assert {item.patient_id for item in items} == {"H33NEW"}


# --- what is common ----------------------------------------------------------------------------------------------


def _answer(port: int, message: bytes) -> str | None:
    """Send one message on a connection of its own; return MSA-1, or None where it was closed without an answer."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), 20)) as peer:
            peer.sendall(frame(message))
            return next((read_acknowledgement(payload).code for payload in frames(peer)), None)
    except ConnectionError:
        return None


def _half_answer(served: Served, message: bytes) -> None:
    """Send one message, and have the product killed once the first bytes of the answer are there."""
    with closing(socket.create_connection(("127.0.0.1", served.port), 20)) as peer:
        peer.sendall(frame(message))
        assert peer.recv(20).startswith(b"\x0bMSH|")
        os.kill(served.process_id, signal.SIGKILL)


def _said(port: int, message: bytes) -> tuple[str, list[str]]:
    """Send one message on a connection of its own; return MSA-1 and each ERR code of the answer."""
    with closing(socket.create_connection(("127.0.0.1", port), 20)) as peer:
        peer.sendall(frame(message))
        answer = read_acknowledgement(next(frames(peer)))
    return answer.code, [error.code for error in answer.errors]


def _taking(folder: Path, database: Database) -> Callable[[bytes], str | None]:
    """Return what takes a message in this process and returns MSA-1; None where it would get no answer."""
    with closing(World(folder)) as world:
        profile = world.profile
    clock = SystemClock()
    flows = Flows(profile, database, RegistryCache(database), Spool(folder / "spool"), clock)

    def take(raw: bytes) -> str | None:
        arrival = Arrival(clock.now(), "127.0.0.1", 40000)
        try:
            answer = flows.take_message(raw, arrival, partial(acknowledgement, raw, clock))
        except Unavailable:
            return None
        return read_acknowledgement(answer).code if answer else None

    return take


def _at_once(take: Callable[[bytes], str | None], messages: list[bytes]) -> list[str | None]:
    together = threading.Barrier(len(messages))

    def one(message: bytes) -> str | None:
        together.wait(20)
        return take(message)

    with ThreadPoolExecutor(len(messages)) as senders:
        return list(senders.map(one, messages))


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    upgrade(database)
    try:
        yield database
    finally:
        database.close()


def _offered(database: Database) -> tuple[WorklistItem, ...]:
    with database.read() as tx:
        return find.items(tx, Viewer(), Stations())


def _items(folder: Path) -> tuple[WorklistItem, ...]:
    with closing(Database(sqlite_url(database_file(folder)))) as database:
        return _offered(database)


def _shown(folder: Path) -> set[tuple[str, str]]:
    return {(item.accession_number, item.patient_id) for item in _items(folder)}


def _count(database: Database, table: str) -> int:
    with database.read() as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar() or 0)
