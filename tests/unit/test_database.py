import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, StatementError

from broker.database import Database, Transaction, UtcDateTime, sqlite_url
from broker.errors import Rejected, Unavailable
from broker.statements import Prepared

_SCRATCH = Table(
    "scratch", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime), Column("n", Integer)
)


@pytest.fixture
def scratch(database: Database) -> Database:
    _SCRATCH.create(database.engine)
    return database


def count(database: Database) -> int:
    with database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(_SCRATCH)).scalar_one())


def test_committed_row_is_there_and_rolled_back_row_is_not(scratch: Database) -> None:
    with scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=1))
    with pytest.raises(RuntimeError), scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=2))
        raise RuntimeError
    assert count(scratch) == 1


def test_reader_sees_one_state_while_a_writer_commits(scratch: Database) -> None:
    query = select(func.count()).select_from(_SCRATCH)
    with scratch.read() as reader:
        assert reader.execute(query).scalar_one() == 0
        with scratch.write("orders") as writer:
            writer.execute(insert(_SCRATCH).values(id=1))
        assert reader.execute(query).scalar_one() == 0
    assert count(scratch) == 1


def test_reader_cannot_change_anything_that_stays(scratch: Database) -> None:
    # PostgreSQL says so at once, SQLite forgets it.
    with suppress(InternalError), scratch.read() as tx:
        tx.execute(insert(_SCRATCH).values(id=1))
    assert count(scratch) == 0


def test_no_update_is_lost_between_writers_of_one_kind(scratch: Database) -> None:
    with scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=1, n=0))

    def raise_ten_times() -> None:
        for _ in range(10):
            with scratch.write("orders") as tx:
                n = tx.execute(select(_SCRATCH.c.n).where(_SCRATCH.c.id == 1)).scalar_one()
                tx.execute(update(_SCRATCH).where(_SCRATCH.c.id == 1).values(n=n + 1))

    threads = [threading.Thread(target=raise_ten_times) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with scratch.read() as tx:
        assert tx.execute(select(_SCRATCH.c.n)).scalar_one() == 40


def test_instant_comes_back_in_utc_whatever_its_zone_was(scratch: Database) -> None:
    instant = datetime(2026, 2, 1, 9, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=1, at=instant))
        tx.execute(insert(_SCRATCH).values(id=2, at=None))
    with scratch.read() as tx:
        found = tx.execute(select(_SCRATCH.c.at).order_by(_SCRATCH.c.id)).scalars().all()
        earlier = (
            tx.execute(select(_SCRATCH.c.id).where(_SCRATCH.c.at < instant + timedelta(seconds=1))).scalars().all()
        )
    assert found == [instant, None]
    assert found[0].tzinfo is UTC
    assert earlier == [1]


def test_instant_without_a_zone_is_refused(scratch: Database) -> None:
    with pytest.raises(StatementError, match="an instant needs a zone"), scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=1, at=datetime(2026, 2, 1)))


def test_broken_rule_of_the_schema_is_not_called_unavailable(scratch: Database) -> None:
    with pytest.raises(IntegrityError), scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH), [{"id": 1}, {"id": 1}])
    assert count(scratch) == 0


def test_sqlite_is_opened_so_that_a_power_cut_loses_nothing(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "broker.db"))
    with database.read() as tx:
        found = [
            tx.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        ]
    database.close()
    assert found == ["wal", 2, 5000, 1]


def test_sqlite_writes_nothing_of_a_transaction_beside_the_database(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "broker.db"))
    with database.write("orders") as tx:
        assert tx.execute(text("PRAGMA temp_store")).scalar_one() == 2  # in memory
    database.close()


def test_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "nowhere" / "broker.db"))
    with pytest.raises(Unavailable, match="the database does not answer"), database.read():
        pass
    database.close()


def test_server_that_does_not_listen_is_unavailable() -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match="the database does not answer"), database.read():
        pass
    database.close()


def test_failed_commit_leaves_nothing(scratch: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from broker import failpoints

    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL", "orders.commit.before:1:eio")
    failpoints.arm_from_environment()
    try:
        with pytest.raises(Unavailable, match="Input/output"), scratch.write("orders") as tx:
            tx.execute(insert(_SCRATCH).values(id=1))
    finally:
        failpoints.disarm()
    assert count(scratch) == 0


def _adds(number: int) -> Callable[[Transaction], int]:
    def work(tx: Transaction) -> int:
        tx.execute(insert(_SCRATCH).values(id=number))
        if number % 7 == 0:
            raise Rejected("not this one")
        return number

    return work


def test_many_who_wait_share_commits_and_each_gets_its_own_result(scratch: Database) -> None:
    refused: list[int] = []

    def add_some(first: int) -> None:
        for number in range(first, first + 20):
            try:
                assert scratch.together("orders", _adds(number)) == number
            except Rejected:
                refused.append(number)

    threads = [threading.Thread(target=add_some, args=(first,)) for first in range(0, 160, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(refused) == [number for number in range(160) if number % 7 == 0]
    assert count(scratch) == 160 - len(refused)


def test_a_failure_nobody_expected_is_raised_to_its_caller_and_takes_no_other_with_it(scratch: Database) -> None:
    begun, others = threading.Event(), threading.Event()
    raised: list[str] = []

    def slow(tx: Transaction) -> None:
        begun.set()
        assert others.wait(10)

    def broken(tx: Transaction) -> None:
        raise KeyError("a programming error")

    def run(work: Callable[[Transaction], object]) -> None:
        try:
            scratch.together("orders", work)
        except KeyError as error:
            raised.append(str(error))

    first = threading.Thread(target=run, args=(slow,))
    first.start()
    assert begun.wait(10)
    waiting = [threading.Thread(target=run, args=(work,)) for work in (_adds(1), broken, _adds(2), _adds(3))]
    for thread in waiting:
        thread.start()
    others.set()
    for thread in (first, *waiting):
        thread.join(30)
    assert raised
    assert count(scratch) >= 2  # whoever led the common transaction may have to send again


_ADD = Prepared(insert(_SCRATCH))
_CHANGE = Prepared(update(_SCRATCH).where(_SCRATCH.c.id == bindparam("row")))
_FIND = Prepared(select(_SCRATCH).where(_SCRATCH.c.n == bindparam("wanted")).limit(2))
_NOON = datetime(2026, 2, 1, 12, 0, 0, 5, UTC)


def test_prepared_statement_does_what_the_statement_does(scratch: Database) -> None:
    with scratch.write("orders") as tx:
        first = _ADD.add(tx, {"at": _NOON, "n": 7})
        second = _ADD.add(tx, {"n": 7, "at": _NOON.astimezone(timezone(timedelta(hours=1)))})
        _CHANGE.run(tx, {"row": first, "at": None}, {"row": 99, "at": _NOON})
    with scratch.read() as tx:
        found = _FIND.rows(tx, {"wanted": 7})
        assert sorted(found) == sorted(tx.execute(select(_SCRATCH)).all())
        assert {(row.id, row.at, row.n) for row in found} == {(first, None, 7), (second, _NOON, 7)}
        assert len(_FIND.rows(tx, {"wanted": 8})) == 0


def test_prepared_statement_fails_as_the_statement_does(scratch: Database) -> None:
    with scratch.write("orders") as tx:
        _ADD.add(tx, {"id": 1})
    with pytest.raises(IntegrityError), scratch.write("orders") as tx:
        _ADD.run(tx, {"id": 1})
    with pytest.raises((KeyError, StatementError)), scratch.write("orders") as tx:
        _FIND.rows(tx, {})
    with pytest.raises((ValueError, StatementError)), scratch.write("orders") as tx:
        _ADD.add(tx, {"at": datetime(2026, 2, 1)})


@pytest.mark.parametrize("suffix", ["-wal", ""])
def test_nothing_is_committed_into_a_file_that_was_deleted_under_us(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "broker.db"
    database = Database(sqlite_url(file))
    _SCRATCH.create(database.engine)
    with database.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=1))
    Path(f"{file}{suffix}").unlink()
    with pytest.raises(Unavailable, match="is gone"), database.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=2))
    Path(f"{file}{suffix}").touch()
    with pytest.raises(Unavailable, match="replaced"), database.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(id=2))
    database.close()


def test_a_damaged_database_is_refused_and_not_guessed_from(tmp_path: Path) -> None:
    file = tmp_path / "broker.db"
    database = Database(sqlite_url(file))
    _SCRATCH.create(database.engine)
    with database.write("orders") as tx:
        tx.execute(insert(_SCRATCH), [{"id": number, "n": number} for number in range(5000)])
    database.close()
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 5] = b"\xff" * 8192
    file.write_bytes(content)
    database = Database(sqlite_url(file))
    with pytest.raises(Unavailable, match="damaged"), database.read() as tx:
        tx.execute(select(_SCRATCH)).all()
    database.close()


def test_transaction_after_a_failure_has_nothing_of_it(scratch: Database) -> None:
    with pytest.raises(ZeroDivisionError), scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(n=1))
        raise ZeroDivisionError
    with pytest.raises((Unavailable, DBAPIError)), scratch.read() as tx:
        tx.execute(text("SELECT nothing FROM nowhere"))
    assert count(scratch) == 0
    with scratch.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(n=2))
    assert count(scratch) == 1


def test_embedded_database_that_was_closed_is_opened_again_by_the_next_transaction(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "broker.db"))
    _SCRATCH.create(database.engine)
    with database.read():
        database.close()  # who still reads gives back a connection that nobody wants
    with database.write("orders") as tx:
        tx.execute(insert(_SCRATCH).values(n=1))
    assert count(database) == 1
    database.close()


@pytest.mark.foreign
def test_a_process_that_stands_still_in_a_transaction_holds_up_no_other_for_long(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.database.postgresql.FROZEN_SECONDS", 0.2)
    frozen, other = Database(postgresql_url), Database(postgresql_url)
    with pytest.raises(Unavailable), frozen.write("orders") as tx:
        with other.write("orders") as second:  # waits for its turn, which no commit gives it
            second.execute(text("SELECT 1"))
        tx.execute(text("SELECT 1"))
    with frozen.write("orders") as tx:
        tx.execute(text("SELECT 1"))
    frozen.close()
    other.close()
