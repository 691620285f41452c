"""The seven PDUs as values and bytes (PS3.8 9.3). Knows no state and no socket; user information is in `items.py`.

Every length is checked against its container before it is used, and nothing is allocated by a length alone.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from broker.dimse.items import (
    InvalidPdu,
    UserInformation,
    decode_user_information,
    encode_user_information,
    item,
    items,
    text_of,
    uid_of,
)
from broker.dimse.service import ProposedContext, Rejection

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

HEADER = struct.Struct(">BxI")
PDV_HEADER = struct.Struct(">IBB")
DATA_HEADER = struct.Struct(">BxIIBB")  # a P-DATA-TF header and that of its only PDV

_FIXED = struct.Struct(">H2x16s16s32s")


class PduType(IntEnum):
    """The first byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class ContextResult(IntEnum):
    """The answer to one presentation context (PS3.8 table 9-18)."""

    ACCEPTED = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class AssociateRq:
    """An A-ASSOCIATE-RQ."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """A presentation context of an A-ASSOCIATE-AC. The syntax is not significant unless accepted."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AssociateAc:
    """An A-ASSOCIATE-AC."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[AnsweredContext, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class Abort:
    """An A-ABORT: source 0 is the service user, 2 the provider."""

    source: int
    reason: int


RELEASE_RQ = HEADER.pack(PduType.RELEASE_RQ, 4) + bytes(4)
RELEASE_RP = HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)


def encode_associate_rq(request: AssociateRq) -> bytes:
    """Return the bytes of an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    contexts = b"".join(_encode_proposed(context) for context in request.contexts)
    return _encode_associate(PduType.ASSOCIATE_RQ, request, contexts)


def encode_associate_ac(answer: AssociateAc) -> bytes:
    """Return the bytes of an A-ASSOCIATE-AC (PS3.8 9.3.3)."""
    contexts = b"".join(_encode_answered(context) for context in answer.contexts)
    return _encode_associate(PduType.ASSOCIATE_AC, answer, contexts)


def encode_associate_rj(rejection: Rejection) -> bytes:
    """Return the bytes of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    body = bytes((0, rejection.result, rejection.source, rejection.reason))
    return HEADER.pack(PduType.ASSOCIATE_RJ, 4) + body


def encode_abort(abort: Abort) -> bytes:
    """Return the bytes of an A-ABORT (PS3.8 9.3.8)."""
    return HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, abort.source, abort.reason))


def decode_associate_rq(body: bytes) -> AssociateRq:
    """Return the request that `body`, what follows the PDU header, says; raise InvalidPdu."""
    version, called, calling, application, contexts, user = _decode_associate(body, 0x20)
    proposed = tuple(_decode_proposed(value) for value in contexts)
    _check_ids([context.id for context in proposed])
    return AssociateRq(called, calling, proposed, user, application, version)


def decode_associate_ac(body: bytes) -> AssociateAc:
    """Return the answer that `body` says; raise InvalidPdu."""
    version, called, calling, application, contexts, user = _decode_associate(body, 0x21)
    answered = tuple(_decode_answered(value) for value in contexts)
    return AssociateAc(called, calling, answered, user, application, version)


def decode_associate_rj(body: bytes) -> Rejection:
    """Return the rejection that `body` says; raise InvalidPdu."""
    _check_length(body, "A-ASSOCIATE-RJ")
    return Rejection(body[1], body[2], body[3])


def decode_abort(body: bytes) -> Abort:
    """Return the abort that `body` says; raise InvalidPdu."""
    _check_length(body, "A-ABORT")
    return Abort(body[2], body[3])


def check_release(body: bytes) -> None:
    """Raise InvalidPdu unless `body` is that of an A-RELEASE PDU (its bytes are not significant)."""
    _check_length(body, "A-RELEASE")


def _check_length(body: bytes, what: str) -> None:
    if len(body) != 4:
        raise InvalidPdu(f"{what} with {len(body)} bytes after its header, not 4", AbortReason.INVALID_PARAMETER)


def _encode_associate(kind: PduType, pdu: AssociateRq | AssociateAc, contexts: bytes) -> bytes:
    fixed = _FIXED.pack(pdu.protocol_version, _padded(pdu.called_ae_title), _padded(pdu.calling_ae_title), bytes(32))
    application = item(0x10, pdu.application_context.encode("ascii"))
    body = fixed + application + contexts + item(0x50, encode_user_information(pdu.user))
    return HEADER.pack(kind, len(body)) + body


def _padded(title: str) -> bytes:
    # PS3.8 table 9-11: 16 characters, padded with spaces.
    return title.encode("ascii", "replace")[:16].ljust(16)


def _encode_proposed(context: ProposedContext) -> bytes:
    syntaxes = b"".join(item(0x40, uid.encode("ascii")) for uid in context.transfer_syntaxes)
    return item(0x20, bytes((context.id, 0, 0, 0)) + item(0x30, context.abstract_syntax.encode("ascii")) + syntaxes)


def _encode_answered(context: AnsweredContext) -> bytes:
    syntax = item(0x40, context.transfer_syntax.encode("ascii"))
    return item(0x21, bytes((context.id, 0, context.result, 0)) + syntax)


def _decode_associate(body: bytes, context_item: int) -> tuple[int, str, str, str, list[bytes], UserInformation]:
    if len(body) < _FIXED.size:
        raise InvalidPdu("A-ASSOCIATE PDU shorter than its fixed fields", AbortReason.INVALID_PARAMETER)
    version, called, calling, _ = _FIXED.unpack_from(body)
    application, contexts, user = "", [], UserInformation()
    for kind, value in items(body[_FIXED.size :]):
        if kind == 0x10:
            application = uid_of(value)
        elif kind == context_item:
            contexts.append(value)
        elif kind == 0x50:
            user = decode_user_information(value)
        # Unrecognized items are ignored (PS3.8 9.3.1).
    return version, text_of(called), text_of(calling), application, contexts, user


def _decode_proposed(value: bytes) -> ProposedContext:
    number, sub_items = _context_head(value)
    abstract_syntax, transfer_syntaxes = None, []
    for kind, content in sub_items:
        if kind == 0x30:
            abstract_syntax = uid_of(content)
        elif kind == 0x40:
            transfer_syntaxes.append(uid_of(content))
    if abstract_syntax is None:
        raise InvalidPdu("presentation context without abstract syntax", AbortReason.INVALID_PARAMETER)
    return ProposedContext(number, abstract_syntax, tuple(transfer_syntaxes))


def _decode_answered(value: bytes) -> AnsweredContext:
    number, sub_items = _context_head(value)
    result = value[2]
    if result != ContextResult.ACCEPTED:
        # The sub-item is not significant then and some peers leave it out or malformed (PS3.8 9.3.3.2).
        return AnsweredContext(number, result, "")
    syntaxes = [uid_of(content) for kind, content in sub_items if kind == 0x40]
    return AnsweredContext(number, result, syntaxes[0] if syntaxes else "")


def _context_head(value: bytes) -> tuple[int, Iterator[tuple[int, bytes]]]:
    if len(value) < 4:
        raise InvalidPdu("presentation context item of less than 4 bytes", AbortReason.INVALID_PARAMETER)
    return value[0], items(value[4:])


def _check_ids(numbers: list[int]) -> None:
    # Odd integers between 1 and 255, each once (PS3.8 9.3.2.2), which also bounds their number.
    if len(set(numbers)) != len(numbers) or any(number % 2 == 0 for number in numbers):
        raise InvalidPdu("presentation context ids that are even or repeated", AbortReason.INVALID_PARAMETER)
