"""Whatever a destination answers, and whoever acts meanwhile: an instance ends delivered, or parked with a reason.

`BROKER_EXAMPLES` is how many sequences are tried, by chance; without it, a few that are always the same.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from broker.database import METADATA, Database, sqlite_url
from broker.delivery import destination_store, escalation, recording, store
from broker.delivery.model import DeliveryState
from broker.dimse.service import Answer, AssociationRefused, ContextRefused, Rejection
from broker.errors import Unavailable
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.unit.delivery.test_worker import Desk, Pacs

EXAMPLES = int(os.environ.get("BROKER_EXAMPLES", "15"))
INSTANCES = ("1.1", "1.2", "1.3")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + EXAMPLES * 2)]

STATUSES = st.sampled_from([0x0000, 0xB000, 0x0111, 0xA700, 0xA900, 0xC001, 0x0110, 0x0122, 0x0124, 0x0213, 0xFE00])
REPLIES = st.one_of(
    st.builds(Answer, STATUSES | st.integers(0, 0xFFFF)),
    st.just(Unavailable("aborted")),
    st.builds(ContextRefused, st.just("no"), st.integers(1, 4)),
)
REFUSALS = st.one_of(
    st.none(),
    st.just(Unavailable("off")),
    st.builds(
        AssociationRefused, st.just("no"), st.builds(Rejection, st.integers(1, 2), st.integers(1, 3), st.integers(1, 7))
    ),
    st.just(AssociationRefused("no context", None)),
)
PEOPLE = st.sampled_from(["", "", "", "hold", "release", "retry", "hold destination", "release destination"])


@dataclass(frozen=True)
class Turn:
    """What the destination does while it is asked once, what people do before, and how much time passes."""

    refusal: Exception | None
    replies: tuple[Answer | Exception, ...]
    person: str
    which: int
    seconds: float
    dies: bool  # the process ends in the middle, and starts again


TURNS = st.lists(
    st.builds(
        Turn,
        REFUSALS,
        st.lists(REPLIES, min_size=3, max_size=3).map(tuple),
        PEOPLE,
        st.integers(1, 3),
        st.sampled_from([1.0, 60.0, 7200.0, 90_000.0, 700_000.0]),
        st.booleans(),
    ),
    max_size=12,
)


class Death(BaseException):
    """The process ends."""


@dataclass
class Scripted(Pacs):
    """A destination that answers from a turn, and where the process may end after an answer has come."""

    script: list[Answer | Exception] = field(default_factory=list)
    dies: bool = False

    def store(self, instance: object, following: object = None) -> Answer:
        reply = self.script.pop(0) if self.script else Answer(0)
        self.replies = {instance.sop_instance_uid: reply}  # type: ignore[attr-defined]
        answer = super().store(instance)  # type: ignore[arg-type]
        if self.dies:
            raise Death
        return answer


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="BROKER_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    database=None,
)
@given(turns=TURNS)
def test_an_instance_ends_delivered_or_parked_with_a_reason_and_is_never_lost(
    tmp_path_factory: pytest.TempPathFactory, turns: list[Turn]
) -> None:
    with a_desk(tmp_path_factory.mktemp("deliveries")) as (desk, pacs):
        for uid in INSTANCES:
            desk.receive(uid)
        for turn in turns:
            _act(desk, turn)
            _live(desk, pacs, turn)
            _check(desk, pacs)
        _end_faults(desk, pacs)
        found = desk.by_uid()
        assert set(found) == set(INSTANCES)
        for uid, delivery in found.items():
            assert delivery.state in {DeliveryState.DELIVERED, DeliveryState.PARKED}, uid
        _check(desk, pacs)


@contextmanager
def a_desk(folder: Path) -> Iterator[tuple[Desk, Scripted]]:
    pacs = Scripted()
    with closing(Database(sqlite_url(folder / "broker.db"))) as database:
        METADATA.create_all(database.engine)
        yield Desk(database, FileSpool(folder / "spool"), FakeClock(), pacs), pacs


def _live(desk: Desk, pacs: Scripted, turn: Turn) -> None:
    pacs.refusals = {} if turn.refusal is None else {"": turn.refusal}
    pacs.script, pacs.dies = list(turn.replies), turn.dies
    try:
        desk.deliver()
    except Death:
        with desk.database.write("delivery") as tx:
            store.release_all(tx)
    escalation.escalate(desk.database, desk.clock, lambda *event: desk.events.append(event[1:]))
    desk.clock.advance(turn.seconds)


def _act(desk: Desk, turn: Turn) -> None:
    now = desk.clock.now()
    with desk.database.write("delivery") as tx:
        match turn.person:
            case "hold":
                store.hold_one(tx, turn.which, "held by x: y")
            case "release":
                store.release_held(tx, turn.which, now)
            case "retry":
                store.retry(tx, [turn.which], now)
            case "hold destination":
                destination_store.hold_destination(tx, "pacs", "held by x: y", now)
            case "release destination":
                destination_store.hold_destination(tx, "pacs", "", now)


def _check(desk: Desk, pacs: Scripted) -> None:
    """Check what must hold at every moment."""
    found = desk.by_uid()
    arrived = {uid for uid, _ in pacs.stored}
    kept = {file.stem for file in desk.files()}
    for uid, delivery in found.items():
        if delivery.state is DeliveryState.DELIVERED:
            assert uid in arrived, "delivered is what the destination said, never assumed"
            assert delivery.instance_id not in kept
        else:
            assert delivery.instance_id in kept, "the file stays until it is delivered"
            assert delivery.state is not DeliveryState.SENDING
        if delivery.state in {DeliveryState.PARKED, DeliveryState.HELD}:
            assert delivery.reason
    alarmed = {text.partition(":")[0] for event, _, text in desk.events if event == recording.PARKED}
    for uid, delivery in found.items():
        if delivery.state is DeliveryState.PARKED:
            assert f"delivery {delivery.id}" in alarmed, f"{uid} was parked in silence"


def _end_faults(desk: Desk, pacs: Scripted) -> None:
    """Let the destination take everything again, and people let go what they hold."""
    pacs.refusals, pacs.script, pacs.replies, pacs.dies = {}, [], {}, False
    with desk.database.write("delivery") as tx:
        destination_store.hold_destination(tx, "pacs", "", desk.clock.now())
        for delivery in store.deliveries(tx, DeliveryState.HELD):
            store.release_held(tx, delivery.id, desk.clock.now())
    for _ in range(2 * len(INSTANCES)):
        desk.clock.advance(7200)
        desk.deliver()
