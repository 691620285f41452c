"""TLS on the HL7 port (H17): who is let in, and what becomes of those who are not."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from hl7.client import Sender
from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from hl7.server import Limits
from tests.peers.certificates import Authority, Issued
from tests.wire.hl7.listener import WAIT, Listening, answers, is_closed, listening, order


@dataclass(frozen=True)
class Hospital:
    """Its authority, another one, and what they issued."""

    ours: Authority
    strangers: Authority
    broker: Issued
    ris: Issued
    stranger: Issued

    def listener(self, required: bool = True) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.broker.certificate, self.broker.key)
        if required:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ours.certificate)
        return context

    def caller(self, trusted: Authority | None = None, shown: Issued | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations((trusted or self.ours).certificate)
        if shown:
            context.load_cert_chain(shown.certificate, shown.key)
        return context


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder: Path = tmp_path_factory.mktemp("tls")
    ours, strangers = Authority(folder, "ours"), Authority(folder, "strangers")
    return Hospital(ours, strangers, ours.issue("broker"), ours.issue("ris"), strangers.issue("stranger"))


@pytest.fixture
def listener(hospital: Hospital) -> Iterator[Listening]:
    with listening(tls=hospital.listener) as running:
        yield running


def is_served(listener: Listening, context: ssl.SSLContext) -> bool:
    with Sender("127.0.0.1", listener.port, WAIT, context) as sender:
        return read_acknowledgement(sender.exchange(order("7"))).control_id == "7"


def test_sender_with_a_certificate_of_ours_is_served_on_one_connection(hospital: Hospital, listener: Listening) -> None:
    with Sender("127.0.0.1", listener.port, WAIT, lambda: hospital.caller(shown=hospital.ris)) as sender:
        for number in range(50):
            assert read_acknowledgement(sender.exchange(order(str(number)))).control_id == str(number)
    listener.await_that(lambda: listener.why() == ["the peer closed"])
    assert listener.count("mllp.opened") == listener.count("mllp.secured") == 1


def test_frame_of_megabytes_passes(hospital: Hospital, listener: Listening) -> None:
    with Sender("127.0.0.1", listener.port, WAIT, hospital.caller(shown=hospital.ris)) as sender:
        sender.exchange(order("1") + b"NTE|1||" + b"x" * 3_000_000 + b"\r")
    assert len(listener.taken[0]) > 3_000_000


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(lambda h: h.caller(), id="no certificate"),
        pytest.param(lambda h: h.caller(shown=h.stranger), id="a certificate of strangers"),
    ],
)
def test_caller_without_a_certificate_of_ours_is_not_served(
    hospital: Hospital, listener: Listening, context: Callable[[Hospital], ssl.SSLContext]
) -> None:
    with pytest.raises(OSError, match=r"alert|reset|closed|EOF|pipe"):
        is_served(listener, context(hospital))
    listener.await_that(lambda: len(listener.why()) == 1)
    assert str(listener.why()[0]).startswith("no TLS: ")
    assert listener.taken == []
    assert is_served(listener, hospital.caller(shown=hospital.ris))


def test_caller_that_trusts_others_does_not_talk_to_us(hospital: Hospital, listener: Listening) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        is_served(listener, hospital.caller(trusted=hospital.strangers, shown=hospital.ris))
    assert listener.taken == []


def test_where_none_is_asked_for_no_certificate_is_needed(hospital: Hospital) -> None:
    with listening(tls=lambda: hospital.listener(required=False)) as running:
        assert is_served(running, hospital.caller())


def test_plain_text_on_the_tls_port_is_closed_at_once(hospital: Hospital, listener: Listening) -> None:
    with listener.connect() as connection:
        connection.sendall(frame(order("1")))
        assert is_closed(connection)
    listener.await_that(lambda: len(listener.why()) == 1)
    assert str(listener.why()[0]).startswith("no TLS: ")
    assert is_served(listener, hospital.caller(shown=hospital.ris))


def test_tls_on_the_plain_port_is_closed_at_once(hospital: Hospital) -> None:
    with listening() as running:
        began = monotonic()
        with pytest.raises(OSError, match=r"EOF|reset|closed"):
            is_served(running, hospital.caller(shown=hospital.ris))
        assert monotonic() - began < 5
        running.await_that(lambda: running.why() == ["TLS on the port without TLS"])


def test_old_tls_is_refused(hospital: Hospital, listener: Listening) -> None:
    old = hospital.caller(shown=hospital.ris)
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"."):
        is_served(listener, old)
    assert listener.taken == []


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_handshake_that_does_not_end_is_given_up_and_delays_nobody(hospital: Hospital, sent: bytes) -> None:
    with listening(Limits(handshake=1.5), tls=hospital.listener) as running, running.connect() as connection:
        connection.sendall(sent)
        assert is_served(running, hospital.caller(shown=hospital.ris))
        assert is_closed(connection)
        running.await_that(lambda: running.why() == ["the peer closed", "the TLS handshake took too long"])


def test_stop_answers_what_came_whole_over_tls(hospital: Hospital, listener: Listening) -> None:
    plain = listener.connect()
    with hospital.caller(shown=hospital.ris).wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(frame(order("1")) + frame(order("2")) + b"\x0bMSH|half")
        listener.await_that(lambda: len(listener.taken) == 2)
        assert listener.server.stop(WAIT)
        assert [read_acknowledgement(answer).control_id for answer in answers(connection, 2)] == ["1", "2"]
        assert connection.recv(1) == b""


def test_renewed_context_is_used_for_the_next_connection(hospital: Hospital) -> None:
    asked: list[ssl.SSLContext] = []

    def contexts() -> ssl.SSLContext:
        asked.append(hospital.listener(required=bool(asked)))
        return asked[-1]

    with listening(tls=contexts) as running:
        assert is_served(running, hospital.caller())
        with pytest.raises(OSError, match=r"."):
            is_served(running, hospital.caller())
    assert len(asked) == 2


def test_context_that_cannot_be_had_costs_its_connection_only() -> None:
    def contexts() -> ssl.SSLContext:
        raise OSError("renewal in progress")

    with listening(tls=contexts) as running:
        for _ in range(2):
            with running.connect() as connection:
                assert is_closed(connection)
        running.await_that(lambda: len(running.why()) == 2)
        with socket.create_connection(("127.0.0.1", running.port), WAIT):
            pass
