"""What the worker makes of answers to STOW-RS: states of deliveries and of the destination, in the database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from broker.database import Database, Transaction
from broker.delivery import desk as desks
from broker.delivery import destination_store, recording, store, worker
from broker.delivery.model import Delivery, DeliveryState, DestinationState
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.requestor import EngineRequestor
from broker.environments.model import Destination, Protocol, World
from broker.environments.stow import StowSettings
from broker.identifiers import AETitle
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.peers.web import Got, Reply, Web, http, stated, web
from tests.unit.spool.datasets import data_set, facts, pieces

UIDS = ("1.1", "1.2", "1.3")


@dataclass
class Desk:
    database: Database
    spool: FileSpool
    clock: FakeClock
    web: Web
    events: list[tuple[str, str, str]] = field(default_factory=list)
    batch_instances: int = 20

    def receive(self, *uids: str) -> None:
        for uid in uids:
            instance = self.spool.keep(pieces(data_set(uid)), facts(uid))
            with self.database.write("spool-index") as tx:
                spool_store.add(tx, instance)
                store.owe(tx, instance.id, ("cloud",), self.clock.now())

    def deliver(self, stop_after: int = 1000) -> None:
        """Deliver a batch; `stop_after` so many requests we are told to stop."""

        def on_event(_tx: Transaction, event: str, subject: str, text: str) -> None:
            self.events.append((event, subject, text))

        settings = StowSettings(timeout_seconds=5, batch_instances=self.batch_instances)
        destination = Destination("cloud", Protocol.STOW, World.TEST, url=self.web.url, stow=settings)
        peer = StowPeer(destination)

        own = AETitle("BROKER")
        desk = desks.Desk(self.database, self.spool, own, self.clock, lambda: 0.0, on_event)
        stopping = lambda: len(self.web.got) >= stop_after  # noqa: E731 - said in few words
        worker.deliver_batch(desk, destination, EngineRequestor(), peer, stopping=stopping)
        peer.close()

    def by_uid(self) -> dict[str, Delivery]:
        with self.database.read() as tx:
            found = store.deliveries(tx)
            instances = spool_store.find_all(tx, [d.instance_id for d in found])
        return {instances[d.instance_id].facts.sop_instance_uid: d for d in found}

    def states(self) -> list[str]:
        found = self.by_uid()
        return [found[uid].state.value for uid in sorted(found)]

    def destination(self) -> DestinationState:
        with self.database.read() as tx:
            return destination_store.destination_state(tx, "cloud")


@pytest.fixture
def desk(database: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with web() as server:
        yield Desk(database, FileSpool(tmp_path / "spool"), clock, server)


def test_what_is_stored_leaves_the_spool(desk: Desk) -> None:
    desk.receive(*UIDS)
    desk.deliver()
    assert desk.states() == ["delivered"] * 3
    assert list(desk.spool.directory.rglob("*.dcm")) == []
    assert desk.events == []
    assert desk.destination().failures == 0


def test_each_instance_becomes_what_is_stated_of_it(desk: Desk) -> None:
    desk.receive("1.1", "1.2", "1.3", "1.4")
    failed = {"1.2": 0xC122, "1.3": 0xA901, "1.4": 0xA700}
    desk.web.answer = lambda got: stated({"1.1": 0xB000}, failed, 202) if got.method == "POST" else None
    desk.deliver()
    found = desk.by_uid()
    assert desk.states() == ["delivered", "parked", "parked", "waiting"]
    assert found["1.1"].reason.startswith("warning B000")
    assert "the transfer syntax is not supported" in found["1.2"].reason
    assert "status A901" in found["1.3"].reason
    assert found["1.4"].due > desk.clock.now()
    assert desk.destination().due is not None  # out of resources: it is given time


def test_one_refused_alone_is_parked_with_its_words_and_said_once(desk: Desk) -> None:
    desk.receive(*UIDS)
    desk.web.answer = lambda got: http(415, b"no JPEG", "text/plain") if "1.2" in got.uids else None
    desk.deliver()
    assert desk.states() == ["delivered", "parked", "delivered"]
    reason = desk.by_uid()["1.2"].reason
    assert reason.startswith("the destination refused it with HTTP 415: it does not take this media type")
    assert reason.endswith("; it says: no JPEG")
    ((event, subject, text),) = desk.events
    assert (event, subject) == (recording.PARKED, "cloud")
    assert "no JPEG" not in text  # the peer's words may speak of the patient


def test_what_is_listed_is_delivered_with_a_note(desk: Desk) -> None:
    desk.receive("1.1")

    def silent(got: Got) -> Reply | None:
        if got.method == "POST":
            desk.web.kept |= {part.sop_instance_uid: part for part in got.parts}
            return http(200)
        return None

    desk.web.answer = silent
    desk.deliver()
    assert desk.states() == ["delivered"]
    assert "lists it when asked (QIDO-RS)" in desk.by_uid()["1.1"].reason


def test_a_login_that_is_refused_stops_the_destination_parks_nothing_and_is_said_at_once(desk: Desk) -> None:
    desk.receive(*UIDS)
    desk.web.answer = lambda _got: http(401)
    desk.deliver()
    assert desk.states() == ["waiting"] * 3
    assert {delivery.tries for delivery in desk.by_uid().values()} == {0}
    assert desk.destination().reason == "HTTP 401: it does not take our login: check login and its secret"
    assert len(desk.events) == 1
    desk.web.answer = lambda _got: None
    desk.clock.advance(60)
    desk.deliver()  # one first: whether it is well again
    desk.deliver()
    assert desk.states() == ["delivered"] * 3


def test_it_is_not_asked_before_the_time_it_wants(desk: Desk) -> None:
    desk.receive(*UIDS)
    desk.web.answer = lambda _got: http(429, Retry_After="600")
    desk.deliver()
    assert desk.destination().due == desk.clock.now() + timedelta(seconds=600)
    desk.clock.advance(599)
    desk.deliver()
    assert len(desk.web.got) == 1
    desk.clock.advance(2)
    desk.web.answer = lambda _got: None
    desk.deliver()
    desk.deliver()
    assert desk.states() == ["delivered"] * 3


def test_a_pause_it_wants_after_the_first_request_is_kept_too(desk: Desk) -> None:
    desk.receive(*UIDS)
    desk.batch_instances = 1
    desk.web.answer = lambda _got: http(503, Retry_After="600") if len(desk.web.got) > 1 else None
    desk.deliver()
    assert desk.states() == ["delivered", "waiting", "waiting"]
    assert desk.destination().due == desk.clock.now() + timedelta(seconds=600)


def test_no_answer_is_tried_again_and_a_person_is_told_in_the_end(desk: Desk) -> None:
    desk.receive("1.1")
    desk.web.answer = lambda _got: b""
    for _ in range(6):
        desk.deliver()
        desk.clock.advance(3600)
    delivery = desk.by_uid()["1.1"]
    assert (delivery.state, delivery.tries) == (DeliveryState.WAITING, 6)
    assert "no answer to the instance" in delivery.reason
    assert recording.UNANSWERED in {event for event, _, _ in desk.events}


def test_what_one_answer_says_is_recorded_to_its_end_though_we_are_told_to_stop(desk: Desk) -> None:
    desk.receive("1.1", "1.2", "1.3", "1.4")
    desk.batch_instances = 3
    desk.deliver(stop_after=1)
    assert desk.states() == ["delivered", "delivered", "delivered", "waiting"]
    assert len(desk.web.got) == 1


def test_a_poison_instance_keeps_no_other(desk: Desk) -> None:
    desk.receive("1.1", "1.2", "1.3", "1.4", "1.5")
    desk.web.answer = lambda got: http(500) if got.method == "POST" and "1.3" in got.uids else None
    for _ in range(4):
        desk.deliver()
        desk.clock.advance(3600)
    assert desk.states() == ["delivered", "delivered", "waiting", "delivered", "delivered"]
