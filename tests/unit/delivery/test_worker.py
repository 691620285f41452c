"""A batch on its way, against a destination that answers as told."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from broker import failpoints
from broker.database import Database, Transaction
from broker.delivery import desk as desks
from broker.delivery import destination_store, escalation, recording, store, worker
from broker.delivery.escalation import OnEvent
from broker.delivery.model import Delivery, DeliveryState
from broker.dimse.service import (
    Altered,
    Answer,
    AssociationRefused,
    ContextRefused,
    OutgoingInstance,
    Peer,
    Rejection,
    RequestedAssociation,
)
from broker.environments.model import Destination, Protocol, World
from broker.errors import Unavailable
from broker.identifiers import AETitle
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance
from tests.conftest import FakeClock
from tests.unit.spool.datasets import data_set, facts, pieces

PACS = Destination("pacs", Protocol.DIMSE, World.TEST, "127.0.0.1", 104, AETitle("PACS"))
OWN = AETitle("BROKER")

Reply = Answer | Exception


@dataclass
class Pacs:
    """A requestor written against the protocol of ours: it answers from a script and notes what it saw."""

    replies: dict[str, Reply] = field(default_factory=dict)
    refusals: dict[str, Exception] = field(default_factory=dict)  # by calling title; "" for all
    associations: list[tuple[Peer, list[tuple[str, str]]]] = field(default_factory=list)
    stored: list[tuple[str, bytes]] = field(default_factory=list)
    goodbye: Exception | None = None  # when the association ends

    @contextmanager
    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> Iterator[RequestedAssociation]:
        self.associations.append((peer, list(contexts)))
        refusal = self.refusals.get(peer.calling_ae_title) or self.refusals.get("")
        if refusal:
            raise refusal
        try:
            yield self
        finally:
            if self.goodbye:
                raise self.goodbye

    def echo(self) -> int:
        return 0

    def store(self, instance: OutgoingInstance, following: OutgoingInstance | None = None) -> Answer:
        reply = self.replies.get(instance.sop_instance_uid, Answer(0))
        if isinstance(reply, Exception):
            raise reply
        self.stored.append((instance.sop_instance_uid, content_of(instance)))
        return reply


def content_of(instance: OutgoingInstance) -> bytes:
    """Return the data set as it would leave: all of it or none."""
    try:
        with Path(instance.path).open("rb") as stream:
            stream.seek(instance.offset)
            content = stream.read(instance.length)
    except FileNotFoundError as error:
        raise Altered("the file is missing") from error
    if instance.sha256 and hashlib.sha256(content).hexdigest() != instance.sha256:
        raise Altered("another hash")
    return content


@dataclass
class Desk:
    """A spool, a database and a PACS on one desk."""

    database: Database
    spool: FileSpool
    clock: FakeClock
    pacs: Pacs = field(default_factory=Pacs)
    events: list[tuple[str, str, str]] = field(default_factory=list)

    def receive(self, uid: str, *destinations: str, calling: str = "US_ROOM2") -> SpooledInstance:
        instance = self.spool.keep(pieces(data_set(uid)), facts(uid, calling=calling))
        with self.database.write("spool-index") as tx:
            spool_store.add(tx, instance)
            store.owe(tx, instance.id, destinations or ("pacs",), self.clock.now())
        return instance

    def deliver(self, destination: Destination = PACS) -> int:
        def on_event(_tx: Transaction, event: str, subject: str, text: str) -> None:
            self.events.append((event, subject, text))

        return worker.deliver_batch(self.behind(on_event), destination, self.pacs)

    def behind(self, on_event: OnEvent = lambda *_: None, **settings: Any) -> desks.Desk:
        """What the worker works with."""
        return desks.Desk(self.database, self.spool, OWN, self.clock, lambda: 0.0, on_event, **settings)

    def by_uid(self) -> dict[str, Delivery]:
        with self.database.read() as tx:
            found = store.deliveries(tx)
            instances = spool_store.find_all(tx, [d.instance_id for d in found])
        return {instances[d.instance_id].facts.sop_instance_uid: d for d in found}

    def files(self) -> list[Path]:
        return list(self.spool.directory.rglob("*.dcm"))

    def failures(self) -> int:
        with self.database.read() as tx:
            return destination_store.destination_state(tx, "pacs").failures


@pytest.fixture
def desk(database: Database, tmp_path: Path, clock: FakeClock) -> Desk:
    return Desk(database, FileSpool(tmp_path / "spool"), clock)


def test_a_batch_goes_over_one_association_and_leaves_the_spool(desk: Desk) -> None:
    for uid in ("1.1", "1.2", "1.3"):
        desk.receive(uid)
    assert desk.deliver() == 3
    assert desk.pacs.stored == [(uid, data_set(uid)) for uid in ("1.1", "1.2", "1.3")]
    ((peer, contexts),) = desk.pacs.associations
    assert peer == Peer("127.0.0.1", 104, "PACS", "BROKER")
    assert contexts == [(facts().sop_class_uid, facts().transfer_syntax)]
    assert {d.state for d in desk.by_uid().values()} == {DeliveryState.DELIVERED}
    assert desk.files() == []
    assert desk.deliver() == 0
    assert desk.events == []


def test_a_file_stays_until_every_destination_has_it(desk: Desk) -> None:
    desk.receive("1.1", "pacs", "archive")
    desk.deliver()
    assert len(desk.files()) == 1
    desk.deliver(replace(PACS, name="archive"))
    assert desk.files() == []
    assert len(desk.pacs.stored) == 2


def test_an_answer_about_one_instance_leaves_the_others_alone(desk: Desk) -> None:
    for uid in ("1.1", "1.2", "1.3"):
        desk.receive(uid)
    desk.pacs.replies = {"1.1": Answer(0xC000, "Secret^Name"), "1.2": Answer(0xB000)}
    desk.deliver()
    found = desk.by_uid()
    assert [found[uid].state.value for uid in ("1.1", "1.2", "1.3")] == ["parked", "delivered", "delivered"]
    assert "it says: Secret^Name" in found["1.1"].reason
    assert found["1.2"].reason.startswith("warning B000")
    ((event, subject, text),) = desk.events
    assert (event, subject) == (recording.PARKED, "pacs")
    assert "C000" in text and "Secret" not in text
    assert len(desk.files()) == 1


def test_a_refused_context_parks_only_its_instance(desk: Desk) -> None:
    desk.receive("1.1")
    desk.receive("1.2")
    desk.pacs.replies = {"1.1": ContextRefused("no", 4)}
    desk.deliver()
    assert desk.by_uid()["1.1"].state is DeliveryState.PARKED
    assert desk.by_uid()["1.2"].state is DeliveryState.DELIVERED


def test_no_accepted_context_parks_and_does_not_loop(desk: Desk) -> None:
    desk.receive("1.1")
    desk.pacs.refusals = {"": AssociationRefused("no context", None)}
    desk.deliver()
    assert desk.by_uid()["1.1"].state is DeliveryState.PARKED
    assert desk.deliver() == 0


@pytest.mark.parametrize(
    "error",
    [AssociationRefused("no", Rejection(1, 1, 7)), AssociationRefused("no", Rejection(2, 3, 1)), Unavailable("off")],
)
def test_an_association_that_fails_is_the_destinations_state(desk: Desk, error: Exception) -> None:
    desk.receive("1.1")
    desk.pacs.refusals = {"": error}
    assert desk.deliver() == 1
    waiting = desk.by_uid()["1.1"]
    assert (waiting.state, waiting.tries) == (DeliveryState.WAITING, 0)
    assert desk.failures() == 1
    assert desk.deliver() == 0, "not asked again before it is due"
    desk.clock.advance(5)
    desk.pacs.refusals = {}
    assert desk.deliver() == 1
    assert desk.failures() == 0
    assert desk.files() == []


def test_a_destination_that_keeps_failing_is_told_to_people(desk: Desk) -> None:
    desk.receive("1.1")
    desk.pacs.refusals = {"": Unavailable("off")}
    for _ in range(3):
        assert desk.events == []
        assert desk.deliver() == 1
        desk.clock.advance(100)
    assert [(event, subject) for event, subject, _ in desk.events] == [(escalation.FAILING, "pacs")]


def test_a_permanent_refusal_is_told_at_once(desk: Desk) -> None:
    desk.receive("1.1")
    desk.pacs.refusals = {"": AssociationRefused("no", Rejection(1, 1, 3))}
    desk.deliver()
    assert [event for event, _, _ in desk.events] == [escalation.FAILING]
    assert "our AE title" in desk.events[0][2]


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_after_a_break_only_the_rest_is_sent_again(desk: Desk, broken: int) -> None:
    uids = ["1.1", "1.2", "1.3"]
    for uid in uids:
        desk.receive(uid)
    desk.pacs.replies = {uids[broken]: Unavailable("aborted")}
    desk.deliver()
    found = desk.by_uid()
    assert [found[uid].state.value for uid in uids[:broken]] == ["delivered"] * broken
    assert [found[uid].tries for uid in uids[broken:]] == [1] + [0] * (2 - broken)
    desk.pacs.replies = {}
    desk.clock.advance(10)
    assert desk.deliver() == 1, "one probe"
    desk.deliver()
    assert sorted(uid for uid, _ in desk.pacs.stored) == uids


def test_an_instance_that_breaks_each_association_blocks_no_other(desk: Desk) -> None:
    desk.receive("1.1")
    desk.receive("1.2")
    desk.pacs.replies = {"1.1": Unavailable("aborted")}
    for _ in range(6):
        desk.deliver()
        desk.clock.advance(3600)
    assert desk.by_uid()["1.2"].state is DeliveryState.DELIVERED
    assert desk.by_uid()["1.1"].state is DeliveryState.WAITING
    assert recording.UNANSWERED in {event for event, _, _ in desk.events}


def test_a_full_destination_is_left_in_peace(desk: Desk) -> None:
    desk.receive("1.1")
    desk.receive("1.2")
    desk.pacs.replies = {"1.1": Answer(0xA700)}
    desk.deliver()
    assert len(desk.pacs.stored) == 1, "the rest of the batch waits"
    assert [d.state for d in desk.by_uid().values()] == [DeliveryState.WAITING] * 2
    assert desk.failures() == 1
    assert desk.deliver() == 0


@pytest.mark.parametrize("reply", [Answer(0), Answer(0xA700)])
def test_an_association_that_ends_badly_changes_no_outcome(desk: Desk, reply: Answer) -> None:
    desk.receive("1.1")
    desk.receive("1.2")
    desk.pacs.replies = {"1.1": reply}
    desk.pacs.goodbye = Unavailable("no answer to the release")
    desk.deliver()
    assert desk.by_uid()["1.1"].status == reply.status
    assert DeliveryState.SENDING not in {d.state for d in desk.by_uid().values()}
    assert desk.failures() == (1 if reply.status else 0)


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_a_damaged_file_is_parked_and_the_others_go_on(desk: Desk, damage: str) -> None:
    bad = desk.receive("1.1")
    desk.receive("1.2")
    path = desk.spool.path_of(bad)
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    desk.deliver()
    assert [uid for uid, _ in desk.pacs.stored] == ["1.2"]
    assert desk.by_uid()["1.1"].state is DeliveryState.PARKED
    assert [(event, subject) for event, subject, _ in desk.events] == [(recording.DAMAGED, bad.id)]


def test_calling_as_the_device_takes_an_association_for_each_title(desk: Desk) -> None:
    desk.receive("1.1", calling="US1")
    desk.receive("1.2", calling="US2")
    desk.receive("1.3", calling="US1")
    desk.pacs.refusals = {"US1": AssociationRefused("no", Rejection(1, 1, 3))}
    desk.deliver(replace(PACS, calling="device"))
    assert [peer.calling_ae_title for peer, _ in desk.pacs.associations] == ["US1", "US2"]
    found = desk.by_uid()
    assert [found[uid].state.value for uid in ("1.1", "1.2", "1.3")] == ["waiting", "delivered", "waiting"]
    assert desk.failures() == 0
    assert desk.deliver(replace(PACS, calling="device")) == 0, "those that were not let in wait a little"


def test_calling_by_a_title_uses_it(desk: Desk) -> None:
    desk.receive("1.1")
    desk.deliver(replace(PACS, calling="GATEWAY"))
    assert desk.pacs.associations[0][0].calling_ae_title == "GATEWAY"


@pytest.mark.parametrize("place", ["store.send.before", "store.send.after"])
def test_a_cut_around_sending_is_an_unknown_outcome(desk: Desk, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.receive("1.1")
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL", f"{place}:1:cut")
    failpoints.arm_from_environment()
    try:
        desk.deliver()
    finally:
        failpoints.disarm()
    assert (desk.by_uid()["1.1"].state, desk.by_uid()["1.1"].tries) == (DeliveryState.WAITING, 1)
    desk.clock.advance(5)
    desk.deliver()
    assert desk.by_uid()["1.1"].state is DeliveryState.DELIVERED


def test_a_database_that_fails_at_the_outcome_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.receive("1.1")
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL", "delivery-outcome.commit.before:1:eio")
    failpoints.arm_from_environment()
    try:
        with pytest.raises(Unavailable, match="cannot be written"):
            desk.deliver()
    finally:
        failpoints.disarm()
    assert len(desk.files()) == 1
    with desk.database.write("delivery") as tx:
        assert store.release_all(tx) == 1
    desk.deliver()
    assert desk.files() == []


def test_a_file_that_cannot_be_removed_stays_for_the_next_start(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.receive("1.1")
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL", "spool.unlink.before:1:eio")
    failpoints.arm_from_environment()
    try:
        desk.deliver()
    finally:
        failpoints.disarm()
    assert len(desk.files()) == 1
    with desk.database.read() as tx:
        known: Callable[..., object] = lambda ids: spool_store.known(tx, ids)  # noqa: E731
        assert list(desk.spool.recover(known, lambda *_: None)) == []  # type: ignore[arg-type]
    assert desk.files() == []


def test_more_contexts_than_fit_take_a_second_association(desk: Desk) -> None:
    for number in range(130):
        uid = f"1.{number}"
        instance = desk.spool.keep(pieces(data_set(uid), 1000), facts(uid))
        instance = replace(instance, facts=replace(instance.facts, transfer_syntax=f"1.2.{number}"))
        with desk.database.write("spool-index") as tx:
            spool_store.add(tx, instance)
            store.owe(tx, instance.id, ("pacs",), desk.clock.now())
    for _ in range(3):
        desk.deliver()
    assert len(desk.pacs.stored) == 130
    assert all(len(contexts) <= 128 for _, contexts in desk.pacs.associations)


def test_a_folder_gets_part_10_files_under_names_of_ours(desk: Desk, tmp_path: Path) -> None:
    instance = desk.receive("1.1", "share")
    whole = desk.spool.path_of(instance).read_bytes()
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / f"{instance.id}.dcm.part").write_bytes(b"left by an ended process")
    desk.deliver(Destination("share", Protocol.FOLDER, World.TEST, path=tmp_path / "share"))
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "share").iterdir()] == [(f"{instance.id}.dcm", whole)]
    assert desk.files() == []


def test_a_folder_that_is_not_there_is_the_destinations_state(desk: Desk, tmp_path: Path) -> None:
    desk.receive("1.1", "share")
    desk.deliver(Destination("share", Protocol.FOLDER, World.TEST, path=tmp_path / "not" / "mounted"))
    waiting = desk.by_uid()["1.1"]
    assert (waiting.state, waiting.tries) == (DeliveryState.WAITING, 0)
    with desk.database.read() as tx:
        assert "folder" in destination_store.destination_state(tx, "share").reason


def test_a_protocol_without_a_sender_waits(desk: Desk) -> None:
    desk.receive("1.1", "web")
    desk.deliver(Destination("web", Protocol.STOW, World.TEST, url="https://pacs"))
    assert desk.by_uid()["1.1"].state is DeliveryState.WAITING


def test_a_destination_that_the_profile_lost_is_told_once(desk: Desk) -> None:
    desk.receive("1.1", "gone")

    def on_event(_tx: Transaction, event: str, subject: str, text: str) -> None:
        desk.events.append((event, subject, text))

    for _ in range(2):
        assert escalation.note_absent(desk.database, ["pacs"], desk.clock, on_event) == {"gone"}
    assert [(event, subject) for event, subject, _ in desk.events] == [(escalation.ABSENT, "gone")]
    assert desk.by_uid()["1.1"].state is DeliveryState.WAITING
