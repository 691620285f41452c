"""A DICOMweb server as one destination describes it: its client, our login, what is remembered of it.

Built by the composition root; httpx is loaded with the first call, so that no other process pays for it.
"""

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from broker.delivery.http_answers import HttpRefused
from broker.delivery.senders.stow_body import Body
from broker.delivery.senders.stow_http import HttpAnswer, ProxyServer, Request
from broker.delivery.senders.stow_login import authorization
from broker.delivery.senders.stow_response import LONGEST
from broker.dimse import tls
from broker.dimse.tls import Certificates
from broker.environments.model import Destination
from broker.environments.stow import Login, Proxy, StowSettings
from broker.errors import Misconfigured

if TYPE_CHECKING:
    from broker.delivery.senders.stow_client import Client

JSON = "application/dicom+json"
XML = "application/dicom+xml"
_MEGABYTE = 1_000_000


MakeContext = Callable[[], ssl.SSLContext]
Pace = Callable[[bytes], Iterator[memoryview]]


class StowPeer:
    """Whom we call, and how. For several threads."""

    def __init__(self, destination: Destination) -> None:
        """Check certificates and secrets; call nobody. Raises Misconfigured."""
        self.name = destination.name
        self.url = destination.url
        self.settings = destination.stow or StowSettings()
        self._context = _contexts(destination)
        self._any = tls.client(Certificates(None, None)) if self.settings.proxy else None
        login = self.settings.login
        self._login = None if login is None else authorization(login, self._ask_for_token)
        self._token_context = None if login is None else _token_contexts(login)
        for secret in self.settings.secrets:
            secret.read()
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._accepts = JSON
        self.transcodes = destination.transcode
        self.most_bytes = self.settings.batch_megabytes * _MEGABYTE
        self.pace: Pace | None = None  # gives pieces of what is stored when the line has room for them

    def store(self, body: Body) -> HttpAnswer:
        """Store instances (PS3.18 10.5). Raises Unreached or Cut where no answer comes; an answer is not judged."""
        headers = {"Content-Type": body.content_type, "Accept": self._accepts}
        answer = self._called("POST", f"{self.url}/studies", headers, body)
        if answer.status != 406:
            return answer
        # It does not write the one form; it may write the other (PS3.18 10.5.3.2).
        self._accepts = XML if headers["Accept"] == JSON else JSON
        return self._called("POST", f"{self.url}/studies", {**headers, "Accept": self._accepts}, body)

    def search(self, path: str, keys: Mapping[str, str]) -> HttpAnswer:
        """Search by QIDO-RS (PS3.18 10.6) below the base URL. Raises likewise."""
        return self._called("GET", f"{self.url}{path}?{urlencode(keys)}", {"Accept": JSON}, None)

    def close(self) -> None:
        """End its connections."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def note_too_large(self, size: int) -> None:
        """Remember that a request of so many bytes was too large for it, so that the next ones are smaller."""
        self.most_bytes = max(min(self.most_bytes, size // 2), _MEGABYTE)

    def _called(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> HttpAnswer:
        """Call; once more with another login after 401."""
        answer, used = self._call(method, url, headers, body)
        if answer.status == 401 and self._login is not None and self._login.renew(used):
            answer, _ = self._call(method, url, headers, body)
        return answer

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> tuple[HttpAnswer, str]:
        used = self._login.value() if self._login is not None else ""
        own = {"Authorization": used} if used else {}
        length = body.length if body is not None else 0
        request = Request(method, url, {**headers, **own}, self._paced(body), length, LONGEST)
        return self._client("destination", self._context).exchange(request), used

    def _paced(self, body: Body | None) -> Iterable[bytes]:
        if body is None or self.pace is None:
            return body or ()
        pace = self.pace
        return (bytes(piece) for ready in body for piece in pace(ready))

    def _ask_for_token(self, form: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        login, context = self.settings.login, self._token_context
        if login is None or context is None:
            raise Misconfigured(f"destination {self.name!r} has no login")
        request = Request("POST", login.token_url, headers, (form,), len(form))
        answer = self._client("token", context).exchange(request)
        return answer.status, answer.body if answer.is_whole else b""

    def _client(self, use: str, context: MakeContext) -> "Client":
        from broker.delivery.senders.stow_client import Client  # noqa: PLC0415 - see above

        with self._lock:
            if use not in self._clients:
                self._clients[use] = Client(float(self.settings.timeout_seconds), context, self._proxy)
            return self._clients[use]

    def _proxy(self) -> ProxyServer | None:
        asked: Proxy | None = self.settings.proxy
        if asked is None or self._any is None:
            return None
        credentials = (asked.user, asked.password.read()) if asked.password is not None else None
        return ProxyServer(asked.url, credentials, self._any())


def refusal(answer: HttpAnswer) -> HttpRefused:
    """Return the error of an answer that speaks of the destination, with how long it asks us to wait."""
    return HttpRefused(answer.status, retry_after(answer.headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After (RFC 9110 10.2.3), a date of it by the server's own clock."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError):
        return None


def _contexts(destination: Destination) -> MakeContext:
    if destination.url.startswith("http://"):
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no issuer, which takes a moment less to make
        return lambda: nobody
    asked = destination.tls
    if asked is None:
        return tls.client(Certificates(None, None))
    return tls.client(Certificates(asked.certificate, asked.key, asked.trusted), asked.checks_host)


def _token_contexts(login: Login) -> MakeContext:
    return tls.client(Certificates(None, None, login.trusted))
