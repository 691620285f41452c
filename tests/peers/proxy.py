"""An HTTP proxy of the tests' own: CONNECT and absolute targets, with a login where one is given (RFC 9110 9.3.6)."""

import base64
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class HttpProxy:
    """The proxy. `got` are the first lines of what it was asked."""

    port: int = 0
    login: str = ""  # user:password
    got: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def http_proxy(login: str = "") -> Iterator[HttpProxy]:
    """Run the proxy for the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = HttpProxy(listener.getsockname()[1], login)
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            sockets.append(connection)
            threads.append(threading.Thread(target=_serve, args=(proxy, connection, sockets)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(10)
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in threads:
            thread.join(10)


def _serve(proxy: HttpProxy, client: socket.socket, sockets: list[socket.socket]) -> None:
    with suppress(OSError):
        raw = b""
        while b"\r\n\r\n" not in raw:
            piece = client.recv(65536)
            if not piece:
                return
            raw += piece
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        proxy.got.append(lines[0])
        if proxy.login and f"Basic {base64.b64encode(proxy.login.encode()).decode()}" not in head.decode():
            client.sendall(b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            return
        method, target, _ = lines[0].split(" ")
        host = urlsplit(f"//{target}" if method == "CONNECT" else target)
        server = socket.create_connection((host.hostname or "", host.port or 80), 10)
        sockets.append(server)
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            server.sendall(rest)
        else:
            server.sendall(raw)
        _carry(client, server)


def _carry(one: socket.socket, other: socket.socket) -> None:
    ends = {one: other, other: one}
    while True:
        for ready in select.select(list(ends), [], [], 30)[0]:
            piece = ready.recv(65536)
            if not piece:
                one.shutdown(socket.SHUT_RDWR)
                other.shutdown(socket.SHUT_RDWR)
                return
            ends[ready].sendall(piece)
