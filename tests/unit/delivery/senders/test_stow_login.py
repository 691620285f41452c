"""Logins: what is sent, how long a token is used, and what is never said."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from broker.delivery.senders import stow_login
from broker.delivery.senders.stow_login import TokenRefused, authorization
from broker.environments.secret import Secret
from broker.environments.stow import ClientAuthentication, Login, LoginMethod
from broker.errors import Misconfigured, Unavailable

SECRET = "hunter2 ü:%"
Answer = tuple[int, bytes]


def token(value: str = "T1", **more: object) -> Answer:
    return 200, json.dumps({"access_token": value, "token_type": "Bearer", **more}).encode()


@dataclass
class Endpoint:
    """A token endpoint that answers as told, and then so again."""

    answers: list[Answer]
    asked: list[tuple[dict[str, list[str]], dict[str, str]]] = field(default_factory=list)

    def __call__(self, form: bytes, headers: dict[str, str]) -> Answer:
        self.asked.append((parse_qs(form.decode()), headers))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def nobody(_form: bytes, _headers: dict[str, str]) -> Answer:
    raise AssertionError("nobody is to be asked")


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    file = tmp_path / "secret"
    file.write_text(SECRET, encoding="utf-8")
    return Secret(file=file)


@pytest.fixture
def login(secret: Secret) -> Login:
    return Login(LoginMethod.OAUTH2, secret, "broker@site", "https://login.example/token", "dicom.write", "pacs")


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(stow_login.time, "monotonic", lambda: now[0])

    def go(seconds: float) -> None:
        now[0] += seconds

    return go


def test_a_password_is_sent_as_utf_8(secret: Secret) -> None:
    value = authorization(Login(LoginMethod.BASIC, secret, "broker"), nobody).value()
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == f"broker:{SECRET}"


def test_a_bearer_token_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc.def-123\n")
    bearer = authorization(Login(LoginMethod.BEARER, Secret(file=file)), nobody)
    assert bearer.value() == "Bearer abc.def-123"
    assert not bearer.renew("Bearer abc.def-123")
    file.write_text("newer")
    assert bearer.renew("Bearer abc.def-123")
    assert bearer.value() == "Bearer newer"


def test_a_token_with_other_characters_is_never_sent(secret: Secret) -> None:
    with pytest.raises(Misconfigured, match="has characters that no token has") as raised:
        authorization(Login(LoginMethod.BEARER, secret), nobody).value()
    assert "hunter2" not in str(raised.value)


def test_a_client_says_its_secret_in_the_header_encoded_as_a_form(login: Login) -> None:
    endpoint = Endpoint([token()])
    assert authorization(login, endpoint).value() == "Bearer T1"
    ((form, headers),) = endpoint.asked
    assert form == {"grant_type": ["client_credentials"], "scope": ["dicom.write"], "audience": ["pacs"]}
    sent = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert sent == "broker%40site:hunter2+%C3%BC%3A%25"


def test_or_in_the_body_where_the_server_wants_it_there(login: Login) -> None:
    endpoint = Endpoint([token()])
    in_body = Login(login.method, login.secret, "b", authentication=ClientAuthentication.BODY)
    authorization(in_body, endpoint).value()
    ((form, headers),) = endpoint.asked
    assert form == {"grant_type": ["client_credentials"], "client_id": ["b"], "client_secret": [SECRET]}
    assert "Authorization" not in headers


def test_a_token_is_used_until_shortly_before_its_end(login: Login, pass_time: Callable[[float], None]) -> None:
    endpoint = Endpoint([token("T1", expires_in=3600), token("T2", expires_in="600")])
    asked = authorization(login, endpoint)
    assert asked.value() == "Bearer T1"
    pass_time(3569)
    assert asked.value() == "Bearer T1"
    pass_time(2)
    assert asked.value() == "Bearer T2"
    pass_time(569)
    asked.value()
    assert len(endpoint.asked) == 2
    pass_time(2)
    asked.value()
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize(("expires_in", "seconds"), [(10, 5), (0, 0), (-5, 0), (40, 20)])
def test_a_short_lived_token_is_used_for_half_of_its_life(
    login: Login, pass_time: Callable[[float], None], expires_in: int, seconds: int
) -> None:
    endpoint = Endpoint([token(expires_in=expires_in)])
    asked = authorization(login, endpoint)
    asked.value()
    if seconds:
        pass_time(seconds - 1)
        asked.value()
        assert len(endpoint.asked) == 1
    pass_time(1)
    asked.value()
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("expires_in", [None, "soon", True, [], float("inf")])
def test_without_a_word_of_its_end_a_token_is_used_until_it_is_refused(
    login: Login, pass_time: Callable[[float], None], expires_in: object
) -> None:
    endpoint = Endpoint([token("T1", expires_in=expires_in), token("T2")])
    asked = authorization(login, endpoint)
    asked.value()
    pass_time(1e6)
    assert asked.value() == "Bearer T1"
    assert asked.renew("Bearer T1")
    assert asked.value() == "Bearer T2"
    assert asked.renew("Bearer T1")  # of another thread, which had the older one
    assert asked.value() == "Bearer T2"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, b'{"error": "invalid_client"}'), "it does not know client_id, or not with this client_secret"),
        ((400, b'{"error": "invalid_scope", "error_description": "hunter2"}'), "check scope"),
        ((400, b'{"error": "hunter2"}'), "check login and its client_secret"),
        ((403, b"<html>hunter2"), "check login and its client_secret"),
        ((404, b""), "check login and its client_secret"),
    ],
)
def test_a_refusal_is_for_a_person_and_repeats_nothing(login: Login, answer: Answer, said: str) -> None:
    with pytest.raises(TokenRefused, match=said) as raised:
        authorization(login, Endpoint([answer])).value()
    assert raised.value.is_permanent
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_endpoint_that_fails_is_asked_again(login: Login, status: int) -> None:
    asked = authorization(login, Endpoint([(status, b""), token()]))
    with pytest.raises(Unavailable, match=f"failed with HTTP {status}") as raised:
        asked.value()
    assert not isinstance(raised.value, TokenRefused)
    assert asked.value() == "Bearer T1"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"<html>", b"[" * 100_000, b'{"access_token": 3, "token_type": "Bearer"}',
     b'{"access_token": "a", "token_type": "mac"}', b'{"access_token": "a"}'],
)  # fmt: skip
def test_what_is_no_token_is_none(login: Login, body: bytes) -> None:
    with pytest.raises(Unavailable, match="gives no bearer token"):
        authorization(login, Endpoint([(200, body)])).value()


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a b", "", "ä"])
def test_a_token_cannot_smuggle_a_header(login: Login, value: str) -> None:
    with pytest.raises(Misconfigured):
        authorization(login, Endpoint([token(value)])).value()


def test_a_missing_secret_is_said_by_its_place() -> None:
    missing = Login(LoginMethod.BASIC, Secret("NO_SUCH_VARIABLE"), "b")
    with pytest.raises(Misconfigured, match=r"\$NO_SUCH_VARIABLE is not set"):
        authorization(missing, nobody).value()
