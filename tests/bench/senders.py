"""Byte-replaying ultrasounds as a process of their own: how many images were answered, and how long each took.

`python -m tests.bench.senders PORT TITLE IMAGE ASSOCIATIONS IMAGES ROUND` opens all associations at once, sends on each
so many copies of one image, each under a SOP Instance UID of its own, and prints a JSON line.
"""

import json
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from broker.dimse import message
from broker.dimse.message import Element
from broker.dimse.service import ProposedContext
from tests.peers.raw_sender import read_part10
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import RawPeer

_DEADLINE = 300.0
_PDU = 65536
_DIGITS = 12


@dataclass
class Seen:
    """What the senders saw."""

    refused: int = 0
    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Image:
    """One image whose SOP Instance UID is changed in place: nothing else is made for each copy."""

    def __init__(self, file: Path, number: str) -> None:
        part10 = read_part10(file)
        self.sop_class_uid, self._uid = part10.sop_class_uid, part10.sop_instance_uid
        self.transfer_syntax = part10.transfer_syntax
        self._head, self._tail = part10.data.split(_element(self._uid), 1)
        self._number = number

    def copy(self, sender: int, image: int) -> tuple[str, bytes]:
        """Return a UID and the data set under it."""
        uid = f"1.2.826.0.2.{self._number}.{sender + 1}.{image + 1}".ljust(63, "0")
        return uid, self._head + _element(uid) + self._tail


def _element(uid: str) -> bytes:
    padded = uid.encode() + (b"\0" if len(uid) % 2 else b"")
    return struct.pack("<HH2sH", 8, 0x18, b"UI", len(padded)) + padded


@dataclass(frozen=True)
class Crowd:
    """What the senders share."""

    port: int
    title: str
    image: Image
    count: int
    gate: threading.Barrier
    seen: Seen = field(default_factory=Seen)


def send(crowd: Crowd, sender: int) -> None:
    """Be one ultrasound: associate, wait for the others, send, release."""
    image, seen, gate = crowd.image, crowd.seen, crowd.gate
    context = ProposedContext(1, image.sop_class_uid, (image.transfer_syntax,))
    request = raw_peer.rq((context,), _PDU).replace(b"BROKER".ljust(16), crowd.title.encode().ljust(16), 1)
    with RawPeer.connect(crowd.port, _DEADLINE) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.send(request)
        if peer.read()[0] != 2:
            seen.refused += 1
            gate.wait(_DEADLINE)
            return
        gate.wait(_DEADLINE)
        for number in range(crowd.count):
            uid, content = image.copy(sender, number)
            begun = time.perf_counter()
            command = message.store_request(number + 1, image.sop_class_uid, uid)
            peer.send(*message.pdus(1, command, True, _PDU), *message.pdus(1, content, False, _PDU))
            status = peer.response().number(Element.STATUS)
            seen.seconds.append(time.perf_counter() - begun)
            seen.statuses.append(-1 if status is None else status)
        peer.send(raw_peer.RELEASE_REQUEST)


def main() -> None:
    """Send, and print what was seen."""
    port, title, file, associations, count, number = sys.argv[1:]
    gate = threading.Barrier(int(associations))
    crowd = Crowd(int(port), title, Image(Path(file), number), int(count), gate)
    threads = [threading.Thread(target=send, args=(crowd, sender)) for sender in range(int(associations))]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_DEADLINE)
    seen = crowd.seen
    taken = sorted(seen.seconds)
    print(
        json.dumps(
            {
                "refused": seen.refused,
                "stored": seen.statuses.count(0),
                "other": [status for status in seen.statuses if status],
                "seconds": time.perf_counter() - begun,
                "p95": taken[int(len(taken) * 0.95)] if taken else None,
                "worst": taken[-1] if taken else None,
            }
        )
    )


if __name__ == "__main__":
    main()
