"""Connections: TLS of both sides, proxies, keeping alive, and time that runs out however slowly bytes come."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.delivery.http_answers import Cut, Unreached
from broker.delivery.senders.outcome import Answered, Unanswered
from broker.delivery.senders.stow_client import Client
from broker.delivery.senders.stow_http import Request
from broker.dimse import tls
from broker.dimse.tls import Certificates
from broker.environments.model import CallTls
from broker.environments.secret import Secret
from broker.environments.stow import Login, LoginMethod, Proxy
from broker.errors import Misconfigured, Unavailable
from tests.peers.certificates import Authority, Issued
from tests.peers.proxy import http_proxy
from tests.peers.web import Got, Reply, http, web
from tests.unit.delivery.senders.desk import Desk

KEPT = Answered(0x0000)


@dataclass(frozen=True)
class Hospital:
    authority: Authority
    stranger: Authority
    pacs: Issued
    broker: Issued


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder, "hospital")
    return Hospital(authority, Authority(folder, "stranger"), authority.issue("pacs"), authority.issue("broker"))


def secure(desk: Desk, hospital: Hospital, *, asks: bool = False) -> ssl.SSLContext:
    """Make the destination trust the hospital, and return the context of a server in it."""
    desk.tls = CallTls(None, None, hospital.authority.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(hospital.pacs.certificate, hospital.pacs.key)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(hospital.authority.certificate)
    return context


# --- TLS ---------------------------------------------------------------------------------------------------------


def test_it_is_sent_over_tls_to_whom_we_trust(desk: Desk, hospital: Hospital) -> None:
    desk.owe_all("1.1", "1.2")
    with web(secure(desk, hospital)) as server:
        desk.url = server.url
        assert desk.send() == {"1.1": KEPT, "1.2": KEPT}


def test_nothing_is_sent_to_a_server_that_we_do_not_trust(desk: Desk, hospital: Hospital) -> None:
    desk.owe("1.1")
    with web(secure(desk, hospital)) as server:
        desk.url = server.url
        for trusted in (hospital.stranger.certificate, None):
            desk.tls = CallTls(None, None, trusted)
            with pytest.raises(Unreached, match="its certificate is not trusted"):
                desk.send()
        assert server.got == []
        server.failures.clear()


def test_the_name_is_checked_unless_the_profile_says_otherwise(desk: Desk, hospital: Hospital) -> None:
    desk.owe("1.1")
    with web(secure(desk, hospital)) as server:
        desk.url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unreached, match="checks_host = false"):
            desk.send()
        desk.tls = CallTls(None, None, hospital.authority.certificate, checks_host=False)
        assert desk.send() == {"1.1": KEPT}


def test_we_show_our_certificate_where_it_is_asked_for(desk: Desk, hospital: Hospital) -> None:
    desk.owe("1.1")
    with web(secure(desk, hospital, asks=True)) as server:
        desk.url = server.url
        with pytest.raises(Unreached, match="give `certificate` and `key`"):
            desk.send()
        own = hospital.broker
        desk.tls = CallTls(own.certificate, own.key, hospital.authority.certificate)
        assert desk.send() == {"1.1": KEPT}


def test_a_renewed_certificate_is_shown_with_the_next_connection(
    desk: Desk, hospital: Hospital, tmp_path: Path
) -> None:
    own = Issued(tmp_path / "own.pem", tmp_path / "own.key")
    first, second = hospital.stranger.issue("broker"), hospital.broker
    own.certificate.write_bytes(first.certificate.read_bytes())
    own.key.write_bytes(first.key.read_bytes())
    desk.owe("1.1")
    with web(secure(desk, hospital, asks=True)) as server:
        desk.url = server.url
        desk.tls = CallTls(own.certificate, own.key, hospital.authority.certificate)
        way = desk.way
        assert way.stow is not None
        with pytest.raises(Unreached, match="it does not take our certificate"):
            way.stow.search("/studies", {})
        own.replace(second)
        assert way.stow.search("/studies", {}).status == 200


def test_tls_on_one_side_only_is_said(desk: Desk) -> None:
    desk.owe("1.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_answer_plain, args=(listener,))
        answering.start()
        desk.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unreached, match="does not speak TLS on this port"):
            desk.send()
        answering.join(10)


def _answer_plain(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(http(400))


# --- proxies -----------------------------------------------------------------------------------------------------


def test_it_goes_through_the_proxy_and_logs_in_there_alone(desk: Desk, hospital: Hospital, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pass")
    desk.owe("1.1")
    with web(secure(desk, hospital)) as server, http_proxy("broker:pass") as proxy:
        desk.url = server.url
        desk.settings = replace(
            desk.settings, proxy=Proxy(proxy.url, "broker", Secret(file=tmp_path / "secret")), login=basic(tmp_path)
        )
        assert desk.send() == {"1.1": KEPT}
        assert proxy.got == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"]
        assert "proxy-authorization" not in server.got[0].headers
        assert server.got[0].headers["authorization"].startswith("Basic ")


def test_a_plain_server_is_reached_through_a_proxy_too(desk: Desk) -> None:
    desk.owe("1.1")
    with http_proxy() as proxy:
        desk.settings = replace(desk.settings, proxy=Proxy(proxy.url))
        assert desk.send() == {"1.1": KEPT}
        assert proxy.got[0].startswith(f"POST {desk.web.url}/studies")


def test_a_proxy_s_refusal_and_absence_are_said_as_its_own(desk: Desk, hospital: Hospital) -> None:
    desk.owe("1.1")
    desk.url = "https://127.0.0.1:1/"
    with http_proxy("broker:pass") as proxy:
        desk.settings = replace(desk.settings, proxy=Proxy(proxy.url))
        with pytest.raises(Unreached, match=r"the proxy did not connect us to 127\.0\.0\.1:1: it answered 407"):
            desk.send()
    with pytest.raises(Unreached, match=f"the proxy: 127.0.0.1:{proxy.port}: .*nothing listens"):
        desk.send()


def test_nothing_is_taken_from_the_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    desk.owe("1.1")
    assert desk.send() == {"1.1": KEPT}
    assert "authorization" not in desk.web.got[0].headers


# --- logins ------------------------------------------------------------------------------------------------------


def basic(folder: Path) -> Login:
    file = folder / "password"
    file.write_text("hunter2")
    return Login(LoginMethod.BASIC, Secret(file=file), "broker")


def test_a_redirect_is_not_followed_and_no_login_goes_elsewhere(desk: Desk, tmp_path: Path) -> None:
    desk.owe("1.1")
    desk.settings = replace(desk.settings, login=basic(tmp_path))
    with web() as other:
        desk.web.answer = lambda _got: http(307, Location=f"{other.url}/studies")
        with pytest.raises(Unavailable, match="HTTP 307: it redirects"):
            desk.send()
        assert other.got == []


def test_a_secret_that_is_missing_is_said_before_anybody_is_called(desk: Desk) -> None:
    desk.settings = replace(desk.settings, login=Login(LoginMethod.BASIC, Secret("NO_SUCH_VARIABLE"), "b"))
    with pytest.raises(Misconfigured, match="NO_SUCH_VARIABLE is not set"):
        _ = desk.way


def test_a_password_that_is_replaced_is_used_at_once(desk: Desk, tmp_path: Path) -> None:
    desk.settings = replace(desk.settings, login=basic(tmp_path))
    seen: list[str] = []

    def reply(got: Got) -> Reply | None:
        seen.append(got.headers["authorization"])
        if len(seen) == 1:
            (tmp_path / "password").write_text("newer")
            return http(401)
        return None

    desk.web.answer = reply
    desk.owe("1.1")
    assert desk.send() == {"1.1": KEPT}
    assert len(set(seen)) == 2


@pytest.fixture
def tokens(desk: Desk, tmp_path: Path) -> Iterator[list[str]]:
    """A token endpoint that gives T1, T2, … and a server that takes the tokens of this list."""
    (tmp_path / "secret").write_text("hunter2")
    taken = ["Bearer T1"]
    with web() as endpoint:
        endpoint.answer = lambda _got: http(
            200, f'{{"access_token": "T{len(endpoint.got)}", "token_type": "bearer", "expires_in": 3600}}'.encode()
        )
        secret = Secret(file=tmp_path / "secret")
        login = Login(LoginMethod.OAUTH2, secret, "broker", f"http://127.0.0.1:{endpoint.port}/token")
        desk.settings = replace(desk.settings, login=login)
        desk.web.answer = lambda got: None if got.headers["authorization"] in taken else http(401)
        yield taken


def test_one_token_serves_all_requests_and_a_refused_one_is_replaced_once(desk: Desk, tokens: list[str]) -> None:
    desk.owe_all("1.1", "1.2", "1.3")
    assert desk.send(batch_instances=1) == dict.fromkeys(("1.1", "1.2", "1.3"), KEPT)
    assert {got.headers["authorization"] for got in desk.web.got} == {"Bearer T1"}
    desk.web.got.clear()
    tokens[:] = ["Bearer T3"]
    assert desk.send(batch_instances=1) == dict.fromkeys(("1.1", "1.2", "1.3"), KEPT)
    assert [got.headers["authorization"] for got in desk.web.got] == ["Bearer T2"] + ["Bearer T3"] * 3


def test_a_token_that_is_never_taken_is_asked_for_no_more_than_twice(desk: Desk, tokens: list[str]) -> None:
    desk.owe("1.1")
    tokens.clear()
    with pytest.raises(Unavailable, match="HTTP 401: it does not take our login"):
        desk.send()
    assert [got.headers["authorization"] for got in desk.web.got] == ["Bearer T1", "Bearer T2"]


# --- time --------------------------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[Client]:
    contexts = tls.client(Certificates(None, None))
    made = Client(0.5, contexts, lambda: None)
    yield made
    made.close()


def dripping(reply: bytes, seconds: float) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        for byte in reply:
            connection.sendall(bytes([byte]))
            time.sleep(seconds)

    return drip


@pytest.mark.parametrize("begins_at", [0, 60])
def test_an_answer_byte_by_byte_is_cut_when_its_time_is_over(desk: Desk, client: Client, begins_at: int) -> None:
    answer = http(200, b"x" * 1000, Padding="p" * 1000)

    def reply(connection: socket.socket) -> None:
        connection.sendall(answer[:begins_at])
        dripping(answer[begins_at:], 0.02)(connection)

    desk.web.answer = lambda _got: reply
    begun = time.monotonic()
    with pytest.raises(Cut, match="gave no answer in time"):
        client.exchange(Request("POST", desk.web.url, content=[b"a", b"b"], length=2))
    assert time.monotonic() - begun < 5


def test_a_body_byte_by_byte_is_not_whole(desk: Desk, client: Client) -> None:
    answer = http(200, b"x" * 1000)
    head = answer.index(b"\r\n\r\n") + 4

    def reply(connection: socket.socket) -> None:
        connection.sendall(answer[:head])
        dripping(answer[head:], 0.02)(connection)

    desk.web.answer = lambda _got: reply
    begun = time.monotonic()
    answered = client.exchange(Request("POST", desk.web.url, content=[b"a"], length=1))
    assert (answered.status, answered.is_whole) == (200, False)
    assert time.monotonic() - begun < 5


def test_a_server_that_reads_nothing_is_cut(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(Cut):
            client.exchange(Request("POST", url, content=iter([bytes(65536)] * 1000), length=65536 * 1000))


def test_a_request_that_goes_on_takes_its_time(desk: Desk, client: Client) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.2)
            yield b"x"

    desk.web.answer = lambda _got: http(200)
    assert client.exchange(Request("POST", desk.web.url, content=slowly(), length=8)).status == 200


def test_no_watch_is_left_behind(desk: Desk, client: Client) -> None:
    desk.web.answer = lambda _got: http(200)
    before = threading.active_count()
    for _ in range(20):
        client.exchange(Request("GET", desk.web.url))
    assert threading.active_count() <= before + 1  # the server's thread of the one connection
    assert {got.connection for got in desk.web.got} == {0}


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(desk: Desk, client: Client) -> None:
    desk.web.answer = lambda _got: http(200, Connection="close")
    for _ in range(3):
        assert client.exchange(Request("GET", desk.web.url)).status == 200
    assert [got.connection for got in desk.web.got] == [0, 1, 2]


def test_threads_have_a_connection_each(desk: Desk, client: Client) -> None:
    together = threading.Barrier(3, timeout=10)

    def reply(_got: Got) -> Reply:
        together.wait()
        return http(200)

    desk.web.answer = reply
    threads = [threading.Thread(target=client.exchange, args=(Request("GET", desk.web.url),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(got.connection for got in desk.web.got) == [0, 1, 2]


def test_a_slow_answer_to_an_instance_is_unknown(desk: Desk) -> None:
    desk.owe("1.1")
    desk.web.answer = lambda _got: lambda _connection: time.sleep(1.5)
    (outcome,) = desk.send(timeout_seconds=1).values()
    assert isinstance(outcome, Unanswered)
    assert "no answer in time" in str(outcome.error)
