"""The associations that are open now."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from broker.associations import store
from broker.associations.model import Association, Context, Result
from broker.associations.open import OpenAssociations
from broker.database import Database, Transaction
from broker.errors import Unavailable

AT = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
PUSH, ECHO = "1.2.840.10008.1.20.1", "1.2.840.10008.1.1"


def association(name: str, *contexts: Context, calling: str = "US1", called: str = "BROKER") -> Association:
    return Association(name, AT, calling, called, "127.0.0.1", "", "", contexts, "", "", "")


def test_one_with_a_context_is_found_by_both_titles_its_own_first() -> None:
    open_ = OpenAssociations()
    open_.add(association("01A", Context(ECHO, "1.2")))
    open_.add(association("01B", Context(ECHO, "1.2"), Context(PUSH, "1.2.1")))
    open_.add(association("01C", Context(PUSH, "1.2")))
    open_.add(association("01D", Context(PUSH, "1.2"), called="OTHER"))
    assert open_.with_context("01C", "US1", "BROKER", PUSH) == ("01C", "1.2")
    assert open_.with_context("01A", "US1", "BROKER", PUSH) == ("01B", "1.2.1"), "another of the same device"
    assert open_.with_context("01A", "US1", "OTHER", PUSH) == ("01D", "1.2")
    assert open_.with_context("01A", "US2", "BROKER", PUSH) is None


def settle(database: Database, open_: OpenAssociations, result: Result, reason: str = "") -> None:
    at = AT + timedelta(minutes=1)
    with database.write("associations") as tx:
        open_.settle(tx, "01A", result, reason, at)
    open_.settled("01A", result)


def test_what_is_owed_is_written_once_behind_the_row_that_it_refers_to(database: Database) -> None:
    open_, seen = OpenAssociations(), []

    def owed(number: int, tx: Transaction) -> None:
        row = store.find(tx, "01A")
        seen.append((number, row and row.result))

    open_.add(association("01A"))
    for number in (1, 2):
        open_.owe("01A", partial(owed, number))
    assert not open_.is_settled("01A", Result.OPEN)
    settle(database, open_, Result.OPEN)
    assert open_.is_settled("01A", Result.OPEN)
    open_.owe("01A", partial(owed, 3))
    settle(database, open_, Result.RELEASED)
    assert seen == [(1, Result.OPEN), (2, Result.OPEN), (3, Result.RELEASED)]
    assert open_.is_settled("01A", Result.RELEASED)
    assert not open_.is_settled("01A", Result.ABORTED)


def test_the_last_end_that_is_written_holds(database: Database) -> None:
    open_ = OpenAssociations()
    open_.add(association("01A"))
    settle(database, open_, Result.RELEASED)
    settle(database, open_, Result.ABORTED, "something behind the release")
    with database.read() as tx:
        row = store.find(tx, "01A")
    assert row is not None
    assert (row.result, row.reason, row.ended) == (
        Result.ABORTED,
        "something behind the release",
        AT + timedelta(minutes=1),
    )


def test_what_was_not_committed_is_owed_still(database: Database) -> None:
    open_, tried = OpenAssociations(), []
    open_.add(association("01A"))
    open_.owe("01A", lambda tx: tried.append(store.find(tx, "01A")))
    with suppress(Unavailable), database.write("associations") as tx:
        open_.settle(tx, "01A", Result.RELEASED, "", AT)
        raise Unavailable("the disk is full")
    assert not open_.is_settled("01A", Result.RELEASED)
    settle(database, open_, Result.RELEASED)
    assert len(tried) == 2
    with database.read() as tx:
        assert store.find(tx, "01A") is not None
