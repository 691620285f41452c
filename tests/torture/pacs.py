"""A PACS that does as told with each association and each C-STORE, and keeps only what has arrived whole."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from broker.dimse import message
from broker.dimse.items import UserInformation
from broker.dimse.message import Element
from broker.dimse.pdu import (
    AnsweredContext,
    AssociateAc,
    AssociateRq,
    decode_associate_rq,
    encode_associate_ac,
    encode_associate_rj,
)
from broker.dimse.service import Rejection
from tests.wire.dimse import raw_peer

LATE = 1.0  # seconds after which nobody waits for a response any more
_SECONDS = 10.0
_RQ, _DATA, _RELEASE, _ABORT = 1, 4, 5, 7


@dataclass(frozen=True)
class Turn:
    """What becomes of one C-STORE."""

    status: int = 0
    answer_bytes: int | None = None  # of the response that leave before the connection closes; None: all of them
    request_bytes: int | None = None  # of the request that are read before the connection closes; None: all of them
    aborts: bool = False  # A-ABORT instead of a response
    is_reset: bool = False  # the connection ends by RST instead of FIN
    seconds: float = 0.0  # that pass before the response
    bytes_a_second: int = 0  # that are read of the request; 0: as they come

    @property
    def is_answered(self) -> bool:
        """Whether the caller gets to know the status."""
        is_cut = self.aborts or self.answer_bytes is not None or self.request_bytes is not None
        return not is_cut and self.seconds < LATE


Context = Callable[[str, Sequence[str]], tuple[int, str]]
"""Takes an abstract syntax and the transfer syntaxes proposed, gives the result and the syntax that is accepted."""


def first_syntax(_abstract_syntax: str, syntaxes: Sequence[str]) -> tuple[int, str]:
    """Accept what is proposed first."""
    return 0, syntaxes[0]


@dataclass(frozen=True)
class Kept:
    """An instance that has arrived whole, and whether its sender was told so."""

    sop_instance_uid: str
    content: bytes
    status: int
    is_answered: bool
    life: int = 0  # of the caller, as whoever ends and starts it counts them


def is_good(status: int) -> bool:
    """Tell whether a PACS that says so has the instance."""
    return status == 0 or status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0111, 0x0116)


@dataclass
class Plan:
    """What the PACS does, by number: the turns run out, and then all is well."""

    associations: list[Rejection | bytes | None] = field(default_factory=list)  # refused so, answered so, or accepted
    turns: list[Turn] = field(default_factory=list)
    context: Context = first_syntax
    maximum_length: int = 16384


class Pacs:
    """Listens on loopback until closed; `kept` is what has arrived whole, in order."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.kept: list[Kept] = []
        self.calls = 0
        self.life = 0
        self.is_down = False  # every connection ends at once
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.settimeout(_SECONDS)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError, _Gone):
            _Conversation(sock, self).run()

    def next_association(self) -> Rejection | bytes | None:
        """Return what becomes of the association that is asked for now."""
        with self._lock:
            self.calls += 1
            if self.is_down:
                return b""
            return self.plan.associations.pop(0) if self.plan.associations else None

    def next_turn(self) -> Turn:
        """Return what becomes of the C-STORE that comes now."""
        with self._lock:
            return self.plan.turns.pop(0) if self.plan.turns else Turn()

    def keep(self, one: Kept) -> None:
        """Note an instance that has arrived whole."""
        with self._lock:
            self.kept.append(one)


class _Gone(Exception):
    """The conversation is over."""


class _Conversation:
    """One association, as the plan wants it."""

    def __init__(self, sock: socket.socket, pacs: Pacs) -> None:
        self._sock = sock
        self._pacs = pacs
        self._left: int | None = None  # bytes that may still be read
        self._turn = Turn()

    def run(self) -> None:
        """Be the PACS until it is over."""
        kind, body = self._pdu()
        if kind != _RQ:
            return
        said = self._pacs.next_association()
        if isinstance(said, bytes):
            self._sock.sendall(said)
            return
        if said is not None:
            self._sock.sendall(encode_associate_rj(said))
            return
        self._sock.sendall(self._accepted(decode_associate_rq(body)))
        while self._store():
            pass

    def _accepted(self, request: AssociateRq) -> bytes:
        plan = self._pacs.plan
        answers = []
        for context in request.contexts:
            result, syntax = plan.context(context.abstract_syntax, context.transfer_syntaxes)
            answers.append(AnsweredContext(context.id, result, syntax))
        user = UserInformation(plan.maximum_length, "1.2.3.4", "SCRIPTED")
        return encode_associate_ac(AssociateAc(request.called_ae_title, request.calling_ae_title, tuple(answers), user))

    def _store(self) -> bool:
        """Take one C-STORE, or the end."""
        self._turn = self._pacs.next_turn() if self._peeked() == _DATA else Turn()
        self._left = self._turn.request_bytes
        context_id, command, content = self._message()
        if command is None:
            return False
        uid = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
        self._pacs.keep(Kept(uid, content, self._turn.status, self._turn.is_answered, self._pacs.life))
        answer = raw_peer.data(context_id, 3, message.response(command, self._turn.status))
        time.sleep(self._turn.seconds)
        if self._turn.aborts:
            self._sock.sendall(raw_peer.ABORT)
            return False
        self._sock.sendall(answer[: self._turn.answer_bytes])
        if self._turn.answer_bytes is not None:
            self._end()
            return False
        return True

    def _message(self) -> tuple[int, message.Command | None, bytes]:
        """Return a whole message; no command where the association has ended."""
        commands, contents, context_id = bytearray(), bytearray(), 0
        while True:
            kind, body = self._pdu()
            if kind == _RELEASE:
                self._sock.sendall(raw_peer.RELEASE_RESPONSE)
            if kind != _DATA:
                return 0, None, b""
            while body:
                length, context_id, control = struct.unpack_from(">IBB", body)
                (commands if control & 1 else contents).extend(body[6 : 4 + length])
                body = body[4 + length :]
                if control == 2:
                    return context_id, message.decode(bytes(commands)), bytes(contents)

    def _peeked(self) -> int:
        first = self._sock.recv(1, socket.MSG_PEEK)
        return first[0] if first else 0

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            most = count - len(content) if self._left is None else min(count - len(content), self._left)
            if most <= 0:
                self._end()
                raise _Gone
            if self._turn.bytes_a_second:
                time.sleep(1.0)
                most = min(most, self._turn.bytes_a_second)
            piece = self._sock.recv(most)
            if not piece:
                raise _Gone
            content += piece
            if self._left is not None:
                self._left -= len(piece)
        return bytes(content)

    def _end(self) -> None:
        if self._turn.is_reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
