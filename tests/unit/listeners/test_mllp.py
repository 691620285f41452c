"""The HL7 port on real sockets: what each outcome looks like on the wire."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from broker.environments.model import AcknowledgedBy, Hl7Settings
from broker.errors import Unavailable
from broker.inbox.model import ACCEPTED, NO_ANSWER, Arrival, Outcome
from broker.intake import Answer
from broker.listeners import mllp
from hl7 import client
from hl7.reply import Acknowledgement, read_acknowledgement
from tests.conftest import FakeClock


def message(accept: str = "", application: str = "", kind: str = "ORM^O01") -> bytes:
    return f"MSH|^~\\&|RIS|HOSP|B|R|20260131||{kind}|C&1\\|P|2.3.1|||{accept}|{application}\r".encode()


Take = Callable[[bytes, Arrival, Answer], bytes | None]


@dataclass
class _Flows:
    take: Take

    def take_message(self, raw: bytes, arrival: Arrival, answer: Answer) -> bytes | None:
        return self.take(raw, arrival, answer)

    def rejects_when_unavailable(self, raw: bytes) -> bool:
        return b"RETRIES" in raw


@contextmanager
def listening(take: Take, clock: FakeClock, allow: tuple[str, ...] = ()) -> Iterator[int]:
    settings = Hl7Settings("127.0.0.1", 0, ("T",), allow=allow)
    server = mllp.listen(settings, 0, _Flows(take), clock)
    port = server.start()
    try:
        yield port
    finally:
        assert server.stop(5)


def answer_to(raw: bytes, outcome: Outcome, clock: FakeClock) -> Acknowledgement:
    with listening(lambda _raw, _arrival, answer: answer(outcome, AcknowledgedBy.ACK), clock) as port:
        return read_acknowledgement(next(client.send("127.0.0.1", port, [raw], 5)))


def test_acceptance_names_the_message(clock: FakeClock) -> None:
    answer = answer_to(message(), ACCEPTED, clock)
    assert (answer.code, answer.control_id, answer.errors) == ("AA", "C&1\\", ())


def test_refusal_names_the_place(clock: FakeClock) -> None:
    answer = answer_to(message(), Outcome("AE", "PID^1^3", "101", "PatientID is missing"), clock)
    assert (answer.code, answer.text) == ("AE", "PatientID is missing")
    assert [(error.location, error.code) for error in answer.errors] == [("PID^1^3", "101")]


@pytest.mark.parametrize(
    ("accept", "application", "code", "expected"),
    [
        ("", "", "AA", "AA"),
        ("AL", "NE", "AA", "CA"),
        ("AL", "", "AE", "CE"),
        ("AL", "NE", "AR", "CR"),
        ("NE", "AL", "AA", "AA"),
        ("NE", "NE", "AE", "AE"),
        ("ER", "NE", "AE", "CE"),
        ("SU", "NE", "AA", "CA"),
        ("ER", "AL", "AA", "AA"),
    ],
)
def test_level_of_the_answer_is_the_one_asked_for(
    accept: str, application: str, code: str, expected: str, clock: FakeClock
) -> None:
    assert answer_to(message(accept, application), Outcome(code), clock).code == expected


def test_taken_message_has_its_arrival(clock: FakeClock) -> None:
    seen: list[tuple[bytes, Arrival]] = []

    def take(raw: bytes, arrival: Arrival, answer: Answer) -> bytes | None:
        seen.append((raw, arrival))
        return answer(ACCEPTED, AcknowledgedBy.ACK)

    with listening(take, clock) as port:
        list(client.send("127.0.0.1", port, [message()], 5))
    assert seen[0][0] == message()
    assert (seen[0][1].received, seen[0][1].address) == (clock.now(), "127.0.0.1")


def test_nothing_durable_means_no_answer(clock: FakeClock) -> None:
    with listening(_on_a_full_disk, clock) as port, pytest.raises(ConnectionError):
        list(client.send("127.0.0.1", port, [message()], 5))


def test_a_sender_that_only_retries_after_a_reject_gets_one_when_nothing_is_durable(clock: FakeClock) -> None:
    raw = message().replace(b"RIS", b"RETRIES")
    with listening(_on_a_full_disk, clock) as port:
        answer = read_acknowledgement(next(client.send("127.0.0.1", port, [raw], 5)))
    assert (answer.code, answer.errors[0].code) == ("AR", "207")


def test_a_warning_is_said_beside_the_acceptance(clock: FakeClock) -> None:
    answer = answer_to(message(), Outcome("AA", text="a step has begun and stays"), clock)
    assert (answer.code, answer.text, answer.errors) == ("AA", "a step has begun and stays", ())


def test_a_sender_that_asks_for_it_is_answered_order_by_order(clock: FakeClock) -> None:
    raw = message() + b"PID|||4711\rORC|NW|P1|F1\rOBR|1\r"
    with listening(lambda _raw, _arrival, answer: answer(ACCEPTED, AcknowledgedBy.ORDER), clock) as port:
        answer = next(client.send("127.0.0.1", port, [raw], 5))
    assert b"|ORR^O02|" in answer
    assert b"\rORC|OK|P1|F1" in answer


def test_only_an_allowed_address_may_connect(clock: FakeClock) -> None:
    def take(_raw: bytes, _arrival: Arrival, answer: Answer) -> bytes | None:
        return answer(ACCEPTED, AcknowledgedBy.ACK)

    with listening(take, clock, ("127.0.0.0/8",)) as port:
        assert read_acknowledgement(next(client.send("127.0.0.1", port, [message()], 5))).code == "AA"
    with listening(take, clock, ("10.1.0.0/16",)) as port, pytest.raises(ConnectionError):
        next(client.send("127.0.0.1", port, [message()], 5))


@pytest.mark.parametrize(
    ("host", "networks", "expected"),
    [
        ("10.1.2.3", ("10.1.0.0/16",), True),
        ("10.2.2.3", ("10.1.0.0/16", "127.0.0.1"), False),
        ("::ffff:10.1.2.3", ("10.1.0.0/16",), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("192.0.2.1", (), True),
    ],
)
def test_admission_knows_addresses_however_they_are_written(
    host: str, networks: tuple[str, ...], expected: bool
) -> None:
    assert mllp.admission(networks)(host) is expected


def _on_a_full_disk(_raw: bytes, _arrival: Arrival, _answer: Answer) -> bytes | None:
    raise Unavailable("the disk is full")


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [(message(kind="ACK"), ACCEPTED), (message(), NO_ANSWER), (b"hello", Outcome("AR", "", "100", ""))],
)
def test_some_messages_get_no_answer(raw: bytes, outcome: Outcome, clock: FakeClock) -> None:
    assert mllp.acknowledgement(raw, clock, outcome, AcknowledgedBy.ACK) is None


def test_batch_is_answered_by_its_own_header(clock: FakeClock) -> None:
    batch = b"FHS|^~\\&|RIS|HOSP|B|R|20260131||||F1\rMSH|^~\\&|RIS|HOSP|B|R|2026||ORM^O01|M1|P|2.3.1\r"
    answer = mllp.acknowledgement(batch, clock, Outcome("AR", "", "200", "no batches"), AcknowledgedBy.ACK)
    assert answer is not None
    assert read_acknowledgement(answer).code == "AR"
