"""/healthz, /readyz and /metrics of one environment. Numbers and names of ours only, never patient data."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from broker.errors import BrokerError
from broker.journal import log

Readiness = Callable[[], Mapping[str, object]]
"""Returns facts when all is well; raises a BrokerError that says what is not."""
Metrics = Callable[[], Mapping[str, float]]
"""Returns each metric's value by its name, labels included (`broker_deliveries{state="parked"}`)."""

_SECONDS_PER_REQUEST = 10
_PLAIN = "text/plain; charset=utf-8"


class HealthServer:
    """A small HTTP server on its own thread."""

    def __init__(self, host: str, port: int, readiness: Readiness, metrics: Metrics) -> None:
        self._server = _Server((host, port), _handler(readiness, metrics), bind_and_activate=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)

    def start(self) -> int:
        """Listen; return the bound port. Raises OSError where the address cannot be bound."""
        self._server.server_bind()
        self._server.server_activate()
        self._thread.start()
        return int(self._server.server_address[1])

    def stop(self, seconds: float) -> None:
        """Stop listening, which is waited for so many seconds; what a request still owes is not."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(seconds)


class _Server(ThreadingHTTPServer):
    """Binds without asking what the address is called: a name server that does not answer would hold up the start."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], **options: bool) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler, **options)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Log what befell one request: whoever asked has gone, most often."""
        log.warning("http.failed", exc_info=True)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


def exposition(values: Mapping[str, float]) -> str:
    """Return metrics in Prometheus' text format 0.0.4: what has one name stands together, below its type."""
    families: dict[str, list[str]] = {}
    for name, value in values.items():
        families.setdefault(name.partition("{")[0], []).append(f"{name} {value}")
    lines = [
        line
        for family, samples in families.items()
        for line in (f"# TYPE {family} {'counter' if family.endswith('_total') else 'gauge'}", *samples)
    ]
    return "\n".join(lines) + "\n"


class _Answers(BaseHTTPRequestHandler):
    """The three pages. What they say, each server's own subclass knows."""

    readiness: Readiness
    metrics: Metrics
    timeout = _SECONDS_PER_REQUEST
    server_version = "broker"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                self._answer(200, _PLAIN, "ok\n")
            case "/readyz":
                self._ready()
            case "/metrics":
                self._metrics()
            case _:
                self._answer(404, _PLAIN, "there are /healthz, /readyz and /metrics\n")

    def _ready(self) -> None:
        try:
            facts = {"ready": True, **type(self).readiness()}
        except BrokerError as error:
            self._answer(503, "application/json", json.dumps({"ready": False, "why": str(error)}) + "\n")
            return
        self._answer(200, "application/json", json.dumps(facts) + "\n")

    def _metrics(self) -> None:
        try:
            text = exposition(type(self).metrics())
        except BrokerError as error:
            self._answer(503, _PLAIN, f"{error}\n")
            return
        self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)

    def _answer(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Probes are not worth a line."""


def _handler(readiness: Readiness, metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    named = {"readiness": staticmethod(readiness), "metrics": staticmethod(metrics)}
    return type("Answers", (_Answers,), named)
