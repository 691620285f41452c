"""Request, decision, apply and rollback, in both databases."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.audit import store as audit
from broker.audit.model import Actor, ActorKind
from broker.database import Database
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import NotFound, Refused
from broker.people.model import Role, User
from broker.promotion import flow, planning, store
from broker.promotion.flow import By
from broker.promotion.model import CheckResult, CheckState, Life, Plan, Request, RequestState
from broker.registry import store as registry
from broker.registry.document import read
from broker.registry.model import Binding, Modality
from tests.conftest import FakeClock

ANN, EVE = Actor(ActorKind.PERSON, "ann"), Actor(ActorKind.PERSON, "eve")
ONE = b'name = "us"\nmodality = "US"\nae_titles = ["US1"]\n'
TWO = ONE + b'location = "ROOM 2"\n'
HERE = Binding("10.0.0.9", 104)
PASSED = CheckResult("verification", "Verification", CheckState.PASSED, "echoed")
PROFILE = """\
name = "{name}"
kind = "{name}"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 2575
[dicom]
host = "127.0.0.1"
port = 11112
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 8081
"""


@pytest.fixture
def worlds(tmp_path: Path) -> tuple[Profile, Profile]:
    found = []
    for name in ("test", "production"):
        file = tmp_path / f"{name}.toml"
        file.write_text(PROFILE.format(name=name))
        found.append(profiles.read(file))
    return found[0], found[1]


def source_of(content: bytes) -> Modality:
    document = read(content, "us")
    return Modality("us", hashlib.sha256(content).hexdigest(), document, Binding("10.0.0.2", 104))


def plan_of(
    tx: object, worlds: tuple[Profile, Profile], content: bytes, clock: FakeClock, *checks: CheckResult
) -> Plan:
    known = flow._known(tx, "us")  # type: ignore[arg-type]
    source = planning.side(worlds[0], "us", source_of(content), Life.READY)
    target = planning.side(worlds[1], "us", known, Life.DRAFT)
    before = known.document if known else None
    return planning.plan(source, target, before, read(content, "us"), HERE, checks or (PASSED,), clock.now())


def by(clock: FakeClock, actor: Actor = ANN) -> By:
    return By(actor, clock.now(), "cutover")


def ask(database: Database, worlds: tuple[Profile, Profile], clock: FakeClock, content: bytes) -> Request:
    with database.write("promotion") as tx:
        plan = plan_of(tx, worlds, content, clock)
        made = flow.requested(tx, plan, content, HERE, "test.toml", by(clock))
        return store.find(tx, flow.number_of(made), "production")


def approve(database: Database, clock: FakeClock, request: Request) -> Request:
    eve = User("eve", Role.APPROVER, request.requested - timedelta(days=1), "person:ann")
    with database.write("promotion") as tx:
        flow.approved(tx, request, eve, by(clock, EVE))
        return store.find(tx, flow.number_of(request), "production")


def promote(database: Database, worlds: tuple[Profile, Profile], clock: FakeClock, content: bytes) -> Modality:
    request = approve(database, clock, ask(database, worlds, clock, content))
    clock.advance(60)
    with database.write("promotion") as tx:
        return flow.applied(tx, request, plan_of(tx, worlds, content, clock), (), by(clock))


def test_what_was_tested_is_what_is_served_byte_for_byte(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    device = promote(database, worlds, clock, ONE)
    with database.read() as tx:
        assert registry.content(tx, "us") == ONE
        assert store.life(tx, "us") is Life.WATCHED
        (served,) = store.history(tx, "us")
    assert (device.binding, served.what, served.revision, served.by) == (HERE, "applied", device.revision, "person:ann")


def test_a_plan_with_an_open_check_is_not_requested(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    open_check = CheckResult("mpps", "MPPS", CheckState.MISSING, "no step", "start an exam")
    with database.write("promotion") as tx, pytest.raises(Refused, match="not ready: mpps"):
        plan = plan_of(tx, worlds, ONE, clock, PASSED, open_check)
        flow.requested(tx, plan, ONE, HERE, "test.toml", by(clock))


def test_what_is_served_already_is_not_requested(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    promote(database, worlds, clock, ONE)
    with pytest.raises(Refused, match="nothing would change"):
        ask(database, worlds, clock, ONE)


def test_nobody_decides_alone_and_nobody_twice(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    request = ask(database, worlds, clock, ONE)
    old = request.requested - timedelta(days=1)
    with database.write("promotion") as tx:
        for user, actor, why in (
            (User("ann", Role.APPROVER, old, ""), ANN, "another person"),
            (User("eve", Role.ADMINISTRATOR, old, ""), EVE, "this needs approver"),
            (User("eve", Role.APPROVER, request.requested, ""), EVE, "younger"),
        ):
            with pytest.raises(Refused, match=why):
                flow.approved(tx, request, user, by(clock, actor))
    approve(database, clock, request)
    with pytest.raises(Refused, match="approved: it cannot be approved any more"):
        approve(database, clock, request)


def test_without_approval_nothing_is_applied(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    request = ask(database, worlds, clock, ONE)
    with database.write("promotion") as tx, pytest.raises(Refused, match="requested, not approved"):
        flow.applied(tx, request, plan_of(tx, worlds, ONE, clock), (), by(clock))
    with database.read() as tx, pytest.raises(NotFound):
        registry.modality(tx, "us")


def test_where_a_side_moved_nothing_is_applied(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    request = approve(database, clock, ask(database, worlds, clock, ONE))
    with database.write("promotion") as tx, pytest.raises(Refused, match="a side has moved"):
        flow.applied(tx, request, plan_of(tx, worlds, TWO, clock), (), by(clock))
    moved = replace(worlds[1], expire_days=30)
    with database.write("promotion") as tx, pytest.raises(Refused, match="a side has moved"):
        flow.applied(tx, request, plan_of(tx, (worlds[0], moved), ONE, clock), (), by(clock))


def test_where_a_check_fell_back_nothing_is_applied(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    request = approve(database, clock, ask(database, worlds, clock, ONE))
    stale = replace(PASSED, state=CheckState.STALE)
    with database.write("promotion") as tx, pytest.raises(Refused, match="does not any more: verification"):
        flow.applied(tx, request, plan_of(tx, worlds, ONE, clock, stale), (), by(clock))


def test_a_request_is_applied_once(database: Database, worlds: tuple[Profile, Profile], clock: FakeClock) -> None:
    request = approve(database, clock, ask(database, worlds, clock, ONE))
    with database.write("promotion") as tx:
        flow.applied(tx, request, plan_of(tx, worlds, ONE, clock), (), by(clock))
    with database.read() as tx:
        now = store.find(tx, flow.number_of(request), "production")
        plan = plan_of(tx, worlds, ONE, clock)
    assert (now.state, now.applied_by) == (RequestState.APPLIED, "person:ann")
    assert not plan.differences, "a plan after its application is empty"
    with database.write("promotion") as tx, pytest.raises(Refused, match="applied, not approved"):
        flow.applied(tx, now, plan, (), by(clock))


def test_a_first_go_live_that_is_rolled_back_leaves_the_device_suspended(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    promote(database, worlds, clock, ONE)
    with database.write("promotion") as tx:
        device = flow.rolled_back(tx, "us", "", (), by(clock))
        assert (device.suspended, device.retired, store.life(tx, "us")) == (True, False, Life.SUSPENDED)
        device = flow.resumed(tx, "us", by(clock))
        assert (device.suspended, store.life(tx, "us")) == (False, Life.WATCHED)
        whats = [served.what for served in store.history(tx, "us")]
    assert whats == ["resumed", "suspended", "applied"]


def test_rollback_serves_again_what_was_served_before(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    first = promote(database, worlds, clock, ONE)
    second = promote(database, worlds, clock, TWO)
    assert first.revision != second.revision
    with database.write("promotion") as tx:
        assert flow.rolled_back(tx, "us", "", (), by(clock)).revision == first.revision
        assert registry.content(tx, "us") == ONE
        assert flow.rolled_back(tx, "us", second.revision[:8], (), by(clock)).revision == second.revision
        with pytest.raises(NotFound, match="never served"):
            flow.rolled_back(tx, "us", "ffff", (), by(clock))
        with pytest.raises(Refused, match="never promoted"):
            flow.rolled_back(tx, "ct", "", (), by(clock))


def test_what_was_served_before_the_first_promotion_is_the_way_back(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    with database.write("registry") as tx:
        registry.apply(tx, read(TWO, "us"), TWO, ANN, clock.now())
    promote(database, worlds, clock, ONE)
    with database.write("promotion") as tx:
        assert flow.rolled_back(tx, "us", "", (), by(clock)).document.location == "ROOM 2"


def test_an_approved_request_waits_for_its_time(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    request = approve(database, clock, ask(database, worlds, clock, ONE))
    at = clock.now() + timedelta(hours=1)
    with database.write("promotion") as tx:
        with pytest.raises(Refused, match="is past"):
            flow.scheduled(tx, request, clock.now(), by(clock))
        flow.scheduled(tx, request, at, by(clock))
        assert store.life(tx, "us") is Life.SCHEDULED
        assert store.due(tx, "production", clock.now()) == []
        assert [one.id for one in store.due(tx, "production", at)] == [request.id]


def test_every_step_is_audited(database: Database, worlds: tuple[Profile, Profile], clock: FakeClock) -> None:
    promote(database, worlds, clock, ONE)
    with database.read() as tx:
        said = {(entry.action, str(entry.actor)) for entry in audit.entries(tx)}
    assert said >= {
        ("promotion.request", "person:ann"),
        ("promotion.approved", "person:eve"),
        ("promotion.applied", "person:ann"),
        ("modality.apply", "person:ann"),
    }
