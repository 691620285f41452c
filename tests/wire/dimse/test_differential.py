"""The same conversations with our acceptor and with pynetdicom's; every difference is listed with its reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from broker.dimse import message
from broker.dimse.contexts import STORAGE_SYNTAXES, UNCOMPRESSED
from broker.dimse.items import ExtendedNegotiation, Role, UserIdentity, UserInformation, item
from broker.dimse.message import Element
from broker.dimse.pdu import AssociateRq, decode_associate_ac, encode_associate_rq
from broker.dimse.service import FindAnswer, ProposedContext
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import Serve
from tests.wire.dimse.raw_peer import IMPLICIT, ULTRASOUND, VERIFICATION, WORKLIST, RawPeer, data, pdu
from tests.wire.dimse.test_acceptor_states import PDUS
from tests.wire.dimse.test_bad_input import ABORTED, ANSWERED, DATA, FIND, STORE, command

Seen = list[object]


def asked(user: UserInformation | None = None, **fields: Any) -> bytes:
    return encode_associate_rq(
        AssociateRq("BROKER", "PEER", raw_peer.CONTEXTS, user or UserInformation(16384, "1.2.3.4", "RAW"), **fields)
    )


def offered(*contexts: ProposedContext) -> bytes:
    return encode_associate_rq(AssociateRq("BROKER", "PEER", contexts, UserInformation(16384, "1.2.3.4", "RAW")))


NEGOTIATIONS = {
    "plain": raw_peer.rq(),
    "unknown class": offered(ProposedContext(1, "1.2.3", (IMPLICIT,)), ProposedContext(3, VERIFICATION, (IMPLICIT,))),
    "unknown syntax": offered(ProposedContext(1, VERIFICATION, ("1.2.3",)), ProposedContext(3, WORKLIST, (IMPLICIT,))),
    "nothing fits": offered(ProposedContext(1, "1.2.3", (IMPLICIT,))),
    "syntaxes against our order": offered(ProposedContext(1, ULTRASOUND, tuple(reversed(STORAGE_SYNTAXES)))),
    "lossy before lossless": offered(
        ProposedContext(1, ULTRASOUND, ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"))
    ),
    "same class twice": offered(
        ProposedContext(1, ULTRASOUND, (IMPLICIT,)), ProposedContext(9, ULTRASOUND, (IMPLICIT,))
    ),
    "window": asked(UserInformation(16384, "1.2.3.4", "RAW", operations_window=(5, 5))),
    "identity": asked(UserInformation(16384, "1.2.3.4", "RAW", identity=UserIdentity(1, False, b"u", b""))),
    "identity with answer": asked(UserInformation(16384, "1.2.3.4", "RAW", identity=UserIdentity(1, True, b"u", b""))),
    "extended storage": asked(
        UserInformation(16384, "1.2.3.4", "RAW", extended=(ExtendedNegotiation(ULTRASOUND, bytes(6)),))
    ),
    "role of the user": asked(UserInformation(16384, "1.2.3.4", "RAW", roles=(Role(ULTRASOUND, True, False),))),
    "role of the provider": asked(UserInformation(16384, "1.2.3.4", "RAW", roles=(Role(ULTRASOUND, False, True),))),
    "protocol version 2": asked(protocol_version=2),
    "other application context": asked(application_context="1.2.3"),
    "unlimited length": raw_peer.rq(maximum_length=0),
    "unknown item": pdu(1, raw_peer.rq()[6:] + item(0x99, b"xx")),
}
CONVERSATIONS: dict[str, list[bytes]] = {
    **{f"negotiation: {name}": [sent] for name, sent in NEGOTIATIONS.items()},
    **{f"first: {name}": [sent] for name, sent in PDUS.items() if name != "rq"},
    **{f"established: {name}": [raw_peer.rq(), sent] for name, sent in PDUS.items()},
    **{f"message: {name}": [raw_peer.rq(), sent] for name, (sent, _, _) in ANSWERED.items()},
    **{f"message: {name}": [raw_peer.rq(), sent] for name, sent in ABORTED.items()},
    "find": [raw_peer.rq(), data(3, 3, command(**FIND, **DATA)) + data(3, 2, b"\x10\0\x20\0\0\0\0\0")],
    "late cancel": [raw_peer.rq(), data(3, 3, message.cancel_request(1)) + raw_peer.echo(2)],
    "two requests at once": [raw_peer.rq(), raw_peer.echo(1) + raw_peer.echo(2)],
    "store, echo, release": [
        raw_peer.rq(),
        data(5, 3, command(**STORE, **DATA)) + data(5, 2, b"\x10\0\x20\0\2\0\0\0001 "),
        raw_peer.echo(2),
        raw_peer.RELEASE_REQUEST,
    ],
}

# What differs, and why ours is meant to.
_UID = "an instance that cannot be named is refused with a status that says so; nothing is kept under such a name"
_STATUS = "a status tells the sender what is wrong and keeps its other images coming; an abort loses them all"
_BROKEN = "a broken command set is aborted at once; there, an exception ends the reactor and the connection with it"
_STRICT = "what does not belong together is a violation, not something to guess at"
DIFFERENCES: dict[str, str] = {
    "negotiation: syntaxes against our order": "the first syntax offered that loses nothing, so that nobody converts",
    "negotiation: window": "answered with 1/1 where it is asked for (PS3.7 D.3.3.3)",
    "negotiation: extended storage": "answered with level 2, all attributes kept (PS3.4 B.3.1)",
    "negotiation: role of the provider": "the role is answered as refused; there it is left out (PS3.7 D.3.3.4)",
    "negotiation: other application context": "another application context is not DICOM (PS3.8 9.3.2.1)",
    "negotiation: unknown item": "unrecognized items are ignored (PS3.8 9.3.1)",
    "first: unknown": "aborted at once (PS3.8 table 9-10, Evt19 in Sta2); there nothing happens until a time-out",
    "established: invalid": "an A-RELEASE-RQ has 4 bytes (PS3.8 9.3.6)",
    "message: unknown command": "status 0211, unrecognized operation; there an exception ends the connection",
    "message: C-MOVE": "status 0211, unrecognized operation (PS3.7 C.5.16); there nothing until a time-out",
    "message: find without identifier": "a query without keys is a mistake; there the service is asked all the same",
    "message: find on a storage context": _STATUS,
    "message: find of another class": _STATUS,
    "message: store with priority 7": "the priority is not used, so it cannot be wrong enough to lose an image",
    "message: store without data set": "an empty instance is no instance",
    "message: store on a worklist context": "storage was not negotiated there",
    "message: store of another class": _STATUS,
    "message: command instead of data": _STRICT,
    "message: data on another context": _STRICT,
    "message: response without a request": _STRICT,
    "message: no command field": _BROKEN,
    "message: no data set type": _BROKEN,
    "message: element of another group": _BROKEN,
    "message: element beyond the command": _BROKEN,
    **{name: _UID for name in CONVERSATIONS if name.startswith("message: store of instance ")},
}


def seen_of(kind: int, body: bytes) -> object:
    if kind == 2:
        answer = decode_associate_ac(body)
        contexts = sorted((each.id, each.result, each.transfer_syntax) for each in answer.contexts)
        return ("ac", contexts, answer.user.operations_window, answer.user.roles, len(answer.user.extended))
    if kind == 3:
        return ("rj", *body[1:4])
    if kind == 4:
        received = message.decode(body[6 : 4 + int.from_bytes(body[:4], "big")])
        return ("response", hex(received.field), hex(received.number(Element.STATUS) or 0))
    if kind == 7:
        return "abort"  # pynetdicom gives no reasons; ours are checked elsewhere
    return {0: "closed", 5: "release-rq", 6: "release-rp"}[kind]


def converse(port: int, parts: list[bytes]) -> Seen:
    seen: Seen = []
    with RawPeer.connect(port, 1.5) as peer:
        for part in parts:
            try:
                peer.send(part)
                seen.append(seen_of(*peer.read()))
            except TimeoutError:
                seen.append("silence")
            except ConnectionError:
                seen.append("closed")
    return seen


@contextmanager
def second_opinion() -> Iterator[int]:
    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0x0000, None

    entity = AE("BROKER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 1.0
    for uid in (VERIFICATION, WORKLIST):
        entity.add_supported_context(uid, list(UNCOMPRESSED))
    entity.add_supported_context(ULTRASOUND, [IMPLICIT, *STORAGE_SYNTAXES], scu_role=True, scp_role=False)
    handlers = [(evt.EVT_C_STORE, lambda event: 0x0000), (evt.EVT_C_FIND, find)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", list(CONVERSATIONS))
def test_conversation(serve: Serve, name: str) -> None:
    port, provider = serve()
    provider.find_answers = [FindAnswer(0x0000)]
    ours = converse(port, CONVERSATIONS[name])
    with second_opinion() as other:
        theirs = converse(other, CONVERSATIONS[name])
    if name in DIFFERENCES:
        assert ours != theirs, "the difference is gone: take it off the list"
    else:
        assert ours == theirs
