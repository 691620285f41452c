import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from broker.dimse.state import ACTIONS, TRANSITIONS, Effect, Event, ImpossibleEvent, Machine, State


def test_table_agrees_with_the_second_opinion_in_every_field() -> None:
    ours = {(f"Evt{event}", f"Sta{state}"): action for (event, state), action in TRANSITIONS.items()}
    assert ours == TRANSITION_TABLE


@pytest.mark.parametrize("requestor", [True, False])
@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_every_field_leads_where_its_action_says_or_is_impossible(event: Event, state: State, requestor: bool) -> None:
    machine = Machine(requestor)
    machine.state = state
    action = TRANSITIONS.get((event, state))
    if action is None:
        with pytest.raises(ImpossibleEvent):
            machine.step(event)
        assert machine.state is state
        return
    if action == "AR-8":
        action = "AR-8 requestor" if requestor else "AR-8 acceptor"
    effects, after = ACTIONS["AE-6 acceptable" if action == "AE-6" else action]
    assert machine.step(event) == effects
    assert machine.state is after


def test_unacceptable_request_is_answered_and_the_connection_about_to_close() -> None:
    machine = Machine(requestor=False)
    machine.step(Event.CONNECTION_INDICATED)
    assert Effect.SEND_ASSOCIATE_RJ in machine.refuse()
    assert machine.state is State.STA13


def test_release_collision_ends_for_both_sides() -> None:
    requestor, acceptor = Machine(requestor=True), Machine(requestor=False)
    requestor.state = acceptor.state = State.STA6
    for machine in (requestor, acceptor):
        machine.step(Event.RELEASE_REQUEST)
        machine.step(Event.RELEASE_RQ)
    assert (requestor.state, acceptor.state) == (State.STA9, State.STA10)
    requestor.step(Event.RELEASE_RESPONSE)
    acceptor.step(Event.RELEASE_RP)
    acceptor.step(Event.RELEASE_RESPONSE)
    requestor.step(Event.RELEASE_RP)
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA13)
