"""Sending to a RIS over real sockets: every answer, none, and the order in which messages arrive."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from broker.database import Database, Transaction
from broker.environments.model import OrderEvent, Receiver
from broker.outbox import worker
from broker.outbox.connection import Sender, sender
from broker.owed import OwedState
from tests.conftest import FakeClock
from tests.peers.processes import free_port
from tests.unit.outbox.examples import RIS, all_messages, order, owed
from tests.unit.outbox.ris import Answer, Ris, hangs_up, nothing, ris, says

EVENTS = (OrderEvent.STARTED, OrderEvent.COMPLETED, OrderEvent.IMAGES_AVAILABLE)


@dataclass
class Bench:
    """What a test has at hand: the database with three messages of one order, and a way to send."""

    database: Database
    clock: FakeClock
    alerts: list[tuple[str, str, str]] = field(default_factory=list)

    def alert(self, _tx: Transaction, event: str, subject: str, text: str) -> None:
        self.alerts.append((event, subject, text))

    def send(self, receiver: Receiver, line: Sender, **options: int) -> int:
        return worker.send_batch(self.database, receiver, line, self.clock, lambda: 0.0, self.alert, **options)

    def states(self) -> list[OwedState]:
        return [message.state for message in all_messages(self.database)]

    def control_ids(self) -> list[str]:
        return [message.control_id for message in all_messages(self.database)]


@pytest.fixture
def bench(database: Database, clock: FakeClock) -> Bench:
    for event in EVENTS:
        owed(database, clock, event)
    return Bench(database, clock)


W, D, P = OwedState.WAITING, OwedState.DELIVERED, OwedState.PARKED


def to(peer: Ris, timeout: int = 2) -> Receiver:
    return replace(RIS, port=peer.port, timeout_seconds=timeout)


def test_messages_arrive_in_order_over_one_connection(bench: Bench) -> None:
    with ris() as peer, closing(sender(to(peer))) as line:
        assert bench.send(to(peer), line, limit=2) == 2
        assert bench.send(to(peer), line) == 1
        assert bench.send(to(peer), line) == 0
    assert peer.control_ids == bench.control_ids()
    assert peer.connections == 1
    assert bench.states() == [D, D, D]
    assert peer.got == [message.body for message in all_messages(bench.database)]
    assert bench.alerts == []


def test_refused_message_is_parked_and_the_queue_goes_on(bench: Bench) -> None:
    refuses = says("AE", b"ERR|ORC^1^2^204&Unknown key identifier&HL70357\r")
    with ris(refuses) as peer, closing(sender(to(peer))) as line:
        assert bench.send(to(peer), line) == 3
    assert bench.states() == [P, D, D]
    (alert,) = bench.alerts
    assert alert[:2] == (worker.PARKED, "ris")
    assert "204 Unknown key identifier at ORC^1^2" in alert[2]
    assert all_messages(bench.database)[0].code == "AE"


@pytest.mark.parametrize(
    ("answer", "why", "timeout"),
    [
        (says("AR", b"ERR|^^^207&Application internal error&HL70357\r"), "rejects it with AR (207", 2),
        (nothing, "no answer in time", 1),
        (hangs_up, "closed the connection", 2),
        (says("AA", to="OTHER"), "another message", 2),
        (lambda _message: b"\x0bnonsense\x1c\r", "cannot be read", 2),
        (says("??"), "no acknowledgement code", 2),
    ],
)
def test_message_without_a_good_answer_is_sent_again_first_under_the_same_id(
    bench: Bench, answer: Answer, why: str, timeout: int
) -> None:
    with ris(answer) as peer, closing(sender(to(peer, timeout))) as line:
        assert bench.send(to(peer, timeout), line) == 1
        first = all_messages(bench.database)[0]
        assert (first.state, first.tries, first.due) == (W, 1, bench.clock.now() + timedelta(seconds=5))
        assert why in first.reason
        assert bench.states() == [W, W, W]
        assert bench.send(to(peer, timeout), line) == 0  # nothing overtakes it
        bench.clock.advance(5)
        assert bench.send(to(peer, timeout), line) == 3
    ids = bench.control_ids()
    assert peer.control_ids == [ids[0], *ids]
    assert peer.connections == 2  # a late answer is never taken for the next one
    assert bench.states() == [D, D, D]


def test_receiver_that_is_away_is_asked_less_and_less_and_then_people_are_told(bench: Bench) -> None:
    port = free_port()
    away = replace(RIS, port=port)
    waits = []
    with closing(sender(away)) as line:
        for _ in range(4):
            assert bench.send(away, line) == 1
            due = all_messages(bench.database)[0].due
            waits.append((due - bench.clock.now()).total_seconds())
            bench.clock.advance(waits[-1])
        assert waits == [5, 10, 30, 60]
        assert [alert[0] for alert in bench.alerts] == [worker.FAILING, worker.FAILING]
        assert "nothing listens on the port" in bench.alerts[0][2]
        with ris(port=port) as peer:
            assert bench.send(away, line) == 3
    assert peer.control_ids == bench.control_ids()


def test_rejection_is_told_to_people_at_once(bench: Bench) -> None:
    with ris(says("AR")) as peer, closing(sender(to(peer))) as line:
        bench.send(to(peer), line)
    assert [alert[:2] for alert in bench.alerts] == [(worker.FAILING, "ris")]


def test_connection_that_was_closed_while_idle_is_no_failure(bench: Bench) -> None:
    with ris() as peer, closing(sender(to(peer))) as line:
        assert bench.send(to(peer), line, limit=1) == 1
        peer.hang_up()
        assert bench.send(to(peer), line) == 2
    assert peer.connections == 2
    assert bench.states() == [D, D, D]
    assert {message.tries for message in all_messages(bench.database)} == {1}


def test_outcome_of_a_lost_lease_is_not_recorded(bench: Bench) -> None:
    def slow(message: bytes) -> bytes | None:
        bench.clock.advance(3600)
        with bench.database.write("outbox") as tx:
            worker.store.lease(tx, "ris", bench.clock.now(), 1, token="other", lease_seconds=60)
        return says("AA")(message)

    with ris(slow) as peer, closing(sender(to(peer))) as line:
        assert bench.send(to(peer), line) == 1
    assert bench.states() == [OwedState.SENDING, W, W]


def test_journal_tells_what_was_delivered_and_no_patient(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with ris(says("AE", b"ERR|Muster^Eva\r")) as peer, closing(sender(to(peer))) as line:
        bench.send(to(peer), line)
    with bench.database.read() as tx:
        text = str(tx.exec_driver_sql("SELECT event, fields FROM journal ORDER BY id").all())
    assert text.count("outbox.delivered") == 2
    assert text.count("outbox.parked") == 1
    said = text + str(bench.alerts) + str(capsys.readouterr())
    assert "Muster" not in said


def test_each_order_of_a_busy_receiver_keeps_its_order(database: Database, clock: FakeClock) -> None:
    bench = Bench(database, clock)
    for number in range(20):
        owed(database, clock, EVENTS[number % 3], of=order(identifier=number // 3))
    script: list[Callable[[bytes], bytes | None]] = [says("AA"), hangs_up, says("AR"), says("AE"), says("AA", to="X")]
    with ris(*script) as peer, closing(sender(to(peer))) as line:
        while not {D, P}.issuperset(bench.states()):
            bench.send(to(peer), line)
            clock.advance(60)
    seen = list(dict.fromkeys(peer.control_ids))
    assert seen == bench.control_ids()
