"""Seeded faults between us and a server that keeps what it likes and says it as it likes, but states no lie.

Whatever happens: what counts as delivered is there, byte for byte; and when the faults end, all of it is.
"""

import os
import random
import socket
import struct
from pathlib import Path

import pytest

from broker.delivery.senders import stow
from broker.delivery.senders.outcome import Answered, Listed
from broker.errors import Unavailable
from tests.peers.web import Got, Reply, http, stated
from tests.unit.delivery.senders.desk import desk
from tests.unit.spool.datasets import data_set

RUNS = int(os.environ.get("BROKER_STOW_RUNS", "40"))
SIZES = {f"1.{number}": random.Random(number).choice((0, 64, 5_000, 300_000)) for number in range(9)}


class Moody:
    """A server whose every answer is drawn: what of a request it keeps, and how it says so."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kept: dict[str, bytes] = {}
        self.is_well = False

    def __call__(self, got: Got) -> Reply | None:
        if got.method == "GET":
            return self._search(got)
        keeps = [part for part in got.parts if self.is_well or self.random.random() < 0.6]
        self.kept |= {part.sop_instance_uid: part.data_set for part in keeps}
        return self._say([part.sop_instance_uid for part in keeps], got.uids)

    def _say(self, kept: list[str], sent: list[str]) -> Reply:
        failed = {uid: self.random.choice((0xA700, 0x0110, 0xC000)) for uid in sent if uid not in kept}
        status = 200 if not failed else 202 if kept else 409
        truth = stated(kept, failed, status)
        if self.is_well:
            return truth
        part = self.random.sample(kept, self.random.randint(0, len(kept)))
        return self.random.choice(
            (
                truth,
                stated(part, {}, 202),
                http(200),
                http(200, b"<html>ok</html>", "text/html"),
                truth[: self.random.randint(0, len(truth) - 1)] + b"",
                http(self.random.choice((400, 408, 413, 415, 500, 502, 504))),
                http(self.random.choice((401, 403, 404, 429, 503))),
                b"",
                _reset,
            )
        )

    def _search(self, got: Got) -> Reply:
        uid = got.target.partition("SOPInstanceUID=")[2]
        if not self.is_well and self.random.random() < 0.4:
            return self.random.choice((http(404), http(500), http(200), b"", _reset))
        found = f'[{{"00080018": {{"vr": "UI", "Value": ["{uid}"]}}}}]' if uid in self.kept else "[]"
        return http(200, found.encode(), "application/dicom+json")


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("seed", range(RUNS))
def test_what_counts_as_delivered_is_there_and_in_the_end_all_of_it_is(tmp_path: Path, seed: int) -> None:
    server = Moody(seed)
    with desk(tmp_path) as one:
        one.web.answer = lambda got: _closed(server(got))
        for uid, pixels in SIZES.items():
            one.owe(uid, pixels=pixels)
        way, left = one.way, {instance.facts.sop_instance_uid for _, instance in one.batch}
        for turn in range(20):
            server.is_well = turn > 4
            batch = [item for item in one.batch if item[1].facts.sop_instance_uid in left]
            left -= _delivered(batch, way, server)
            if not left:
                break
    assert left == set()
    assert server.kept == {uid: data_set(uid, pixels=pixels) for uid, pixels in SIZES.items()}


def _closed(reply: Reply | None) -> Reply | None:
    """A reply that is cut ends the connection, as it would; one that is whole may keep it."""
    if not isinstance(reply, bytes) or b"\r\n\r\n" in reply:
        head, _, body = reply.partition(b"\r\n\r\n") if isinstance(reply, bytes) else (b"", b"", b"")
        length = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), b": 0")
        if not isinstance(reply, bytes) or int(length.partition(b": ")[2]) == len(body):
            return reply
    cut = reply

    def say(connection: socket.socket) -> None:
        connection.sendall(cut)
        connection.shutdown(socket.SHUT_RDWR)

    return say


def _delivered(batch: list, way: stow.Way, server: Moody) -> set[str]:  # type: ignore[type-arg]
    uids = {delivery.id: instance.facts.sop_instance_uid for delivery, instance in batch}
    found: set[str] = set()
    try:
        for delivery, outcome in stow.send(batch, way):
            if isinstance(outcome, Listed) or outcome == Answered(0x0000):
                assert uids[delivery.id] in server.kept
                found.add(uids[delivery.id])
    except Unavailable:
        pass  # the destination's: nothing was said of an instance
    return found
