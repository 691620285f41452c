"""The upper layer's state machine: PS3.8 table 9-10 as a table, events in and effects out. Does no input or output."""

from enum import IntEnum

from broker.errors import BrokerError


class State(IntEnum):
    """PS3.8 tables 9-1 to 9-5. The comment says who acts next."""

    STA1 = 1  # idle: nobody
    STA2 = 2  # connection open, A-ASSOCIATE-RQ awaited: the peer, within ARTIM
    STA3 = 3  # A-ASSOCIATE response awaited: our services
    STA4 = 4  # connection being opened: the transport
    STA5 = 5  # A-ASSOCIATE-AC or -RJ awaited: the peer
    STA6 = 6  # established: either side
    STA7 = 7  # A-RELEASE-RP awaited: the peer
    STA8 = 8  # A-RELEASE response awaited: our services
    STA9 = 9  # release collision, requestor: our services
    STA10 = 10  # release collision, acceptor, A-RELEASE-RP awaited: the peer
    STA11 = 11  # release collision, requestor, A-RELEASE-RP awaited: the peer
    STA12 = 12  # release collision, acceptor: our services
    STA13 = 13  # connection about to close: the peer, within ARTIM


class Event(IntEnum):
    """PS3.8 table 9-10, left column."""

    ASSOCIATE_REQUEST = 1
    CONNECTION_CONFIRMED = 2
    ASSOCIATE_AC = 3
    ASSOCIATE_RJ = 4
    CONNECTION_INDICATED = 5
    ASSOCIATE_RQ = 6
    ACCEPT = 7
    REJECT = 8
    DATA_REQUEST = 9
    DATA_TF = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ = 12
    RELEASE_RP = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT = 16
    CONNECTION_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Effect(IntEnum):
    """What an action asks the transport or our services to do; the smallest pieces of PS3.8 tables 9-6 to 9-9."""

    CONNECT = 1
    SEND_ASSOCIATE_RQ = 2
    SEND_ASSOCIATE_AC = 3
    SEND_ASSOCIATE_RJ = 4
    SEND_DATA = 5
    SEND_RELEASE_RQ = 6
    SEND_RELEASE_RP = 7
    SEND_USER_ABORT = 8
    SEND_PROVIDER_ABORT = 9
    START_ARTIM = 10
    STOP_ARTIM = 11
    CLOSE = 12
    INDICATE_ASSOCIATE = 13
    CONFIRM_ACCEPTED = 14
    CONFIRM_REJECTED = 15
    INDICATE_DATA = 16
    INDICATE_RELEASE = 17
    CONFIRM_RELEASED = 18
    INDICATE_ABORT = 19
    INDICATE_PROVIDER_ABORT = 20


class ImpossibleEvent(BrokerError):
    """Our own code asked for something that the state does not allow: a blank field of table 9-10."""


_E = Effect
_S = State

# PS3.8 tables 9-6 to 9-9: what an action does, and the state it leads to. The two actions whose outcome depends on
# more than the state are split: AE-6 by whether the request is acceptable, AR-8 by which side we are.
ACTIONS: dict[str, tuple[tuple[Effect, ...], State]] = {
    "AE-1": ((_E.CONNECT,), _S.STA4),
    "AE-2": ((_E.SEND_ASSOCIATE_RQ,), _S.STA5),
    "AE-3": ((_E.CONFIRM_ACCEPTED,), _S.STA6),
    "AE-4": ((_E.CONFIRM_REJECTED, _E.CLOSE), _S.STA1),
    "AE-5": ((_E.START_ARTIM,), _S.STA2),
    "AE-6 acceptable": ((_E.STOP_ARTIM, _E.INDICATE_ASSOCIATE), _S.STA3),
    "AE-6 unacceptable": ((_E.SEND_ASSOCIATE_RJ, _E.START_ARTIM), _S.STA13),
    "AE-7": ((_E.SEND_ASSOCIATE_AC,), _S.STA6),
    "AE-8": ((_E.SEND_ASSOCIATE_RJ, _E.START_ARTIM), _S.STA13),
    "DT-1": ((_E.SEND_DATA,), _S.STA6),
    "DT-2": ((_E.INDICATE_DATA,), _S.STA6),
    "AR-1": ((_E.SEND_RELEASE_RQ,), _S.STA7),
    "AR-2": ((_E.INDICATE_RELEASE,), _S.STA8),
    "AR-3": ((_E.CONFIRM_RELEASED, _E.CLOSE), _S.STA1),
    "AR-4": ((_E.SEND_RELEASE_RP, _E.START_ARTIM), _S.STA13),
    "AR-5": ((_E.STOP_ARTIM,), _S.STA1),
    "AR-6": ((_E.INDICATE_DATA,), _S.STA7),
    "AR-7": ((_E.SEND_DATA,), _S.STA8),
    "AR-8 requestor": ((_E.INDICATE_RELEASE,), _S.STA9),
    "AR-8 acceptor": ((_E.INDICATE_RELEASE,), _S.STA10),
    "AR-9": ((_E.SEND_RELEASE_RP,), _S.STA11),
    "AR-10": ((_E.CONFIRM_RELEASED,), _S.STA12),
    "AA-1": ((_E.SEND_USER_ABORT, _E.START_ARTIM), _S.STA13),
    "AA-2": ((_E.STOP_ARTIM, _E.CLOSE), _S.STA1),
    "AA-3": ((_E.INDICATE_ABORT, _E.CLOSE), _S.STA1),
    "AA-4": ((_E.INDICATE_PROVIDER_ABORT,), _S.STA1),
    "AA-5": ((_E.STOP_ARTIM,), _S.STA1),
    "AA-6": ((), _S.STA13),
    "AA-7": ((_E.SEND_PROVIDER_ABORT,), _S.STA13),
    "AA-8": ((_E.SEND_PROVIDER_ABORT, _E.INDICATE_PROVIDER_ABORT, _E.START_ARTIM), _S.STA13),
}

# PS3.8 table 9-10, a row for each event, a column for each state; "" is a blank field.
_TABLE: dict[Event, str] = {
    # state                       1     2    3    4    5    6    7    8    9    10   11   12   13
    Event.ASSOCIATE_REQUEST: "    AE-1  .    .    .    .    .    .    .    .    .    .    .    .",
    Event.CONNECTION_CONFIRMED: " .     .    .    AE-2 .    .    .    .    .    .    .    .    .",
    Event.ASSOCIATE_AC: "         .     AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    Event.ASSOCIATE_RJ: "         .     AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    Event.CONNECTION_INDICATED: " AE-5  .    .    .    .    .    .    .    .    .    .    .    .",
    Event.ASSOCIATE_RQ: "         .     AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-7",
    Event.ACCEPT: "               .     .    AE-7 .    .    .    .    .    .    .    .    .    .",
    Event.REJECT: "               .     .    AE-8 .    .    .    .    .    .    .    .    .    .",
    Event.DATA_REQUEST: "         .     .    .    .    .    DT-1 .    AR-7 .    .    .    .    .",
    Event.DATA_TF: "              .     AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    Event.RELEASE_REQUEST: "      .     .    .    .    .    AR-1 .    .    .    .    .    .    .",
    Event.RELEASE_RQ: "           .     AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    Event.RELEASE_RP: "           .     AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6",
    Event.RELEASE_RESPONSE: "     .     .    .    .    .    .    .    AR-4 AR-9 .    .    AR-4 .",
    Event.ABORT_REQUEST: "        .     .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 .",
    Event.ABORT: "                .     AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-2",
    Event.CONNECTION_CLOSED: "    .     AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AR-5",
    Event.ARTIM_EXPIRED: "        .     AA-2 .    .    .    .    .    .    .    .    .    .    AA-2",
    Event.INVALID_PDU: "          .     AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-7",
}

TRANSITIONS: dict[tuple[Event, State], str] = {
    (event, state): action
    for event, row in _TABLE.items()
    for state, action in zip(State, row.split(), strict=True)
    if action != "."
}

_OUTCOMES: dict[bool, dict[tuple[Event, State], tuple[tuple[Effect, ...], State]]] = {
    requestor: {
        key: ACTIONS[{"AR-8": f"AR-8 {side}", "AE-6": "AE-6 acceptable"}.get(action, action)]
        for key, action in TRANSITIONS.items()
    }
    for requestor, side in ((True, "requestor"), (False, "acceptor"))
}


class Machine:
    """The state of one association, and what each event does to it."""

    __slots__ = ("_outcomes", "state")

    def __init__(self, requestor: bool) -> None:
        self._outcomes = _OUTCOMES[requestor]
        self.state = State.STA1

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Take `event`, change the state, and return what has to be done; raise ImpossibleEvent."""
        outcome = self._outcomes.get((event, self.state))
        if outcome is None:
            raise ImpossibleEvent(f"{event.name} is not possible in state {self.state.name}")
        effects, self.state = outcome
        return effects

    def refuse(self) -> tuple[Effect, ...]:
        """Take an A-ASSOCIATE-RQ that the upper layer itself cannot accept (AE-6, second half)."""
        if self.state is not State.STA2:
            return self.step(Event.ASSOCIATE_RQ)
        effects, self.state = ACTIONS["AE-6 unacceptable"]
        return effects
