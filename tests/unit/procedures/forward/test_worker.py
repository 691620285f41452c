"""What is owed on its way, against a provider that answers as told."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from broker.database import Database, Transaction
from broker.dimse.message import CommandField
from broker.dimse.service import (
    AssociationRefused,
    ContextRefused,
    NormalizedAnswer,
    NormalizedRequest,
    Peer,
    Rejection,
)
from broker.environments.model import Destination, Protocol
from broker.environments.model import World as Kind
from broker.errors import Unavailable
from broker.identifiers import AETitle
from broker.owed import OwedState
from broker.procedures.forward import store, worker
from broker.procedures.forward.model import Forward
from broker.procedures.forward.state import LONGEST_WAIT
from tests.conftest import FakeClock
from tests.unit.procedures.building import SYNTAXES, UID, creation, dataset, encoded, ending
from tests.unit.procedures.world import World

RIS = Destination("ris", Protocol.DIMSE, Kind.TEST, "127.0.0.1", 104, AETitle("RIS_MPPS"))
OWN = AETitle("BROKER")
OK = NormalizedAnswer(0)
SECOND = f"{UID}.2"

Reply = NormalizedAnswer | Exception


@dataclass
class Provider:
    """Answers from a script, and 0000 when it is at its end; notes what it got."""

    replies: list[Reply] = field(default_factory=list)
    refusal: Exception | None = None
    goodbye: Exception | None = None
    peers: list[Peer] = field(default_factory=list)
    contexts: list[tuple[str, str]] = field(default_factory=list)
    got: list[NormalizedRequest] = field(default_factory=list)

    @contextmanager
    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> Iterator["Provider"]:
        self.peers.append(peer)
        self.contexts.extend(contexts)
        if self.refusal:
            raise self.refusal
        yield self
        if self.goodbye:
            raise self.goodbye

    def request(self, request: NormalizedRequest) -> NormalizedAnswer:
        self.got.append(request)
        reply = self.replies.pop(0) if self.replies else OK
        if isinstance(reply, Exception):
            raise reply
        return reply

    def names(self) -> list[tuple[str, str]]:
        """What came, in order: create or set, and of which step."""
        kinds = {CommandField.N_CREATE_RQ: "create", CommandField.N_SET_RQ: "set"}
        return [(kinds[CommandField(one.command)], one.sop_instance_uid) for one in self.got]


@dataclass
class Desk:
    world: World
    provider: Provider = field(default_factory=Provider)
    told: list[str] = field(default_factory=list)

    def send(self, destination: Destination = RIS) -> int:
        def alert(_tx: Transaction, event: str, _subject: str, _text: str) -> None:
            self.told.append(event)

        clock = self.world.clock
        return worker.send_batch(self.world.database, destination, OWN, self.provider, clock, lambda: 0.0, alert)

    def owed(self, uid: str = UID) -> list[Forward]:
        with self.world.database.read() as tx:
            return store.of_step(tx, self.world.stored(uid).id)

    def states(self, uid: str = UID) -> list[str]:
        return [one.state.value for one in self.owed(uid)]


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(World(database, clock, destinations=("ris",)))


def test_requests_are_passed_on_unchanged_and_in_order(desk: Desk) -> None:
    desk.world.create()
    desk.world.set(dataset(PerformedProcedureStepDescription="Liver"))
    desk.world.set()
    assert desk.send() == 3
    assert desk.provider.names() == [("create", UID), ("set", UID), ("set", UID)]
    assert [one.data_set for one in desk.provider.got] == [
        encoded(creation()),
        encoded(dataset(PerformedProcedureStepDescription="Liver")),
        encoded(ending()),
    ]
    assert desk.provider.peers == [Peer("127.0.0.1", 104, "RIS_MPPS", "BROKER")]
    assert desk.states() == ["delivered"] * 3
    assert desk.send() == 0


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_transfer_syntax_is_the_received_one(desk: Desk, syntax: str) -> None:
    desk.world.create(syntax=syntax)
    desk.send(replace(RIS, calling="device"))
    assert desk.provider.contexts == [("1.2.840.10008.3.1.2.3.3", syntax)]
    assert desk.provider.got[0].data_set == encoded(creation(), syntax)
    assert desk.provider.peers[0].calling_ae_title == "US1"


def test_nothing_is_owed_without_a_destination(database: Database, clock: FakeClock) -> None:
    desk = Desk(World(database, clock))
    desk.world.create()
    assert (desk.send(), desk.owed()) == (0, [])


def test_an_outage_keeps_everything_in_order(desk: Desk, clock: FakeClock) -> None:
    desk.provider.refusal = Unavailable("nobody listens")
    desk.world.create()
    desk.world.set()
    for _ in range(4):
        assert desk.send() == 1
        assert desk.send() == 0  # not before it is due
        clock.advance(3600)
    assert desk.states() == ["waiting", "waiting"]
    assert [one.tries for one in desk.owed()] == [4, 0]
    assert set(desk.told) == {worker.FAILING}
    desk.provider.refusal = None
    assert desk.send() == 2
    assert desk.provider.names() == [("create", UID), ("set", UID)]


def test_a_refused_step_waits_for_a_person_and_others_go_on(desk: Desk, clock: FakeClock) -> None:
    desk.provider.replies = [NormalizedAnswer(0x0120)]
    desk.world.create()
    desk.world.set()
    desk.world.create(uid=SECOND)
    desk.send()
    assert (desk.states(), desk.states(SECOND)) == (["parked", "waiting"], ["delivered"])
    assert desk.told == [worker.PARKED]
    assert desk.send() == 0
    with desk.world.database.write("mpps-lease") as tx:
        assert store.retry(tx, desk.owed()[0].id, clock.now())
    assert desk.send() == 2
    assert desk.states() == ["delivered", "delivered"]


def test_a_person_discards_what_is_not_to_be_sent(desk: Desk, clock: FakeClock) -> None:
    desk.provider.replies = [NormalizedAnswer(0x0120)]
    desk.world.create()
    desk.world.set()
    desk.send()
    with desk.world.database.write("mpps-lease") as tx:
        for one in desk.owed():
            assert store.discard(tx, one.id, "not wanted", clock.now())
        assert not store.discard(tx, desk.owed()[0].id, "again", clock.now())
    assert (desk.send(), desk.states()) == (0, ["discarded", "discarded"])


@pytest.mark.parametrize(
    ("reply", "again"),
    [(Unavailable("no response"), True), (ConnectionResetError(), True), (NormalizedAnswer(0x0213), True)],
)
def test_what_fails_for_now_is_sent_again(desk: Desk, clock: FakeClock, reply: Reply, again: bool) -> None:
    desk.provider.replies = [reply]
    desk.world.create()
    desk.world.set()
    assert desk.send() == 1
    assert desk.states() == ["waiting", "waiting"]
    clock.advance(60)
    assert desk.send() == 2
    assert desk.states() == ["delivered", "delivered"]


def test_a_lost_answer_to_the_last_n_set_does_not_park_it(desk: Desk, clock: FakeClock) -> None:
    desk.world.create()
    desk.world.set()
    desk.provider.replies = [OK, Unavailable("no response")]
    desk.send()
    clock.advance(60)
    desk.provider.replies = [NormalizedAnswer(0x0110)]
    desk.send()
    assert desk.states() == ["delivered", "delivered"]
    assert "earlier try" in desk.owed()[1].reason


def test_a_processing_failure_is_tried_and_parked(desk: Desk, clock: FakeClock) -> None:
    desk.world.create()
    desk.provider.replies = [NormalizedAnswer(0x0110)] * 5
    for _ in range(5):
        desk.send()
        clock.advance(3600)
    assert desk.states() == ["parked"]


@pytest.mark.parametrize(
    "refusal", [AssociationRefused("none of our contexts", None), ContextRefused("not this one", 4)]
)
def test_a_provider_that_takes_no_such_context_is_a_persons(desk: Desk, refusal: Exception) -> None:
    if isinstance(refusal, ContextRefused):
        desk.provider.replies = [refusal]
    else:
        desk.provider.refusal = refusal
    desk.world.create()
    desk.send()
    assert desk.states() == ["parked"]


def test_a_rejected_association_is_tried_again(desk: Desk) -> None:
    desk.provider.refusal = AssociationRefused("rejected", Rejection(1, 1, 3))
    desk.world.create()
    desk.send()
    assert desk.states() == ["waiting"]
    assert "AE title" in desk.owed()[0].reason


def test_how_an_association_ends_is_nobodys_failure(desk: Desk) -> None:
    desk.provider.goodbye = Unavailable("aborted")
    desk.world.create()
    desk.world.set()
    assert desk.send() == 2
    assert desk.states() == ["delivered", "delivered"]


def test_what_was_being_sent_when_we_ended_is_sent_again_and_known_there(desk: Desk, clock: FakeClock) -> None:
    desk.world.create()
    desk.world.set()
    desk.send()
    desk.world.create(uid=SECOND)
    with desk.world.database.write("mpps-lease") as tx:
        (leased,) = store.lease(tx, "ris", clock.now(), 20, token="dead", lease_seconds=300)
    assert (leased.state, desk.send()) == (OwedState.SENDING, 0)
    with desk.world.database.write("mpps-lease") as tx:
        assert store.release_all(tx) == 1
    assert desk.owed(SECOND)[0].unanswered
    desk.provider.replies = [NormalizedAnswer(0x0111)]
    assert desk.send() == 1
    assert desk.states(SECOND) == ["delivered"]


def test_a_lease_that_ended_is_anothers(desk: Desk, clock: FakeClock) -> None:
    desk.world.create()
    with desk.world.database.write("mpps-lease") as tx:
        (leased,) = store.lease(tx, "ris", clock.now(), 20, token="slow", lease_seconds=300)
    clock.advance(301)
    assert desk.send() == 1
    with desk.world.database.write("mpps-outcome") as tx:
        assert not store.finish(tx, leased, "slow", worker.Delivered(), 0, True, clock.now())
    assert desk.states() == ["delivered"]


def test_what_is_owed_to_a_name_that_is_gone_is_known(desk: Desk) -> None:
    desk.world.create()
    with desk.world.database.read() as tx:
        assert store.absent_destinations(tx, ["ris"]) == set()
        assert store.absent_destinations(tx, []) == {"ris"}
        assert store.open_counts(tx) == {("ris", OwedState.WAITING): 1}


def test_a_clock_that_was_set_back_delays_no_step_by_more_than_we_ever_wait(desk: Desk, clock: FakeClock) -> None:
    desk.provider.refusal = Unavailable("nobody listens")
    desk.world.create()
    assert desk.send() == 1
    clock.advance(-86400)
    desk.provider.refusal = None
    assert desk.send() == 0
    with desk.world.database.write("mpps-lease") as tx:
        assert store.put_forward(tx, "ris", clock.now() + LONGEST_WAIT, clock.now()) == 1
    assert desk.send() == 1
