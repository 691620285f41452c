"""A DICOMweb server of the tests' own, on raw sockets: it answers as it is told, also as no server should."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

_PREFIX = 132  # preamble and DICM


@dataclass(frozen=True)
class Got:
    """One request as it came. `connection` counts connections from 0."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    connection: int

    @property
    def parts(self) -> list["Part10"]:
        """The files of a multipart body, taken apart by its boundary."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        assert self.body.endswith(b"--" + boundary + b"--\r\n")
        pieces = (b"\r\n" + self.body).split(b"\r\n--" + boundary)[1:-1]
        return [Part10(piece.removeprefix(b"\r\n")) for piece in pieces]

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs of its files."""
        return [part.sop_instance_uid for part in self.parts]


@dataclass(frozen=True)
class Part10:
    """One part of a body."""

    raw: bytes

    @property
    def header(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def file(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def meta(self) -> bytes:
        return self.file[_PREFIX : _PREFIX + 12 + self._group_length]

    @property
    def data_set(self) -> bytes:
        return self.file[_PREFIX + 12 + self._group_length :]

    @property
    def sop_instance_uid(self) -> str:
        return self._uid(b"\x02\x00\x03\x00UI")

    @property
    def transfer_syntax(self) -> str:
        return self._uid(b"\x02\x00\x10\x00UI")

    @property
    def _group_length(self) -> int:
        return int.from_bytes(self.file[_PREFIX + 8 : _PREFIX + 12], "little")

    def _uid(self, start: bytes) -> str:
        at = self.file.index(start) + len(start)
        length = int.from_bytes(self.file[at : at + 2], "little")
        return self.file[at + 2 : at + 2 + length].decode().rstrip("\0")


Reply = bytes | Callable[[socket.socket], None]
"""What is sent, or what is done with the connection; an empty reply closes it."""


@dataclass
class Web:
    """The server. It keeps what it is sent, states so and lists it, unless `answer` gives another reply."""

    port: int = 0
    scheme: str = "http"
    got: list[Got] = field(default_factory=list)
    kept: dict[str, Part10] = field(default_factory=dict)
    answer: Callable[[Got], Reply | None] = lambda _got: None
    before: Callable[[str], Reply | None] = lambda _head: None  # told the head alone, before the body is read
    failures: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/dicom-web"

    @property
    def stored(self) -> list[list[str]]:
        """The SOP Instance UIDs of each request to store."""
        return [got.uids for got in self.got if got.method == "POST" and got.target.endswith("/studies")]

    @property
    def asked(self) -> list[str]:
        """The targets of each search."""
        return [got.target for got in self.got if got.method == "GET"]

    def reply_to(self, got: Got) -> Reply:
        reply = self.answer(got)
        if reply is not None:
            return reply
        if got.method == "GET":
            return self._listed(got)
        self.kept |= {part.sop_instance_uid: part for part in got.parts}
        return stated(stored=got.uids)

    def _listed(self, got: Got) -> Reply:
        uid = parse_qs(urlsplit(got.target).query).get("SOPInstanceUID", [""])[0]
        found = [{"00080018": {"vr": "UI", "Value": [uid]}}] if uid in self.kept else []
        return http(200, json.dumps(found).encode(), "application/dicom+json")


def http(status: int, body: bytes = b"", media_type: str = "", **headers: str) -> bytes:
    """Return an answer; a header's underscores are hyphens."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {media_type}"] if media_type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def statement(
    stored: Mapping[str, int | None] | list[str] = (), failed: Mapping[str, int | None] | None = None
) -> bytes:
    """Return a Store Instances Response in the DICOM JSON Model."""
    warnings = stored if isinstance(stored, Mapping) else dict.fromkeys(stored)
    document = {
        "00081199": {"vr": "SQ", "Value": [_item(uid, "00081196", reason) for uid, reason in warnings.items()]},
        "00081198": {"vr": "SQ", "Value": [_item(uid, "00081197", reason) for uid, reason in (failed or {}).items()]},
    }
    return json.dumps({tag: element for tag, element in document.items() if element["Value"]}).encode()


def stated(
    stored: Mapping[str, int | None] | list[str] = (),
    failed: Mapping[str, int | None] | None = None,
    status: int = 200,
) -> bytes:
    """Return the answer with a statement."""
    return http(status, statement(stored, failed), "application/dicom+json")


def _item(uid: str, tag: str, reason: int | None) -> dict[str, object]:
    said = {} if reason is None else {tag: {"vr": "US", "Value": [reason]}}
    return {"00081155": {"vr": "UI", "Value": [uid]}, **said}


@contextmanager
def web(context: ssl.SSLContext | None = None) -> Iterator[Web]:
    """Run the server for the block, with TLS where there is a context. What goes wrong in it fails the test."""
    server = Web(scheme="http" if context is None else "https")
    ending = threading.Event()
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]

    def accept() -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            thread = threading.Thread(target=_serve, args=(server, connection, context, connections, ending))
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        ending.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        accepting.join(10)
        for thread in threads:
            thread.join(10)
    assert server.failures == []


def _serve(
    server: Web,
    plain: socket.socket,
    context: ssl.SSLContext | None,
    connections: list[socket.socket],
    ending: threading.Event,
) -> None:
    number = connections.index(plain)
    try:
        connection = plain if context is None else context.wrap_socket(plain, server_side=True)
        connections[number] = connection
        with connection, connection.makefile("rb") as stream:
            while _exchange(server, connection, stream, number):
                pass
    except OSError:
        pass  # the peer has gone, as it may
    except Exception as error:  # noqa: BLE001 - told to the test
        if not ending.is_set():
            server.failures.append(repr(error))


def _exchange(server: Web, connection: socket.socket, stream: BinaryIO, number: int) -> bool:
    head = _head(stream)
    if not head:
        return False
    early = server.before(head)
    if early is not None:
        return _say(connection, early)
    first, *lines = head.splitlines()
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    if len(body) < length:
        return False
    got = Got(method, target, headers, body, number)
    server.got.append(got)
    return _say(connection, server.reply_to(got))


def _say(connection: socket.socket, reply: Reply) -> bool:
    if callable(reply):
        reply(connection)
        return False
    connection.sendall(reply)
    return bool(reply) and not re.search(rb"(?i)\r\nconnection: close\r\n", reply)


def _head(stream: BinaryIO) -> str:
    lines: list[bytes] = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines).decode()
