"""The keys of a destination that is reached by STOW-RS: where, with which login, through which proxy. Calls nobody."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from broker.environments.reading import TomlTable
from broker.environments.secret import Secret, read_secret

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class LoginMethod(StrEnum):
    """How a destination knows us, beside our certificate."""

    BASIC = "basic"  # RFC 7617
    BEARER = "bearer"  # RFC 6750, a token that somebody gives us
    OAUTH2 = "oauth2"  # RFC 6749 4.4, client credentials


class ClientAuthentication(StrEnum):
    """Where the token endpoint is told the client's secret (RFC 6749 2.3.1)."""

    HEADER = "header"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Login:
    """How we log in. Which of the others are set depends on the method; `secret` is its password, token or key."""

    method: LoginMethod
    secret: Secret
    user: str = ""  # of basic; the client identifier of oauth2
    token_url: str = ""
    scope: str = ""
    audience: str = ""
    authentication: ClientAuthentication = ClientAuthentication.HEADER
    trusted: Path | None = None  # who issues the token endpoint's certificate; None: whom the system trusts


@dataclass(frozen=True, slots=True)
class Proxy:
    """What our calls go through: a URL without credentials."""

    url: str
    user: str = ""
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class StowSettings:
    """How instances are stored by STOW-RS. A request has at most so many instances and, unless it has one, so many MB.

    `timeout_seconds` is without progress: for each piece that is sent, and for the answer.
    """

    login: Login | None = None
    proxy: Proxy | None = None
    batch_instances: int = 20
    batch_megabytes: int = 100
    timeout_seconds: int = 60

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that is needed."""
        login = (self.login.secret,) if self.login else ()
        proxy = (self.proxy.password,) if self.proxy and self.proxy.password else ()
        return (*login, *proxy)


_DEFAULT = StowSettings()


def read_base_url(table: TomlTable) -> str:
    """Return `url`, to which `/studies` is added; note each mistake."""
    text = table.text("url")
    parts = _checked(table, "url", text)
    if parts is None:
        return ""
    path = parts.path.rstrip("/")
    if path.endswith("/studies"):
        table.wrong("url", "must be the base, without /studies")
    return f"{parts.scheme}://{parts.netloc}{path}"


def read_stow(table: TomlTable, url: str, file: Path) -> StowSettings:
    """Return the further keys of a destination at `url`; note each mistake."""
    settings = StowSettings(
        login=_login(table.table("login"), file) if _has(table, "login") else None,
        proxy=_proxy(table.table("proxy"), file) if _has(table, "proxy") else None,
        batch_instances=table.integer("batch_instances", 1, 50, _DEFAULT.batch_instances),
        batch_megabytes=table.integer("batch_megabytes", 1, 4096, _DEFAULT.batch_megabytes),
        timeout_seconds=table.integer("timeout_seconds", 5, 3600, _DEFAULT.timeout_seconds),
    )
    if table.has("login") and _is_in_clear(url):
        table.wrong("url", "must begin with https://: over http the login would be sent in clear")
    return settings


def _has(table: TomlTable, key: str) -> bool:
    """Tell whether there is such a table; where not, it is asked for, so that a misspelt key is told of it."""
    if not table.has(key):
        table.table(key, required=False)
    return table.has(key)


def _login(table: TomlTable, file: Path) -> Login | None:
    method = table.choice("method", LoginMethod)
    if method is None:
        return None  # which keys belong here is not known
    login = _LOGINS[method](table, file)
    table.finish()
    return login


def _basic(table: TomlTable, file: Path) -> Login:
    user = table.text("user")
    if ":" in user:
        table.wrong("user", "must not have a colon (RFC 7617)")
    return Login(LoginMethod.BASIC, read_secret(table, "password", file), user)


def _bearer(table: TomlTable, file: Path) -> Login:
    return Login(LoginMethod.BEARER, read_secret(table, "token", file))


def _oauth2(table: TomlTable, file: Path) -> Login:
    token_url = table.text("token_url")
    if _checked(table, "token_url", token_url) is not None and _is_in_clear(token_url):
        table.wrong("token_url", "must begin with https://: over http the client_secret would be sent in clear")
    trusted = table.text("trusted", "")
    default = ClientAuthentication.HEADER
    return Login(
        LoginMethod.OAUTH2,
        read_secret(table, "client_secret", file),
        user=table.text("client_id"),
        token_url=token_url,
        scope=table.text("scope", ""),
        audience=table.text("audience", ""),
        authentication=table.choice("client_authentication", ClientAuthentication, default) or default,
        trusted=file.parent / trusted if trusted else None,
    )


_LOGINS = {LoginMethod.BASIC: _basic, LoginMethod.BEARER: _bearer, LoginMethod.OAUTH2: _oauth2}


def _proxy(table: TomlTable, file: Path) -> Proxy:
    url = table.text("url")
    parts = _checked(table, "url", url)
    if parts is not None and parts.path not in ("", "/"):
        table.wrong("url", "a proxy has no path")
    user = table.text("user", "")
    if table.has("password") and not user:
        table.wrong("user", "is missing: password is there")
    password = read_secret(table, "password", file) if _has(table, "password") else None
    if user and password is None:
        table.wrong("password", "is missing: user is there")
    table.finish()
    return Proxy(url, user, password)


def _checked(table: TomlTable, key: str, text: str) -> SplitResult | None:
    """Return the parts of an absolute http(s) URL that carries nothing secret; note a mistake."""
    parts = _split(text)
    reason = _what_is_wrong(parts)
    if text and reason:
        table.wrong(key, reason)  # its text is not repeated: there may be a password in it
    return parts if text and not reason else None


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts if _VISIBLE.fullmatch(text) else None


def _what_is_wrong(parts: SplitResult | None) -> str:
    if parts is None or parts.scheme not in ("http", "https"):
        return "must begin with https:// or http://"
    if "@" in parts.netloc:
        return "must not have a user or password: give them as login or user"
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        return "names no host"
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        return "must not have a query or a fragment, and no character that must be escaped"
    return ""


def _is_in_clear(url: str) -> bool:
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK
