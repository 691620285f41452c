"""What of many deliveries goes next, and what stops a batch: priority, probes, holds, hours, a stop."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.audit import store as audit
from broker.database import Database
from broker.delivery import destination_store, recording, store, worker
from broker.delivery.model import DeliveryState
from broker.delivery.transcoding import copies
from broker.delivery.transcoding.rule import IMPLICIT
from broker.dimse.service import Answer, ContextRefused, OutgoingInstance
from broker.environments.model import Priority
from broker.environments.schedules import parse_hours
from broker.errors import Unavailable
from broker.leases import new_token
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.peers.processes import wait_for
from tests.unit.delivery.test_worker import PACS, Desk, Pacs

STAT, HIGH, ROUTINE, LOW = Priority.STAT, Priority.HIGH, Priority.ROUTINE, Priority.LOW


@pytest.fixture
def desk(database: Database, tmp_path: Path, clock: FakeClock) -> Desk:
    return Desk(database, FileSpool(tmp_path / "spool"), clock)


def receive(desk: Desk, *uids: str, priority: Priority = ROUTINE) -> None:
    for uid in uids:
        instance = desk.receive(uid)
        with desk.database.write("delivery") as tx:
            (own,) = store.of_instance(tx, instance.id)
            tx.exec_driver_sql(f"UPDATE delivery SET priority = {list(Priority).index(priority)} WHERE id = {own.id}")


def sent(desk: Desk) -> list[str]:
    return [uid for uid, _ in desk.pacs.stored]


def states(desk: Desk) -> dict[str, str]:
    return {uid: one.state.value for uid, one in desk.by_uid().items()}


def test_the_most_urgent_goes_first_and_then_the_oldest(desk: Desk) -> None:
    for uid, priority in (("1.1", LOW), ("1.2", ROUTINE), ("1.3", STAT), ("1.4", HIGH), ("1.5", STAT)):
        receive(desk, uid, priority=priority)
    desk.deliver()
    assert sent(desk) == ["1.3", "1.5", "1.4", "1.2", "1.1"]


def test_an_urgent_instance_that_breaks_each_association_blocks_no_other(desk: Desk) -> None:
    receive(desk, "1.1", priority=STAT)
    receive(desk, "1.2", "1.3")
    desk.pacs.replies = {"1.1": Unavailable("aborted")}
    desk.deliver()
    assert sent(desk) == []
    for _ in range(6):
        desk.clock.advance(5)
        desk.deliver()
    assert sent(desk) == ["1.2", "1.3"]
    assert states(desk)["1.1"] == "waiting"


def test_a_destination_that_fails_gets_one_at_a_time_until_it_answers(desk: Desk) -> None:
    receive(desk, *(f"1.{n}" for n in range(1, 6)))
    desk.pacs.refusals = {"": Unavailable("off")}
    assert desk.deliver() == 5
    desk.clock.advance(3600)
    assert desk.deliver() == 1
    desk.pacs.refusals = {}
    desk.clock.advance(3600)
    assert [desk.deliver(), desk.deliver(), desk.deliver()] == [1, 4, 0]


def test_beside_a_probe_nothing_is_sent(desk: Desk) -> None:
    receive(desk, "1.1", "1.2")
    desk.pacs.refusals = {"": Unavailable("off")}
    desk.deliver()
    desk.clock.advance(3600)
    now = desk.clock.now()
    with desk.database.write("delivery-lease") as tx:
        assert len(store.lease(tx, "pacs", now, 10, token="t", lease_seconds=60)) == 1
        assert store.lease(tx, "pacs", now, 10, token="u", lease_seconds=60) == []


def test_what_is_held_is_not_sent_and_stays_so_after_a_retry_of_others(desk: Desk) -> None:
    receive(desk, "1.1", "1.2")
    held = desk.by_uid()["1.1"].id
    with desk.database.write("delivery") as tx:
        assert store.hold_one(tx, held, "held by x: y")
        assert store.retry(tx, [held], desk.clock.now()) == []
    desk.deliver()
    assert states(desk) == {"1.1": "held", "1.2": "delivered"}
    assert len(desk.files()) == 1
    with desk.database.write("delivery") as tx:
        assert store.release_held(tx, held, desk.clock.now())
    desk.deliver()
    assert desk.files() == []


def test_a_destination_held_in_the_middle_of_a_batch_gets_nothing_after_the_next_record(desk: Desk) -> None:
    receive(desk, *(f"1.{n}" for n in range(1, 21)))

    class Holding(dict[str, Answer]):
        def get(self, uid: str, default: Answer) -> Answer:  # type: ignore[override]
            if uid == "1.2":
                with desk.database.write("delivery") as tx:
                    destination_store.hold_destination(tx, "pacs", "held by x: y", desk.clock.now())
            if uid == "1.4":
                wait_for("the first is recorded", lambda: states(desk)["1.1"] == "delivered", 10)
            return default

    desk.pacs.replies = Holding()  # type: ignore[assignment]
    desk.deliver()
    assert 4 <= len(sent(desk)) < 20, "what was on its way ended"
    assert [states(desk)[uid] for uid in ("1.4", "1.20")] == ["delivered", "waiting"]
    assert desk.failures() == 0
    assert desk.deliver() == 0
    before = sent(desk)
    with desk.database.write("delivery") as tx:
        destination_store.hold_destination(tx, "pacs", "", desk.clock.now())
    assert desk.deliver() == 20 - len(before)


NIGHT = replace(PACS, schedule=(parse_hours("18:00-07:00"),))


def test_outside_its_hours_a_destination_is_sent_nothing(desk: Desk) -> None:
    receive(desk, "1.1")
    receive(desk, "1.2", priority=STAT)
    assert desk.deliver(NIGHT) == 0  # it is 08:00
    assert desk.failures() == 0
    desk.clock.advance(10 * 3600)
    assert desk.deliver(NIGHT) == 2


def test_what_is_stat_may_be_sent_outside_the_hours(desk: Desk) -> None:
    receive(desk, "1.1")
    receive(desk, "1.2", priority=STAT)
    any_time = replace(NIGHT, stat_any_time=True)
    assert [desk.deliver(any_time), desk.deliver(any_time)] == [1, 0]
    assert sent(desk) == ["1.2"]


def test_when_its_hours_end_a_batch_ends(desk: Desk) -> None:
    receive(desk, "1.1", "1.2")
    receive(desk, "1.3", priority=STAT)
    desk.clock.instant = desk.clock.instant.replace(hour=6, minute=59)
    with desk.database.write("delivery") as tx:
        tx.exec_driver_sql("UPDATE delivery SET due = '2026-02-01 00:00:00'")

    class Slow(dict[str, Answer]):
        def get(self, _uid: str, default: Answer) -> Answer:  # type: ignore[override]
            desk.clock.advance(45)
            return default

    desk.pacs.replies = Slow()  # type: ignore[assignment]
    desk.deliver(NIGHT)
    assert sent(desk) == ["1.3", "1.1"], "the second ended after seven"
    assert states(desk)["1.2"] == "waiting"


def test_hours_are_the_sites(desk: Desk) -> None:
    receive(desk, "1.1")
    desk.clock.instant = desk.clock.instant.replace(hour=17, minute=30) + timedelta(days=1)
    from zoneinfo import ZoneInfo

    def deliver(zone: str) -> int:
        return worker.deliver_batch(desk.behind(zone=ZoneInfo(zone)), NIGHT, desk.pacs)

    assert deliver("UTC") == 0
    assert deliver("Europe/Berlin") == 1


def test_after_a_stop_nothing_further_is_begun(desk: Desk) -> None:
    receive(desk, "1.1", "1.2", "1.3")

    def deliver() -> int:
        return worker.deliver_batch(desk.behind(), PACS, desk.pacs, stopping=lambda: len(desk.pacs.stored) > 0)

    assert deliver() == 3
    assert sent(desk) == ["1.1"]
    assert sorted(states(desk).values()) == ["delivered", "waiting", "waiting"]
    assert deliver() == 0


def test_a_node_gives_back_its_own_leases_alone(desk: Desk) -> None:
    receive(desk, "1.1", "1.2")
    now = desk.clock.now()
    with desk.database.write("delivery-lease") as tx:
        for node in ("n1", "n2"):
            store.lease(tx, "pacs", now, 1, token=new_token(node), lease_seconds=60)
        assert store.release_all(tx, "n1") == 1
        assert store.release_all(tx) == 1
    assert {one.state for one in desk.by_uid().values()} == {DeliveryState.WAITING}


def test_several_associations_share_what_is_due(desk: Desk) -> None:
    receive(desk, *(f"1.{n}" for n in range(1, 8)))
    now = desk.clock.now()
    with desk.database.write("delivery-lease") as tx:
        taken = [len(store.lease(tx, "pacs", now, 50, token=str(n), lease_seconds=60, sharers=3)) for n in range(1, 6)]
    assert taken == [3, 2, 1, 1, 0]


def test_nodes_and_threads_on_one_database_send_each_instance_once(desk: Desk) -> None:
    receive(desk, *(f"1.{n}" for n in range(1, 31)))
    side_by_side = replace(PACS, associations=4)

    def deliver(number: int) -> None:
        def batch() -> int:
            return worker.deliver_batch(desk.behind(node=f"n{number % 2}"), side_by_side, desk.pacs, limit=3)

        while batch():
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, range(4)))
    while desk.deliver():
        pass
    assert sorted(sent(desk)) == sorted(f"1.{n}" for n in range(1, 31))
    assert desk.files() == []


# --- a syntax that is refused --------------------------------------------------------------------------------------


def test_what_is_refused_is_sent_in_another_syntax_where_the_rule_allows_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = desk.receive("1.1")
    assert instance.facts.transfer_syntax != IMPLICIT

    def store_(pacs: Pacs, outgoing: OutgoingInstance, _following: OutgoingInstance | None = None) -> Answer:
        if outgoing.transfer_syntax != IMPLICIT:
            raise ContextRefused("no", 4)
        pacs.stored.append((outgoing.sop_instance_uid, b""))
        return Answer(0)

    monkeypatch.setattr(Pacs, "store", store_)
    while desk.deliver(replace(PACS, transcode=True)):
        pass
    assert states(desk) == {"1.1": "delivered"}
    assert desk.by_uid()["1.1"].syntax == IMPLICIT
    assert desk.files() == []
    with desk.database.read() as tx:
        assert [entry.action for entry in audit.entries(tx)] == ["instance.transcode"]


def test_without_that_rule_it_is_parked_with_what_it_would_take(desk: Desk) -> None:
    desk.receive("1.1")
    desk.pacs.replies = {"1.1": ContextRefused("no", 4)}
    while desk.deliver():
        pass
    parked = desk.by_uid()["1.1"]
    assert parked.state is DeliveryState.PARKED
    assert "rule to transcode" in parked.reason


def test_what_no_decoder_reads_is_parked_and_told_and_the_others_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.receive("1.1")
    desk.receive("1.2")
    bad = desk.by_uid()["1.1"]
    with desk.database.write("delivery") as tx:
        tx.exec_driver_sql(f"UPDATE delivery SET syntax = '{IMPLICIT}'")
    real = copies._Child.ask

    def ask(child: copies._Child, line: dict[str, str], seconds: float) -> dict[str, object]:
        return {"problem": "x"} if bad.instance_id in line["source"] else real(child, line, seconds)

    monkeypatch.setattr(copies._Child, "ask", ask)
    while desk.deliver(replace(PACS, transcode=True)):
        pass
    assert states(desk) == {"1.1": "parked", "1.2": "delivered"}
    assert [event for event, _, _ in desk.events] == [recording.PARKED]
