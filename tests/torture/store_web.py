"""Fault F21: every answer to STOW-RS, of the standard, of a proxy, and of what is no DICOMweb server at all.

What is said of an instance is done with that instance; what speaks of the destination stops it, and parks nothing.
"""

import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from broker.delivery.http_answers import RULES, Kind, rule
from tests.peers.web import Got, Reply, http, stated, statement, web
from tests.torture.classes import Case, FaultClass
from tests.torture.pacs import Kept, Pacs
from tests.torture.store_world import World

_BLOCK = """\
[[destinations]]
name = "{name}"
protocol = "stow"
url = "http://127.0.0.1:{port}/dicom-web"
timeout_seconds = 5
"""
_JSON, _XML = "application/dicom+json", "application/dicom+xml"


@dataclass(frozen=True)
class Said:
    """One answer to a request to store, which takes the UIDs of what was sent and of what of it is kept."""

    reply: Callable[[Sequence[str], Sequence[str]], Reply]
    keeps: Callable[[Sequence[str]], Sequence[str]] = lambda _uids: ()
    tells: bool = False  # whether it says what is kept


def _plainly(reply: Reply, *, keeps: bool = False) -> Said:
    return Said(lambda _uids, _kept: reply, (lambda uids: uids) if keeps else (lambda _uids: ()))


class WebPacs(Pacs):
    """A PACS that is reached by STOW-RS; `turns` are its next answers, and then all is well."""

    def __init__(self, stack: ExitStack) -> None:
        self.kept, self.life = [], 0
        self.turns: list[Said] = []
        self._stack = stack
        self._server = stack.enter_context(web())
        self._server.answer = self._answer
        self.port = self._server.port

    def close(self) -> None:
        """Listen no more."""
        self._stack.close()

    def _answer(self, got: Got) -> Reply | None:
        if got.method != "POST":
            return None
        said = self.turns.pop(0) if self.turns else Said(lambda _uids, kept: stated([*kept]), lambda uids: uids, True)
        kept = said.keeps(got.uids)
        found = {part.sop_instance_uid: part for part in got.parts if part.sop_instance_uid in kept}
        self._server.kept |= found
        self.kept += [Kept(uid, part.data_set, 0, said.tells, self.life) for uid, part in found.items()]
        return said.reply(got.uids, kept)


# --- what becomes of it ------------------------------------------------------------------------------------------


def _recovers(turns: Sequence[Said], world: World) -> None:
    """It is answered so, and then as it should be: everything arrives, and again only where nothing was said."""
    uids = _turned(turns, world, 3)
    world.settle(uids)
    world.demand_invariants(uids)
    world.demand_delivered(uids)


def _parks(turns: Sequence[Said], world: World) -> None:
    """What is refused alone is parked and told of; what comes later goes on."""
    uids = _turned(turns, world, 1)
    world.settle(uids)
    world.demand_invariants(uids)
    world.demand_parked(uids)
    _recovers((), world)


def _one_of_three(reason: int, status: int, is_parked: bool, world: World) -> None:
    """Of three one fails for a reason: it alone is parked or sent again, and the others are there."""

    def reply(uids: Sequence[str], kept: Sequence[str]) -> Reply:
        return stated([*kept], {uid: reason for uid in uids if uid not in kept}, status)

    # 409 says that nothing was stored (PS3.18 10.5.3), whatever its statement says.
    tells = status != 409
    uids = _turned([Said(reply, lambda sent: [uid for uid in sent if uid != sent[1]], tells)], world, 3)
    world.settle(uids)
    world.demand_invariants(uids)
    world.demand_delivered([uids[0], uids[2]] if is_parked else uids)
    if is_parked:
        world.demand_parked([uids[1]])


def _turned(turns: Sequence[Said], world: World, count: int) -> list[str]:
    pacs = world.pacs["pacs"]
    assert isinstance(pacs, WebPacs)
    pacs.turns = list(turns)
    return world.take(count)


# --- the answers -------------------------------------------------------------------------------------------------

_BEYOND = (100, 299, 304, 399, 418, 451, 499, 500, 502, 504, 599)  # what has no rule of its own
_STATED_REASONS = {0xA700: False, 0x0110: False, 0xA900: True, 0xC000: True, 0xC122: True, 0x0124: True}


def answers() -> Iterator[Case[World]]:
    """F21: each status, once and for good; statements; what is no statement; what ends too early."""
    for status in sorted({*RULES, *_BEYOND}):
        yield Case(f"HTTP {status}", partial(_recovers, [_plainly(http(status))]))
        kind = rule(status).kind
        if kind is Kind.INSTANCE or (kind is Kind.STATED and status >= 400):
            yield Case(f"HTTP {status} for good", partial(_parks, [_plainly(http(status))] * 4))
        elif status >= 300:
            yield Case(f"HTTP {status}, four times", partial(_recovers, [_plainly(http(status))] * 4))
        yield Case(f"HTTP {status}, and all is kept", partial(_recovers, [_plainly(http(status), keeps=True)]))
    for reason, status in product(_STATED_REASONS, (200, 202, 409)):
        name = f"{reason:04X} of one in {status}"
        yield Case(name, partial(_one_of_three, reason, status, _STATED_REASONS[reason]))
    for status, after in product((429, 503), ("0", "7", "100000", "Wed, 21 Oct 2065 07:28:00 GMT", "soon", "-1")):
        yield Case(
            f"HTTP {status}, Retry-After {after}", partial(_recovers, [_plainly(http(status, Retry_After=after))])
        )
    yield Case("too large together, not alone", partial(_recovers, [_too_large()] * 8))
    for (name, said), keeps in product(_odd().items(), (False, True)):
        yield Case(f"{name}, {'kept' if keeps else 'not kept'}", partial(_recovers, [_plainly(said, keeps=keeps)]))


def _too_large() -> Said:
    """Refuse what is more than one."""

    def reply(uids: Sequence[str], kept: Sequence[str]) -> Reply:
        return stated([*kept]) if kept else http(413)

    return Said(reply, lambda uids: uids if len(uids) == 1 else (), tells=True)


def _odd() -> dict[str, Reply]:
    whole = http(200, statement(["1.2.3"]), _JSON)
    return {
        "HTML": http(200, b"<html><body>Welcome</body></html>", "text/html"),
        "XML said to be JSON": http(200, b'<?xml version="1.0"?><NativeDicomModel/>', _JSON),
        "XML": http(200, b'<?xml version="1.0"?><NativeDicomModel/>', _XML),
        "JSON that is none": http(200, b"{", _JSON),
        "a list": http(200, b"[]", _JSON),
        "deep": http(200, b'{"a":' * 5000 + b"1" + b"}" * 5000, _JSON),
        "null": http(200, b"null", _JSON),
        "numbers": http(200, b'{"00081199": {"vr": "SQ", "Value": [1, null, {"00081155": 5}]}}', _JSON),
        "of others": whole,
        "no media type": http(200, statement(["1.2.3"])),
        "another media type": http(200, statement(["1.2.3"]), "application/octet-stream"),
        "nothing at all": b"",
        "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
        "a status that is no number": b"HTTP/1.1 OK\r\n\r\n",
        "a body that is cut": _then_gone(whole[:-20]),
        "a head that is cut": _then_gone(whole[:30]),
        "reset": _reset,
        "a length that lies": _then_gone(whole.replace(b"Content-Length: ", b"Content-Length: 9")),
        "two lengths": whole.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n", 1),
        "chunks that are none": _then_gone(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        "continue, and nothing else": _then_gone(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "processing, then an answer": b"HTTP/1.1 102 Processing\r\n\r\n" + whole,
        "65 KiB of head": http(200, b"", Padding="x" * 70_000),
    }


def _then_gone(sent: bytes) -> Reply:
    def say(connection: socket.socket) -> None:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_RDWR)

    return say


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


@contextmanager
def _world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="broker-web-") as folder, ExitStack() as stack:
        world = World(Path(folder), {"pacs": WebPacs(stack)}, block=_BLOCK)
        try:
            yield world
        finally:
            world.close()


CLASSES: Sequence[FaultClass[World]] = (FaultClass("F21 answers to STOW-RS", answers, 60, _world),)
