"""Leases on rows, whatever they are for: who holds one, who has lost it, and what a start gives back."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from broker.database import Database, table_of
from broker.leases import FREE, Leases, is_free, new_token
from broker.outbox.store import OutboxMessageRow
from tests.conftest import FakeClock

TABLE = table_of(OutboxMessageRow)
LEASES = Leases(TABLE, leased="sending", released="waiting")


@pytest.fixture
def rows(database: Database, clock: FakeClock) -> Database:
    """Three rows that wait."""
    values = {
        "receiver": "ris",
        "order_id": 1,
        "event": "scheduled",
        "control_id": "c",
        "body": b"",
        "state": "waiting",
    }
    values |= {
        "tries": 0,
        "due": clock.now(),
        "created": clock.now(),
        "reason": "",
        "code": "",
        "lease": "",
        "steps": "",
        "generation": 1,
    }
    with database.write("outbox") as tx:
        for number in (1, 2, 3):
            tx.execute(insert(TABLE).values({**values, "id": number, "turn": number, "control_id": f"c{number}"}))
    return database


def held(database: Database) -> dict[int, tuple[str, str]]:
    with database.read() as tx:
        return {row.id: (row.state, row.lease) for row in tx.execute(select(TABLE).order_by(TABLE.c.id))}


def test_a_token_names_its_node_and_is_never_the_same() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert new_token("n1").startswith("n1.")
    assert "." not in new_token()


def test_only_who_holds_a_row_renews_it_and_gives_it_back(rows: Database, clock: FakeClock) -> None:
    ends = clock.now() + timedelta(seconds=60)
    with rows.write("outbox") as tx:
        assert LEASES.take(tx, "mine", ends, TABLE.c.id.in_([1, 2])) == 2
        assert LEASES.take(tx, "other", ends, TABLE.c.id == 3) == 1
        LEASES.renew(tx, "mine", ends + timedelta(seconds=60))
        late = {row.id for row in tx.execute(select(TABLE).where(*LEASES.ended(ends)))}
        assert late == {3}
        assert LEASES.give_back(tx, *LEASES.held_by("mine"), tries=7) == 2
        assert LEASES.give_back(tx, *LEASES.held_by("mine")) == 0
    assert held(rows) == {1: ("waiting", ""), 2: ("waiting", ""), 3: ("sending", "other")}


def test_a_node_that_starts_gives_back_its_own_alone(rows: Database, clock: FakeClock) -> None:
    ends = clock.now() + timedelta(seconds=60)
    with rows.write("outbox") as tx:
        for number, node in ((1, "n1"), (2, "n2"), (3, "")):
            LEASES.take(tx, new_token(node), ends, TABLE.c.id == number)
        assert LEASES.give_back_of(tx, "n1") == 1
        assert LEASES.give_back_of(tx, "") == 2
    assert set(held(rows).values()) == {("waiting", FREE["lease"])}


def test_a_row_is_free_when_it_is_due_or_the_time_of_its_holder_is_over(rows: Database, clock: FakeClock) -> None:
    now = clock.now()
    with rows.write("outbox") as tx:
        LEASES.take(tx, "mine", now + timedelta(seconds=60), TABLE.c.id == 1)
        leased, waiting, _ = tx.execute(select(TABLE).order_by(TABLE.c.id)).all()
    assert not is_free(leased, "sending", now + timedelta(seconds=59))
    assert is_free(leased, "sending", now + timedelta(seconds=60))
    assert is_free(waiting, "sending", now)
    assert not is_free(waiting, "sending", now - timedelta(seconds=1))
