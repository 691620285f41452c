"""PS3.8 table 9-10, every field of it over the wire: the product on one side, raw PDUs on the other.

A field counts as driven when the product's own machine took the event in that state, and the peer saw what the action
of the field lets it see.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from broker.dimse import message
from broker.dimse.connection import Connection
from broker.dimse.link import Link
from broker.dimse.pdu import encode_associate_rj
from broker.dimse.pdu_link import ReleaseAsked
from broker.dimse.service import ProposedContext, Rejection
from broker.dimse.state import TRANSITIONS, Effect, Event, Machine, State
from broker.errors import Unavailable
from tests.peers.processes import wait_for
from tests.wire.dimse import raw_peer
from tests.wire.dimse.provider import Keeping
from tests.wire.dimse.raw_peer import RawPeer, pdu
from tests.wire.dimse.stages import ACCEPT, LIMITS, PATIENT, STAGES, Stage, call, calling, read, releasing, served

Cell = tuple[Event, State]

PDUS = {
    Event.ASSOCIATE_RQ: raw_peer.rq(),
    Event.ASSOCIATE_AC: ACCEPT,
    Event.ASSOCIATE_RJ: encode_associate_rj(Rejection(1, 1, 1)),
    Event.DATA_TF: raw_peer.echo(),
    Event.RELEASE_RQ: raw_peer.RELEASE_REQUEST,
    Event.RELEASE_RP: raw_peer.RELEASE_RESPONSE,
    Event.ABORT: raw_peer.ABORT,
    Event.INVALID_PDU: pdu(0x99, b"1234"),
}
BEGUN = b"\x04\0"  # of a PDU that never goes on: our deadline has to end it
CLOSED = (0, b"")
USER_ABORT = (7, b"\0\0\0\0")
# What a peer sees of an action, where that is the same in every state: PS3.8 tables 9-6 to 9-9.
SIGHTS: dict[str, Callable[[tuple[int, bytes]], bool]] = {
    "AA-1": lambda seen: seen == USER_ABORT,
    "AA-2": lambda seen: seen == CLOSED,
    "AA-3": lambda seen: seen == CLOSED,
    "AA-4": lambda seen: seen == CLOSED,
    "AA-5": lambda seen: seen == CLOSED,
    "AA-6": lambda seen: seen == CLOSED,  # no answer; ARTIM ends it
    "AA-7": lambda seen: seen[0] == 7 and seen[1][2] == 2,
    "AA-8": lambda seen: seen[0] == 7 and seen[1][2] == 2,
    "AR-3": lambda seen: seen == CLOSED,
    "AR-5": lambda seen: seen == CLOSED,
}


def _send(content: bytes, stage: Stage) -> None:
    stage.send(content)


def _close(stage: Stage) -> None:
    # Who has sent nothing in Sta2 is the listener's, and costs no machine.
    stage.close(BEGUN)


DRIVERS: dict[Event, Callable[[Stage], None]] = {
    **{event: partial(_send, content) for event, content in PDUS.items()},
    Event.ABORT_REQUEST: partial(_send, BEGUN),
    Event.ARTIM_EXPIRED: partial(_send, BEGUN),
    Event.CONNECTION_CLOSED: _close,
}
# Fields that are driven alike: bring the product into the state, let the event happen, look at what the peer sees.
ALIKE = [
    cell
    for cell, action in TRANSITIONS.items()
    if action in SIGHTS and cell[0] in DRIVERS and cell[1] in STAGES
]  # fmt: skip


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """What every machine takes, in which state."""
    cells: list[Cell] = []
    step = Machine.step

    def recorded(machine: Machine, event: Event) -> tuple[Effect, ...]:
        cells.append((event, machine.state))
        return step(machine, event)

    monkeypatch.setattr(Machine, "step", recorded)
    return cells


def _name(cell: Cell) -> str:
    return f"{cell[1].name}-{cell[0].name}"


@pytest.mark.parametrize("cell", ALIKE, ids=_name)
def test_event_in_state(cell: Cell, taken: list[Cell]) -> None:
    event, state = cell
    with STAGES[state]() as stage:
        DRIVERS[event](stage)
        assert SIGHTS[TRANSITIONS[cell]](stage.peer.read())
    wait_for("the machine takes it", lambda: cell in taken)


# --- the others, in the conversations in which they belong -------------------------------------------------------


def _echo_of_peer() -> None:
    with served(PATIENT) as (_, port), RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq())
        read(peer, 2)
        peer.send(raw_peer.echo())
        assert peer.response().field == 0x8030
        peer.send(raw_peer.RELEASE_REQUEST)
        read(peer, 6)


def _refused_by_services() -> None:
    with served(PATIENT, Keeping(rejection=Rejection(1, 1, 3))) as (_, port), RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq())
        assert peer.read() == (3, b"\0\1\1\3")


def _echo_of_ours() -> None:
    with calling(PATIENT, echoes=1) as accepted:
        peer = accepted()
        read(peer, 1)
        peer.send(ACCEPT)
        read(peer, 4)
        peer.send(_echo_response())
        read(peer, 5)
        peer.send(raw_peer.RELEASE_RESPONSE)
        read(peer, 0)


def _refused_by_peer() -> None:
    with calling(PATIENT) as accepted:
        peer = accepted()
        read(peer, 1)
        peer.send(PDUS[Event.ASSOCIATE_RJ])
        read(peer, 0)


def _data_while_we_release() -> None:
    with STAGES[State.STA7]() as stage:
        stage.send(_echo_response(), raw_peer.RELEASE_RESPONSE)
        read(stage.peer, 0)


def _collision_for_the_requestor() -> None:
    with STAGES[State.STA7]() as stage:
        stage.send(raw_peer.RELEASE_REQUEST)
        read(stage.peer, 6)
        stage.send(raw_peer.RELEASE_RESPONSE)
        read(stage.peer, 0)


def _collision_for_the_acceptor() -> None:
    with releasing() as peer:
        peer.send(raw_peer.RELEASE_REQUEST)
        peer.send(raw_peer.RELEASE_RESPONSE)
        read(peer, 6)
        peer.socket.shutdown(socket.SHUT_WR)
        read(peer, 0)


def _data_before_the_release_is_answered() -> None:
    # Our services answer one message after the other, so that none of theirs has anything to send in Sta8.
    with _link() as (link, peer):
        peer.send(raw_peer.rq())
        link.await_request(lambda request: None)
        link.act(Event.ACCEPT, ACCEPT)
        peer.send(raw_peer.RELEASE_REQUEST)
        with pytest.raises(ReleaseAsked):
            link.next_command(1.0)
        link.send_data(_echo_response())
        link.answer_release()
        read(peer, 2, 4, 6)


def _listener_that_accepts_late() -> None:
    limits = replace(LIMITS, answer=5.0)
    with _full_listener() as listening, calling(limits, listening=listening) as accepted:
        listening.accept()[0].close()  # room: the next SYN that our requestor sends is answered
        read(accepted(), 1)


def _listener_that_never_accepts() -> None:
    with _full_listener() as listening, calling(replace(LIMITS, connect=0.3), listening=listening):
        pass


def _port_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    with pytest.raises(Unavailable, match="nothing listens"):
        call(address[1])


CONVERSATIONS: dict[Callable[[], None], tuple[Cell, ...]] = {
    _echo_of_peer: (
        (Event.CONNECTION_INDICATED, State.STA1),
        (Event.ASSOCIATE_RQ, State.STA2),
        (Event.ACCEPT, State.STA3),
        (Event.DATA_TF, State.STA6),
        (Event.DATA_REQUEST, State.STA6),
        (Event.RELEASE_RQ, State.STA6),
        (Event.RELEASE_RESPONSE, State.STA8),
    ),
    _refused_by_services: ((Event.REJECT, State.STA3),),
    _echo_of_ours: (
        (Event.ASSOCIATE_REQUEST, State.STA1),
        (Event.CONNECTION_CONFIRMED, State.STA4),
        (Event.ASSOCIATE_AC, State.STA5),
        (Event.RELEASE_REQUEST, State.STA6),
    ),
    _refused_by_peer: ((Event.ASSOCIATE_RJ, State.STA5),),
    _data_while_we_release: ((Event.DATA_TF, State.STA7),),
    _collision_for_the_requestor: ((Event.RELEASE_RQ, State.STA7), (Event.RELEASE_RESPONSE, State.STA9)),
    _collision_for_the_acceptor: (
        (Event.RELEASE_RQ, State.STA7),
        (Event.RELEASE_RP, State.STA10),
        (Event.RELEASE_RESPONSE, State.STA12),
    ),
    _data_before_the_release_is_answered: ((Event.DATA_REQUEST, State.STA8),),
    _listener_that_accepts_late: ((Event.CONNECTION_CONFIRMED, State.STA4),),
    _listener_that_never_accepts: ((Event.ABORT_REQUEST, State.STA4),),
    _port_that_nobody_listens_on: ((Event.CONNECTION_CLOSED, State.STA4),),
}


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda run: run.__name__.strip("_"))
def test_conversation(conversation: Callable[[], None], taken: list[Cell]) -> None:
    conversation()
    for cell in CONVERSATIONS[conversation]:
        wait_for(_name(cell), lambda cell=cell: cell in taken)  # type: ignore[misc]


def test_request_that_the_upper_layer_cannot_take_is_refused_by_it() -> None:
    """AE-6, the half of the field (A-ASSOCIATE-RQ, Sta2) that the table leaves to the request."""
    context = (ProposedContext(1, raw_peer.VERIFICATION, (raw_peer.IMPLICIT,)),)
    with served() as (_, port), RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq(context, maximum_length=4))
        assert peer.read() == (3, b"\0\1\2\1")


def test_every_field_of_the_table_is_driven_over_the_wire() -> None:
    driven = {*ALIKE, *(cell for cells in CONVERSATIONS.values() for cell in cells)}
    assert driven == set(TRANSITIONS)


# --- what the conversations need ---------------------------------------------------------------------------------


def _echo_response() -> bytes:
    request = message.decode(message.echo_request(1, raw_peer.VERIFICATION))
    return raw_peer.data(1, 3, message.response(request, 0x0000))


@contextmanager
def _link() -> Iterator[tuple[Link, RawPeer]]:
    with socket.create_server(("127.0.0.1", 0)) as listening, RawPeer.connect(listening.getsockname()[1]) as peer:
        link = Link(Connection(listening.accept()[0], PATIENT), PATIENT, Machine(requestor=False))
        link.act(Event.CONNECTION_INDICATED)
        yield link, peer
        link.connection.close()


@contextmanager
def _full_listener() -> Iterator[socket.socket]:
    """A listener whose queue of one connection is full: the next one is not opened before it accepts."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listening,
        socket.create_connection(listening.getsockname(), 5),
    ):
        yield listening
