"""Who may have which settings served, in both databases."""

from datetime import timedelta

import pytest

from broker.audit import store as audit
from broker.audit.model import CLOCK, Actor, ActorKind
from broker.database import Database
from broker.errors import NotFound, Refused
from broker.people.model import Role, User
from broker.promotion.approved import store
from broker.promotion.settings import Settings
from tests.conftest import FakeClock

ONE, TWO = Settings(b"one"), Settings(b"two", (("/a/site.toml", b"mapping"),))
ANN, EVE = Actor(ActorKind.PERSON, "ann"), Actor(ActorKind.PERSON, "eve")


def _approver(clock: FakeClock, name: str = "eve", role: Role = Role.APPROVER, seconds: float = -60) -> User:
    return User(name, role, clock.now() + timedelta(seconds=seconds), "person:ann")


def _request(database: Database, clock: FakeClock, settings: Settings = TWO) -> int:
    with database.write("settings") as tx:
        return store.request(tx, settings, ANN, clock.now(), "new PACS")


def _active(database: Database) -> Settings | None:
    with database.read() as tx:
        active = store.active(tx)
    return None if active is None else active.settings


def test_what_was_approved_last_is_active(database: Database, clock: FakeClock) -> None:
    assert _active(database) is None
    with database.write("settings") as tx:
        store.adopt(tx, ONE, CLOCK, clock.now(), "first start")
    number = _request(database, clock)
    assert _active(database) == ONE
    with database.write("settings") as tx:
        store.approve(tx, number, _approver(clock), EVE, clock.now())
    assert _active(database) == TWO
    with database.write("settings") as tx:
        with pytest.raises(Refused, match="before"):
            store.approve(tx, number, _approver(clock), EVE, clock.now())
        with pytest.raises(NotFound):
            store.approve(tx, 99, _approver(clock), EVE, clock.now())


def test_nobody_approves_alone(database: Database, clock: FakeClock) -> None:
    number = _request(database, clock)
    refused = [
        (_approver(clock, "ann"), ANN, "another person"),
        (_approver(clock, role=Role.ADMINISTRATOR), EVE, "this needs approver"),
        (_approver(clock, seconds=0), EVE, "younger than the request"),
    ]
    for user, actor, why in refused:
        with pytest.raises(Refused, match=why), database.write("settings") as tx:
            store.approve(tx, number, user, actor, clock.now())
    assert _active(database) is None


def test_every_step_is_audited(database: Database, clock: FakeClock) -> None:
    number = _request(database, clock)
    with database.write("settings") as tx:
        store.approve(tx, number, _approver(clock), EVE, clock.now())
        store.adopt(tx, ONE, ANN, clock.now(), "PACS is down")
    with database.read() as tx:
        said = [(entry.action, str(entry.actor)) for entry in audit.entries(tx)]
    assert said == [
        ("settings.request", "person:ann"),
        ("settings.approve", "person:eve"),
        ("settings.adopt", "person:ann"),
    ]
