"""What is agreed before the first message: contexts, roles, lengths (PS3.8 annex D, PS3.7 annex D.3). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from broker.dimse import contexts as served
from broker.dimse.contexts import Supported
from broker.dimse.items import ExtendedNegotiation, Role, UserInformation
from broker.dimse.pdu import (
    APPLICATION_CONTEXT,
    AnsweredContext,
    AssociateAc,
    AssociateRq,
    ContextResult,
)
from broker.dimse.service import AcceptedContext, Peer, ProposedContext, Rejection
from broker.errors import Rejected
from broker.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
NO_REASON_GIVEN = Rejection(1, 2, 1)

# A PDV needs six bytes around at least two of data, since fragments have even length.
_SMALLEST_MAXIMUM_LENGTH = 8
_LARGEST_CONTEXT_COUNT = 128


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our answer to a request, and what it means for us."""

    answer: AssociateAc
    contexts: tuple[AcceptedContext, ...]
    maximum_length: int  # of the P-DATA that the peer takes; 0 is unlimited


def objection(request: AssociateRq) -> Rejection | None:
    """Return why the upper layer itself cannot take this request, before any service is asked."""
    if not request.protocol_version & 1:  # PS3.8 table 9-11: only bit 0 is tested
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    if 0 < request.user.maximum_length < _SMALLEST_MAXIMUM_LENGTH:
        return NO_REASON_GIVEN
    return None


def agree(request: AssociateRq, supported: Mapping[str, Supported], maximum_length: int) -> Agreement:
    """Return what we accept of `request`; `maximum_length` is that of the P-DATA that we take."""
    roles = tuple(_role(role, supported) for role in request.user.roles if role.sop_class_uid in supported)
    without_role = {role.sop_class_uid for role in roles if not (role.scu or role.scp)}
    answered = tuple(_context(context, supported, without_role) for context in request.contexts)
    user = UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        # We answer one operation after the other (PS3.7 D.3.3.3).
        operations_window=None if request.user.operations_window is None else (1, 1),
        roles=roles,
        extended=tuple(filter(None, map(_extended, request.user.extended))),
        # User identity is not verified here, and an acceptor that does not support it answers nothing
        # (PS3.7 D.3.3.7): a positive answer would claim a check that nobody made.
    )
    answer = AssociateAc(request.called_ae_title, request.calling_ae_title, answered, user)
    return Agreement(answer, _accepted(request.contexts, answered), request.user.maximum_length)


def propose(peer: Peer, wanted: Iterable[tuple[str, str]], roles: Iterable[Role], maximum_length: int) -> AssociateRq:
    """Return a request with a context for each (SOP class, transfer syntax); raise Rejected over 128 of them."""
    pairs = list(dict.fromkeys(wanted))
    if len(pairs) > _LARGEST_CONTEXT_COUNT:
        raise Rejected(f"{len(pairs)} presentation contexts are wanted, one association has at most 128")
    proposed = tuple(ProposedContext(2 * n + 1, sop_class, (syntax,)) for n, (sop_class, syntax) in enumerate(pairs))
    user = UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        roles=tuple(roles),
    )
    return AssociateRq(peer.called_ae_title, peer.calling_ae_title, proposed, user)


def outcome(request: AssociateRq, answer: AssociateAc) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Return the context id of each accepted (SOP class, syntax), and the result code of each refused one."""
    results = {context.id: context for context in answer.contexts}
    accepted: dict[tuple[str, str], int] = {}
    refused: dict[tuple[str, str], int] = {}
    for context in request.contexts:
        pair = (context.abstract_syntax, context.transfer_syntaxes[0])
        answered = results.get(context.id)
        if answered is None:
            refused[pair] = ContextResult.NO_REASON
        elif answered.result != ContextResult.ACCEPTED:
            refused[pair] = answered.result
        elif answered.transfer_syntax != context.transfer_syntaxes[0]:
            # An acceptance of something that was not proposed is none.
            refused[pair] = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        else:
            accepted[pair] = context.id
    return accepted, refused


def _context(context: ProposedContext, supported: Mapping[str, Supported], without_role: set[str]) -> AnsweredContext:
    offered = context.transfer_syntaxes
    first = offered[0] if offered else served.IMPLICIT_VR_LITTLE_ENDIAN
    service = supported.get(context.abstract_syntax)
    if service is None:
        return AnsweredContext(context.id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, _echoed(first))
    if context.abstract_syntax in without_role:
        return AnsweredContext(context.id, ContextResult.USER_REJECTION, _echoed(first))
    syntax = _chosen(offered, service.transfer_syntaxes)
    if syntax:
        return AnsweredContext(context.id, ContextResult.ACCEPTED, syntax)
    return AnsweredContext(context.id, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, _echoed(first))


def _chosen(offered: Iterable[str], supported: Iterable[str]) -> str | None:
    """Return the transfer syntax of a context that offers several.

    The sender's own first among the SAFE ones, so that it sends what it has as it has it; another only when there is
    no such, since a sender that has the choice could compress lossily for us, or to what no receiver takes.
    """
    usable = set(supported)
    safe = next((syntax for syntax in offered if syntax in usable and syntax in served.SAFE), None)
    return safe or next((syntax for syntax in supported if syntax in set(offered)), None)


def _echoed(syntax: str) -> str:
    # Not significant (PS3.8 9.3.3.2), so nothing long of a peer's is sent back.
    return syntax if len(syntax) <= 64 else served.IMPLICIT_VR_LITTLE_ENDIAN


def _accepted(
    proposed: tuple[ProposedContext, ...], answered: tuple[AnsweredContext, ...]
) -> tuple[AcceptedContext, ...]:
    return tuple(
        AcceptedContext(context.id, context.abstract_syntax, answer.transfer_syntax)
        for context, answer in zip(proposed, answered, strict=True)
        if answer.result == ContextResult.ACCEPTED
    )


def _role(role: Role, supported: Mapping[str, Supported]) -> Role:
    # PS3.7 D.3.3.4: a role that was not proposed cannot be accepted.
    return Role(role.sop_class_uid, role.scu, role.scp and supported[role.sop_class_uid].peer_may_be_scp)


def _extended(asked: ExtendedNegotiation) -> ExtendedNegotiation | None:
    if asked.sop_class_uid in served.STORAGE:
        # PS3.4 B.3.1.4: level 2, all attributes kept; no digital signatures; no coercion.
        return ExtendedNegotiation(asked.sop_class_uid, bytes((2, 0, 0, 0, 0, 0)))
    if asked.sop_class_uid in served.FIND:
        # PS3.4 K.4.1.1.3: bytes 1 and 2 are reserved as 1; no fuzzy names, no time zone adjustment.
        return ExtendedNegotiation(asked.sop_class_uid, bytes((1, 1, 0, 0))[: max(len(asked.information), 3)])
    return None
