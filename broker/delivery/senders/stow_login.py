"""How we log in to a STOW-RS destination: the value of Authorization. Holds an OAuth2 token, and tells it to nobody."""

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus, urlencode

from broker.delivery.http_answers import HttpRefused, Kind, rule
from broker.environments.stow import ClientAuthentication, Login, LoginMethod
from broker.errors import Misconfigured, Unavailable

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750 2.1
_EARLY_SECONDS = 30.0  # before its end a token is replaced: a request takes its time
_ERRORS = {  # RFC 6749 5.2
    "invalid_request": "it finds the request malformed: check token_url, scope and audience",
    "invalid_client": "it does not know client_id, or not with this client_secret",
    "invalid_grant": "it does not grant it",
    "unauthorized_client": "this client may not use client credentials: allow it there",
    "unsupported_grant_type": "it does not offer client credentials",
    "invalid_scope": "it does not grant this scope: check scope",
}

Exchange = Callable[[bytes, dict[str, str]], tuple[int, bytes]]
"""Posts a form to the token endpoint, with these headers; returns status and body. Raises Unavailable."""


class Authorization(Protocol):
    """Gives the value of the Authorization header."""

    def value(self) -> str:
        """Return it. Raises Misconfigured for a secret that is missing, Unavailable where none is to be had."""
        ...

    def renew(self, refused: str) -> bool:
        """Take note that this value was answered with 401; tell whether there may be a better one."""
        ...


def authorization(login: Login, exchange: Exchange) -> Authorization:
    """Return what logs in as the profile says. `exchange` is used for OAuth2 alone."""
    if login.method is LoginMethod.OAUTH2:
        return _ClientCredentials(login, exchange)
    return _Fixed(_basic if login.method is LoginMethod.BASIC else _bearer, login)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A password or token that somebody else replaces."""

    make: Callable[[Login], str]
    login: Login

    def value(self) -> str:
        return self.make(self.login)

    def renew(self, refused: str) -> bool:
        return self.value() != refused  # its file was replaced just now


def _basic(login: Login) -> str:
    return f"Basic {_base64(f'{login.user}:{login.secret.read()}')}"


def _bearer(login: Login) -> str:
    return f"Bearer {_checked_token(login.secret.read(), f'the secret {login.secret.place}')}"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    ends: float  # by time.monotonic


class _ClientCredentials:
    """OAuth2 client credentials (RFC 6749 4.4): a token is asked for, used until its end, and replaced."""

    def __init__(self, login: Login, exchange: Exchange) -> None:
        self._login = login
        self._exchange = exchange
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def value(self) -> str:
        with self._lock:
            if self._token is None or time.monotonic() >= self._token.ends:
                self._token = None
                self._token = self._asked()
            return self._token.value

    def renew(self, refused: str) -> bool:
        with self._lock:
            if self._token is not None and self._token.value == refused:
                self._token = None
        return True

    def _asked(self) -> _Token:
        asked = time.monotonic()
        status, body = self._exchange(*self._form())
        if status != 200:
            raise _refusal(status, _document(body))
        document = _document(body)
        token, kind = document.get("access_token"), document.get("token_type")
        if not isinstance(token, str) or not isinstance(kind, str) or kind.lower() != "bearer":
            raise Unavailable("the token endpoint gives no bearer token: check token_url")
        value = f"Bearer {_checked_token(token, 'the token of the token endpoint')}"
        return _Token(value, asked + _lifetime(document.get("expires_in")))

    def _form(self) -> tuple[bytes, dict[str, str]]:
        login, secret = self._login, self._login.secret.read()
        form = {"grant_type": "client_credentials", "scope": login.scope, "audience": login.audience}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if login.authentication is ClientAuthentication.BODY:
            form |= {"client_id": login.user, "client_secret": secret}
        else:
            # Both are encoded as a form first (RFC 6749 2.3.1).
            headers["Authorization"] = f"Basic {_base64(f'{quote_plus(login.user)}:{quote_plus(secret)}')}"
        return urlencode({key: value for key, value in form.items() if value}).encode(), headers


def _refusal(status: int, document: dict[str, object]) -> Unavailable:
    """Return what a refusal means; of the endpoint's own words only those that the standard names are repeated."""
    error = document.get("error")
    if isinstance(error, str) and error in _ERRORS:
        return TokenRefused(status, f"the token endpoint refuses: {_ERRORS[error]} ({error})")
    if rule(status).kind in (Kind.UNKNOWN, Kind.LATER):
        return Unavailable(f"the token endpoint failed with HTTP {status}")
    return TokenRefused(status, "the token endpoint refuses: check login and its client_secret")


class TokenRefused(HttpRefused):
    """The token endpoint gives us no token until a person changes something."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, None, text)
        self.is_permanent = True


def _document(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lifetime(expires_in: object) -> float:
    """Return for how many seconds a token is used; without a word it is used until it is refused."""
    if isinstance(expires_in, str) and expires_in.isdecimal():
        expires_in = int(expires_in[:9])
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return float("inf")
    seconds = float(expires_in)
    return max(seconds - min(_EARLY_SECONDS, seconds / 2), 0.0)


def _checked_token(token: str, what: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise Misconfigured(f"{what} has characters that no token has (RFC 6750 2.1)")
    return token


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
