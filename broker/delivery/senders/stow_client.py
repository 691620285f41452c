"""HTTP/1.1 to one server: the only user of httpx. Knows neither DICOM nor logins, and never repeats what it stores.

No redirect is followed and nothing is taken from the environment (proxies, .netrc): a login goes where the profile
says, and nowhere else.
"""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from broker.delivery.http_answers import Cut, Unreached
from broker.delivery.senders.stow_http import HttpAnswer, ProxyServer, Request
from broker.dimse import causes
from broker.dimse.service import Peer
from broker.errors import Unavailable

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 5.0  # a connection that has been idle longer is not used again
_LOOK_SECONDS = 1.0  # how often is looked whether time has run out
_AGENT = "modality-broker"

# One line a request with its URL, which names instances: ours say what became of them.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

MakeContext = Callable[[], ssl.SSLContext]


class Client:
    """Keeps connections to a server as long as they are busy. For several threads, each with a connection of its own.

    `seconds` is how long each piece may take to be sent, and the whole answer to come.
    """

    def __init__(self, seconds: float, context: MakeContext, proxy: Callable[[], ProxyServer | None]) -> None:
        self._seconds = seconds
        self._context = context
        self._proxy = proxy
        self._lock = threading.Lock()
        self._idle: list[_Line] = []

    def exchange(self, request: Request) -> HttpAnswer:
        """Send a request and return the answer. Raises Unreached, Cut, and whatever `content` raises.

        A question over a connection that the server was just closing is put once more over another.
        """
        with self._line() as line:
            was_used = line.is_used
            try:
                return line.exchange(request)
            except Cut:
                if request.method != "GET" or not was_used:
                    raise
            return line.exchange(request)

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.close()

    @contextmanager
    def _line(self) -> Iterator["_Line"]:
        """Lend a line that nobody uses; certificates and secrets that were replaced take effect with a new one."""
        key = (self._context(), self._proxy())
        with self._lock:
            fitting = [line for line in self._idle if line.key == key]
            stale = [line for line in self._idle if line.key != key]
            line = fitting.pop() if fitting else _Line(key, self._seconds)
            self._idle = fitting
        for each in stale:
            each.close()
        try:
            yield line
        finally:
            with self._lock:
                self._idle.append(line)


class _Line:
    """One connection at most."""

    def __init__(self, key: tuple[ssl.SSLContext, ProxyServer | None], seconds: float) -> None:
        self.key = key
        self._seconds = seconds
        context, proxy = key
        self._http = httpx.Client(
            verify=context,
            proxy=None if proxy is None else _httpx_proxy(proxy),
            timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=_IDLE_SECONDS),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"},
        )
        self._socket: socket.socket | None = None
        self.is_used = False

    def close(self) -> None:
        self._http.close()

    def exchange(self, request: Request) -> HttpAnswer:
        url = httpx.URL(request.url)
        with _Watch(self._seconds, self._cut) as watch:
            try:
                return self._exchanged(request, url, watch)
            except httpx.HTTPError as error:
                proxy = self.key[1]
                if proxy is not None and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise _through_proxy(error, url, httpx.URL(proxy.url)) from None
                raise _meaning(error, url, watch.has_cut) from _cause(error)

    def _exchanged(self, request: Request, url: httpx.URL, watch: "_Watch") -> HttpAnswer:
        content = watch.over(request.content) if request.length else None
        length = {"Content-Length": str(request.length)} if request.length else {}
        sent = self._http.build_request(
            request.method,
            url,
            content=content,
            headers={**request.headers, **length},
            extensions={"trace": self._note},
        )
        response = self._http.send(sent, stream=True)
        try:
            body, is_whole = _read(response, request.longest_answer)
        finally:
            response.close()
        self.is_used = True
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpAnswer(response.status_code, headers, body, is_whole)

    def _note(self, event: str, details: Mapping[str, Any]) -> None:
        # The one way that httpcore offers to know the socket before there is an answer.
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = details["return_value"].get_extra_info("socket")

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it has ended meanwhile
                # Of the plain socket: that of TLS would forget its state while another thread reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _httpx_proxy(proxy: ProxyServer) -> httpx.Proxy:
    context = proxy.context if proxy.url.startswith("https:") else None
    return httpx.Proxy(proxy.url, auth=proxy.credentials, ssl_context=context)


class _Watch:
    """Cuts a connection on which nothing has been got done for so long, however many single bytes came."""

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        self._seconds = seconds
        self._cut = cut
        self._ends = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stow-watch", daemon=True)
        self.has_cut = False

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces; with each, time begins anew."""
        for piece in pieces:
            self._begin()
            yield piece
        self._begin()

    def __enter__(self) -> "_Watch":
        self._begin(_CONNECT_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _begin(self, more: float = 0.0) -> None:
        self._ends = time.monotonic() + self._seconds + more

    def _run(self) -> None:
        while not self._over.wait(min(max(self._ends - time.monotonic(), 0.05), _LOOK_SECONDS)):
            if time.monotonic() >= self._ends:
                self.has_cut = True
                self._cut()
                return


def _read(response: httpx.Response, longest: int) -> tuple[bytes, bool]:
    """Return the body as far as it came, and whether it is all of it. An answer's status counts without its body."""
    body = bytearray()
    try:
        for piece in response.iter_raw():
            body += piece
            if len(body) > longest:
                return bytes(body[:longest]), False
    except httpx.HTTPError:
        return bytes(body), False
    return bytes(body), response.headers.get("content-encoding", "identity") == "identity"


def _cause(error: BaseException) -> BaseException:
    """Return what the system said, below what the libraries made of it; the error itself where it said nothing."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__cause__ or seen.__context__  # httpcore's pool raises it "from None"
    return seen or error


def _meaning(error: httpx.HTTPError, url: httpx.URL, is_late: bool) -> Unavailable:
    """Return what a failure means, in words without the path of the URL."""
    cause = _cause(error)
    peer = Peer(url.host, url.port or (443 if url.scheme == "https" else 80), "", "")
    where = f"{peer.host}:{peer.port}"
    if isinstance(error, httpx.ProxyError):
        return Unreached(f"the proxy did not connect us to {where}: it answered {_words(error)}")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol | httpx.PoolTimeout):
        said = causes.of_connection(cause, peer) if isinstance(cause, OSError) else f"{where}: {_words(error)}"
        return Unreached(said)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        # With TLS 1.3 our certificate is refused when we believe that all is well.
        return Unreached(f"{where}: {causes.of_tls(cause)}")
    if is_late or isinstance(error, httpx.TimeoutException):
        return Cut(f"{where} gave no answer in time")
    return Cut(f"{where} ended the connection before its answer")


def _through_proxy(error: httpx.HTTPError, url: httpx.URL, proxy: httpx.URL) -> Unreached:
    """Return what it means that no connection came about through a proxy: at the proxy, or in TLS beyond it."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return Unreached(str(_meaning(error, url, is_late=False)))
    return Unreached(f"the proxy: {_meaning(error, proxy, is_late=False)}")


def _words(error: httpx.HTTPError) -> str:
    return str(error)[:80] or type(error).__name__
