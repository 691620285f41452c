"""MPPS through the whole product: order, exam, word to the RIS and to the next provider; and an end at any point."""

from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.peers.broker import Environment
from tests.peers.processes import wait_for
from tests.scenarios.kills import tried
from tests.scenarios.test_main_job import send_order
from tests.unit.outbox.ris import ris
from tests.unit.procedures.building import UID, creation, encoded, ending, item
from tests.wire.test_mpps import Console, console, next_provider

pytestmark = [pytest.mark.foreign, pytest.mark.slow]

PASSED_ON = """\
[[mpps.destinations]]
name = "ris-mpps"
host = "127.0.0.1"
port = {port}
ae_title = "RIS_MPPS"
"""
RECEIVER = """\
[[receivers]]
name = "ris"
host = "127.0.0.1"
port = {port}
"""
EXAM = creation(
    item(
        StudyInstanceUID="1.9.1",
        AccessionNumber="A1",
        RequestedProcedureID="RP200",
        ScheduledProcedureStepID="S1",
    )
)


def state_of(environment: Environment) -> str:
    """How the order stands, as a person sees it."""
    (row,) = environment.ask("order", "list")
    return str(row["state"])


def test_an_exam_is_told_to_the_ris_and_passed_on(tmp_path: Path) -> None:
    with ris() as receiver, next_provider() as provider:
        toml = RECEIVER.format(port=receiver.port) + PASSED_ON.format(port=provider.port)
        environment = Environment(tmp_path, destinations=toml, ae_title="BROKER").write()
        with environment.serving():
            environment.register()
            send_order(environment, "A1", "T")
            with console(environment.ports["dicom"], calling="US_ROOM2") as modality:
                assert modality.create(EXAM).Status == 0
                assert state_of(environment) == "started"
                assert modality.set(ending()).Status == 0
                assert modality.get()[1].PerformedProcedureStepStatus == "COMPLETED"
            assert state_of(environment) == "completed"
            wait_for("the RIS is told", lambda: len(receiver.got) == 2)
            wait_for("the MPPS is passed on", lambda: len(provider.got) == 2)
    assert [b"|IP|" in message for message in receiver.got] == [True, False]
    assert provider.got == [("create", UID, encoded(EXAM)), ("set", UID, encoded(ending()))]


# The first commit of orders is the order itself; the place and which time it is passed.
POINTS = {
    "create, before its commit": ("orders.commit.before", 2),
    "create, after its commit": ("orders.commit.after", 2),
    "create, before its answer": ("normalized.answer.before", 1),
    "create, after its answer": ("normalized.answer.after", 1),
    "set, before its commit": ("orders.commit.before", 3),
    "set, after its commit": ("orders.commit.after", 3),
    "set, before its answer": ("normalized.answer.before", 2),
    "set, after its answer": ("normalized.answer.after", 2),
    "passing on, before it is leased": ("mpps-lease.commit.before", 2),
    "passing on, leased": ("mpps-lease.commit.after", 2),
    "passing on, before it is sent": ("mpps.send.before", 1),
    "passing on, sent and answered": ("mpps.send.after", 1),
    "passing on, before it is recorded": ("mpps-outcome.commit.before", 1),
    "passing on, recorded": ("mpps-outcome.commit.after", 1),
}


# pynetdicom leaves the socket of an association open whose peer was killed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("point", tried(list(POINTS), 8))
def test_an_exam_survives_an_end_at_any_point(tmp_path: Path, point: str) -> None:
    place, nth = POINTS[point]
    with next_provider() as provider:
        toml = PASSED_ON.format(port=provider.port)
        environment = Environment(tmp_path, destinations=toml, ae_title="BROKER").write()
        first = environment.start(BROKER_TEST_HOOKS="1", BROKER_FAIL=f"{place}:{nth}:killall")
        try:
            environment.register()
            send_order(environment, "A1", "T")
            with suppress(AttributeError, AssertionError, RuntimeError), _modality(environment) as modality:
                _perform(modality)
            wait_for("the failpoint was passed", lambda: first.process.poll() is not None)
        finally:
            first.kill()
        with environment.serving():
            with _modality(environment) as modality:  # as a console does that got no answer
                assert modality.create(EXAM).Status in (0x0000, 0x0111)
                assert modality.set(ending()).Status in (0x0000, 0x0110)
                last = modality.set(ending())
                assert (last.Status, last.ErrorID) == (0x0110, 0xA710)
            assert state_of(environment) == "completed"
            wait_for("the MPPS is passed on", lambda: _is_passed_on(environment))
    # Once more where the answer was lost; never out of order, never another content.
    assert list(dict.fromkeys(provider.got)) == [("create", UID, encoded(EXAM)), ("set", UID, encoded(ending()))]
    assert len(provider.got) <= 3


def _modality(environment: Environment) -> AbstractContextManager[Console]:
    return console(environment.ports["dicom"], calling="US_ROOM2")


def _perform(modality: Console) -> None:
    answers: list[Dataset] = [modality.create(EXAM), modality.set(ending())]
    assert all(answer.Status == 0 for answer in answers)


def _is_passed_on(environment: Environment) -> bool:
    shown = environment.ask("procedure", "show", UID)
    return [each["state"] for each in shown["passed_on"]] == ["delivered", "delivered"]
