"""C-FIND on an accepted association: answers batched into few sends, C-CANCEL watched for. Knows no worklist."""

import time
from collections.abc import Iterator
from contextlib import suppress

from broker import failpoints
from broker.dimse import contexts, message
from broker.dimse.items import InvalidPdu
from broker.dimse.link import Link
from broker.dimse.message import Command
from broker.dimse.service import AcceptedAssociation, AcceptedContext, FindAnswer, FindRequest, Provider
from broker.dimse.statuses import (
    CANCEL,
    OUT_OF_RESOURCES,
    PENDING,
    SOP_CLASS_MISMATCH,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNABLE_TO_PROCESS,
)
from broker.errors import Rejected, Unavailable

_BATCH_BYTES = 64 * 1024
_BATCH_SECONDS = 0.05
_LOOK_SECONDS = 0.005


class Finding:
    """Answers one C-FIND-RQ."""

    def __init__(self, link: Link, context: AcceptedContext, command: Command) -> None:
        self._link = link
        self._context = context
        self._command = command

    def answer(self, provider: Provider, association: AcceptedAssociation, identifier: bytes | None) -> None:
        """Ask the provider and send what it answers; raise what ends the association."""
        refusal = self._refusal(identifier)
        if refusal is not None or identifier is None:
            self._finish(refusal or FindAnswer(UNABLE_TO_PROCESS), [])
            return
        message_id = self._command.message_id or 0
        watch = _CancelWatch(self._link, message_id)
        request = FindRequest(
            message_id,
            self._context.abstract_syntax,
            self._context.transfer_syntax,
            identifier,
            watch.is_cancelled,
        )
        self._send_answers(provider.find(association, request), watch)

    def _refusal(self, identifier: bytes | None) -> FindAnswer | None:
        if self._context.abstract_syntax not in contexts.FIND:
            return FindAnswer(SOP_CLASS_NOT_SUPPORTED)
        if self._command.sop_class_uid != self._context.abstract_syntax:
            return FindAnswer(SOP_CLASS_MISMATCH, error_comment="SOP class differs from its context's")
        if identifier is None:
            return FindAnswer(UNABLE_TO_PROCESS, error_comment="identifier is missing")
        return None

    def _send_answers(self, answers: Iterator[FindAnswer], watch: "_CancelWatch") -> None:
        """Send pending answers in batches until a final one, the end, or C-CANCEL."""
        batch = _Batch(self._link, self._context.id, self._command)
        try:
            final = _add_pending(answers, batch, watch)
            self._finish(final or FindAnswer(CANCEL if watch.seen else SUCCESS), batch.rest())
        except BaseException:
            _close(answers)
            raise
        _conclude(answers)

    def _finish(self, answer: FindAnswer, before: list[bytes]) -> None:
        content = message.response(
            self._command,
            answer.status,
            error_comment=answer.error_comment,
            offending_element=answer.offending_element,
        )
        last = message.pdus(self._context.id, content, True, self._link.fragment)
        with failpoints.around("find.answer"):
            self._link.send_data(b"".join((*before, *last)))


def _add_pending(answers: Iterator[FindAnswer], batch: "_Batch", watch: "_CancelWatch") -> FindAnswer | None:
    """Add answers to the batch; return the final one, or none when they end or C-CANCEL has come."""
    while (answer := _next(answers, watch)) is not None:
        if answer.status not in PENDING:
            return answer
        if watch.seen:
            return None  # the provider did not stop of itself
        if batch.add(answer):
            watch.look()
    return None


def _next(answers: Iterator[FindAnswer], watch: "_CancelWatch") -> FindAnswer | None:
    """Return the provider's next answer, its errors as final ones.

    Only the provider's: what befalls the connection ends the association, for half a PDU may have been sent.
    """
    try:
        return next(answers, None)
    except Rejected as error:
        return FindAnswer(UNABLE_TO_PROCESS, error_comment=str(error))
    except Unavailable as error:
        if watch.error is not None:
            raise watch.error from error
        return FindAnswer(OUT_OF_RESOURCES, error_comment=str(error))


class _CancelWatch:
    """Whether C-CANCEL for one C-FIND has come; once seen, it stays seen.

    For the provider, which asks before each answer, it looks at once and then every few milliseconds: a look is a
    system call, as dear as an answer, and answers leave together.
    """

    def __init__(self, link: Link, message_id: int) -> None:
        self._link = link
        self._message_id = message_id
        self.seen = False
        self.error: Exception | None = None
        self._next = 0.0

    def is_cancelled(self) -> bool:
        """Look, for the provider; raise Unavailable when the peer has gone."""
        if (now := time.monotonic()) < self._next:
            return self.seen
        self._next = now + _LOOK_SECONDS
        try:
            return self.look()
        except (Unavailable, InvalidPdu) as error:
            self.error = error
            raise Unavailable("the peer has gone") from error

    def look(self) -> bool:
        """Look, without waiting; raise what ends the association."""
        self.seen = self.seen or self._link.cancelled(self._message_id)
        return self.seen


class _Batch:
    """Pending answers that leave together: the command set before each identifier is always the same."""

    def __init__(self, link: Link, context_id: int, command: Command) -> None:
        self._link = link
        self._context_id = context_id
        self._command = command
        self._heads: dict[int, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._begun = time.monotonic()

    def add(self, answer: FindAnswer) -> bool:
        """Take one pending answer; tell whether the batch has been sent with it."""
        identifier = answer.identifier or b""
        head, length = self._heads.get(answer.status) or self._head(answer.status), len(identifier)
        if length <= self._link.fragment:
            self._parts += (head, message.data_header(self._context_id, message.DATA_LAST, length), identifier)
        else:
            self._parts += (head, *message.pdus(self._context_id, identifier, False, self._link.fragment))
        self._size += length
        if self._size < _BATCH_BYTES and time.monotonic() - self._begun < _BATCH_SECONDS:
            return False
        with failpoints.around("find.answer"):
            self._link.send_data(b"".join(self._parts))
        self._parts, self._size, self._begun = [], 0, time.monotonic()
        return True

    def rest(self) -> list[bytes]:
        """Return what has not been sent, to leave with the final answer."""
        return self._parts

    def _head(self, status: int) -> bytes:
        content = message.response(self._command, status, has_data_set=True)
        head = b"".join(message.pdus(self._context_id, content, True, self._link.fragment))
        return self._heads.setdefault(status, head)


def _conclude(answers: Iterator[FindAnswer]) -> None:
    """Let the provider do what it does after its final answer has left; an answer behind the final one is none."""
    with suppress(Rejected, Unavailable):
        next(answers, None)
    _close(answers)


def _close(answers: Iterator[FindAnswer]) -> None:
    close = getattr(answers, "close", None)
    if close is not None:
        close()  # a generator then lets go of its transaction at once
