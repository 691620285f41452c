"""Users and their tokens, in both databases."""

import pytest

from broker.audit import store as audit
from broker.audit.model import Actor, ActorKind
from broker.database import Database
from broker.errors import NotFound, Refused
from broker.people import store
from broker.people.model import Role
from tests.conftest import FakeClock

ROOT = Actor(ActorKind.OS_USER, "root")


def _add(database: Database, clock: FakeClock, name: str, role: Role = Role.ADMINISTRATOR) -> str:
    with database.write("people") as tx:
        return store.add(tx, name, role, ROOT, clock.now())


def test_a_token_is_its_user_s_and_kept_nowhere(database: Database, clock: FakeClock) -> None:
    tokens = {name: _add(database, clock, name) for name in ("ann", "bob")}
    assert len(set(tokens.values())) == 2
    with database.read() as tx:
        for name, token in tokens.items():
            user = store.by_token(tx, token)
            assert user is not None
            assert (user.name, user.created, user.created_by) == (name, clock.now(), "os-user:root")
        assert store.by_token(tx, "") is None
        assert store.by_token(tx, tokens["ann"] + "x") is None
        rows = [tuple(row) for row in tx.execute(store.table_of(store.PersonRow).select())]
    assert not any(token in str(rows) for token in tokens.values())


def test_users_are_audited_with_their_role_and_without_their_token(database: Database, clock: FakeClock) -> None:
    token = _add(database, clock, "ann")
    with database.read() as tx:
        (entry,) = audit.entries(tx)
    assert (entry.action, entry.subject, entry.detail) == ("user.add", "ann", {"role": "administrator"})
    assert token not in str(entry)


def test_a_name_is_never_given_twice(database: Database, clock: FakeClock) -> None:
    _add(database, clock, "ann")
    _add(database, clock, "bob")
    with database.write("people") as tx:
        assert store.disable(tx, "ann", ROOT, clock.now())
    with pytest.raises(Refused, match="never given twice"):
        _add(database, clock, "ann")


@pytest.mark.parametrize("name", ["", "Ann", "ann smith", "-ann", "a" * 65, "änn", "ann\n"])
def test_a_name_that_is_none_is_refused(database: Database, clock: FakeClock, name: str) -> None:
    with pytest.raises(Refused, match="a user's name is"):
        _add(database, clock, name)


def test_a_disabled_user_stays_known_and_the_last_administrator_stays(database: Database, clock: FakeClock) -> None:
    token = _add(database, clock, "ann")
    _add(database, clock, "bob")
    _add(database, clock, "eve", Role.APPROVER)
    with database.write("people") as tx:
        assert store.disable(tx, "ann", ROOT, clock.now())
        assert not store.disable(tx, "ann", ROOT, clock.now())
        with pytest.raises(Refused, match="last administrator"):
            store.disable(tx, "bob", ROOT, clock.now())
        with pytest.raises(NotFound):
            store.disable(tx, "joe", ROOT, clock.now())
        user = store.by_token(tx, token)
        assert user is not None
        assert user.disabled == clock.now()
        assert [one.name for one in store.users(tx)] == ["ann", "bob", "eve"]


def test_before_the_first_there_is_none(database: Database, clock: FakeClock) -> None:
    with database.read() as tx:
        assert not store.has_any(tx)
    _add(database, clock, "ann")
    with database.read() as tx:
        assert store.has_any(tx)
