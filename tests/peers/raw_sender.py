"""A C-STORE sender that sends a data set's bytes exactly as they are, with no library between."""

import io
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from tests.peers.dcmtk import Node

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_FRAGMENT = 16000


@dataclass(frozen=True)
class DataSet:
    """A data set's bytes, and what a sender must say of them."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes


def read_part10(file: Path) -> DataSet:
    """Cut a Part 10 file into its meta information and its data set's own bytes."""
    content = file.read_bytes()
    assert content[128:132] == b"DICM", f"{file.name} is no Part 10 file"
    return cut_part10(content)


def cut_part10(content: bytes) -> DataSet:
    """Cut the bytes of a Part 10 file likewise."""
    meta: dict[int, bytes] = {}
    stream = io.BytesIO(content)
    stream.seek(132)
    while True:
        start = stream.tell()
        head = stream.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            break
        length = struct.unpack("<H", head[6:8])[0]
        if head[4:6] in (b"OB", b"UN", b"SQ", b"OW", b"UT"):
            length = struct.unpack("<I", stream.read(4))[0]
        meta[struct.unpack("<H", head[2:4])[0]] = stream.read(length)

    def text(element: int) -> str:
        return meta.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")

    return DataSet(text(0x0002), text(0x0003), text(0x0010), content[start:])


def send(node: Node, calling: str, item: DataSet, timeout: float = 30.0) -> int | None:
    """Send one instance on an association of its own; return the status, or None when the context was refused."""
    with socket.create_connection(("127.0.0.1", node.port), timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(_associate(node.ae_title, calling, item))
        kind, body = _receive(connection)
        assert kind == 2, f"no A-ASSOCIATE-AC but PDU type {kind}: {body.hex()}"
        if not _accepted(body):
            connection.sendall(b"\x07\x00" + struct.pack(">I", 4) + b"\0\0\0\0")
            return None
        _send_fragments(connection, _command(item), command=True)
        _send_fragments(connection, item.data, command=False)
        kind, body = _receive(connection)
        assert kind == 4, f"no response but PDU type {kind}"
        status = _status(body)
        connection.sendall(b"\x05\x00" + struct.pack(">I", 4) + b"\0\0\0\0")
        _receive(connection)
        return status


def _associate(called: str, calling: str, item: DataSet) -> bytes:
    context = _item(0x30, item.sop_class_uid.encode()) + _item(0x40, item.transfer_syntax.encode())
    user = _item(0x51, struct.pack(">I", 65536)) + _item(0x52, b"2.25.1")
    body = (
        struct.pack(">HH", 1, 0)
        + called.ljust(16).encode()
        + calling.ljust(16).encode()
        + bytes(32)
        + _item(0x10, _APPLICATION_CONTEXT)
        + _item(0x20, b"\x01\0\0\0" + context)
        + _item(0x50, user)
    )
    return b"\x01\x00" + struct.pack(">I", len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _accepted(body: bytes) -> bool:
    position = 68
    while position < len(body):
        kind, _, length = struct.unpack_from(">BBH", body, position)
        if kind == 0x21:
            return body[position + 6] == 0
        position += 4 + length
    return False


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def _command(item: DataSet) -> bytes:
    elements = (
        _element(0x0002, item.sop_class_uid.encode())
        + _element(0x0100, struct.pack("<H", 1))
        + _element(0x0110, struct.pack("<H", 1))
        + _element(0x0700, struct.pack("<H", 0))
        + _element(0x0800, struct.pack("<H", 1))
        + _element(0x1000, item.sop_instance_uid.encode())
    )
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def _send_fragments(connection: socket.socket, data: bytes, *, command: bool) -> None:
    for start in range(0, len(data) or 1, _FRAGMENT):
        piece = data[start : start + _FRAGMENT]
        last = start + _FRAGMENT >= len(data)
        control = (1 if command else 0) | (2 if last else 0)
        value = struct.pack(">IBB", len(piece) + 2, 1, control) + piece
        connection.sendall(b"\x04\x00" + struct.pack(">I", len(value)) + value)


def _receive(connection: socket.socket) -> tuple[int, bytes]:
    head = _exactly(connection, 6)
    return head[0], _exactly(connection, struct.unpack(">I", head[2:6])[0])


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the peer closed the connection")
        data += piece
    return data


def _status(body: bytes) -> int:
    command = body[6:]
    position = 0
    while position < len(command):
        _, element, length = struct.unpack_from("<HHI", command, position)
        if element == 0x0900:
            return int(struct.unpack_from("<H", command, position + 8)[0])
        position += 8 + length
    raise AssertionError("the response has no Status")
