"""Devices ask us to answer for their instances: pynetdicom as a console that waits, leaves, refuses or forgets."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from broker.commitment.devices import reporting
from tests.peers.archive import INSTANCE, PUSH, Archive, Where, archive
from tests.peers.dcmtk import Node
from tests.peers.raw_sender import DataSet, send
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set
from tests.wire.commitment_world import (
    Console,
    World,
    action,
    committed,
    destination,
    failed,
    routed,
    world,
)

UIDS = ("1.2.1", "1.2.2")
TRANSACTION = "2.25.99"


class Stage:
    """Opens a PACS and a world that delivers to it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack

    def __call__(self, mode: str = "own", report: str = "either", **settings: Any) -> tuple[World, Archive]:
        pacs = self._stack.enter_context(archive(**settings))
        keys = destination(pacs) + routed("pacs")
        here = self._stack.enter_context(world(self._folder, keys, mode=mode, report=report))
        pacs.reports_to = here.port
        return here, pacs


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


def test_a_device_that_waits_is_told_on_the_association_that_asked(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    here.store(*UIDS)
    with console.calling(here.port) as association:
        assert console.ask(association, TRANSACTION, *UIDS) == 0x0000
        here.flows.commitment.gather()
        here.send_reports()
        console.wait()
    ((caller, event_type, information),) = console.reports
    assert (caller, event_type, information.TransactionUID) == ("BROKER", 1, TRANSACTION)
    assert committed(information) == set(UIDS)
    assert here.requests()[0].state.value == "reported"


@pytest.mark.parametrize("called", ["BROKER", "OLD_PACS"])
@pytest.mark.parametrize("roles", [True, False])
def test_a_device_that_has_left_is_called_under_the_title_that_it_called(
    stage: Stage, called: str, roles: bool
) -> None:
    here, _ = stage("own")
    console = Console()
    here.store(*UIDS)
    with console.listening(roles=roles) as port:
        here.bind(port)
        with console.calling(here.port, called) as association:
            assert console.ask(association, TRANSACTION, *UIDS) == 0x0000
        here.flows.commitment.gather()
        here.clock.advance(4)
        here.send_reports()
        console.wait()
    ((caller, event_type, information),) = console.reports
    assert (caller, event_type, committed(information)) == (called, 1, set(UIDS))
    assert here.requests()[0].state.value == "reported"


def test_by_proxy_a_device_is_told_when_the_pacs_has_committed_and_not_before(stage: Stage) -> None:
    here, pacs = stage("proxy", where=Where.NOWHERE)
    console = Console()
    here.store(*UIDS)
    with console.listening() as port, console.calling(here.port) as association:
        here.bind(port)
        console.ask(association, TRANSACTION, *UIDS)
        for step in (lambda: None, here.deliver, here.prove):
            step()
            here.clock.advance(2)
            here.flows.commitment.gather()
            assert here.requests()[0].state.value == "gathering"
        assert pacs.send_report(pacs.actions[0][1], "BROKER", here.port) == 0
        assert here.held() == 0
        here.clock.advance(60)
        here.flows.commitment.gather()
        here.send_reports()
        console.wait()
    assert committed(console.reports[0][2]) == set(UIDS)
    assert pacs.actions[0][1].TransactionUID != TRANSACTION


def test_once_stored_a_device_is_told_when_every_destination_has_taken_it(stage: Stage) -> None:
    here, _ = stage("stored", where=Where.NOWHERE)
    console = Console()
    here.store(*UIDS)
    with console.calling(here.port) as association:
        console.ask(association, TRANSACTION, *UIDS)
        here.flows.commitment.gather()
        assert here.requests()[0].state.value == "gathering"
        here.deliver()
        here.clock.advance(2)
        here.flows.commitment.gather()
        here.send_reports()
        console.wait()
    assert committed(console.reports[0][2]) == set(UIDS)
    assert here.held() == 2, "the spool itself waits for the proof"


def test_what_never_came_fails_after_a_grace_and_the_rest_is_committed(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    here.store("1.2.1")
    with console.calling(here.port) as association:
        console.ask(association, TRANSACTION, "1.2.1", "1.2.9")
        here.flows.commitment.gather()
        here.clock.advance(14 * 60)
        here.flows.commitment.gather()
        assert here.requests()[0].state.value == "gathering"
        here.clock.advance(2 * 60)
        here.flows.commitment.gather()
        here.send_reports()
        console.wait()
    _, event_type, information = console.reports[0]
    assert (event_type, committed(information), failed(information)) == (2, {"1.2.1"}, {"1.2.9": 0x0112})


def test_what_comes_within_the_grace_is_committed(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    with console.calling(here.port) as association:
        console.ask(association, TRANSACTION, "1.2.1")
        here.flows.commitment.gather()
        here.store("1.2.1")
        here.clock.advance(60)
        here.flows.commitment.gather()
        here.send_reports()
        console.wait()
    assert committed(console.reports[0][2]) == {"1.2.1"}


def test_another_class_and_a_damaged_file_are_not_answered_for(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    here.store("1.2.1")
    with console.calling(here.port) as association:
        console.ask(association, "2.25.1", "1.2.1", sop_class="1.2.840.10008.5.1.4.1.1.7")
        here.flows.commitment.gather()
        (file,) = here.spool.directory.rglob("*.dcm")
        file.write_bytes(file.read_bytes()[:-2] + b"xx")
        console.ask(association, "2.25.2", "1.2.1")
        here.flows.commitment.gather()
        here.send_reports()
        console.wait(2)
    reported = {information.TransactionUID: failed(information) for _, _, information in console.reports}
    assert reported == {"2.25.1": {"1.2.1": 0x0119}, "2.25.2": {"1.2.1": 0x0110}}


def test_what_is_not_proven_for_days_has_failed(stage: Stage) -> None:
    here, _ = stage("proxy", where=Where.NOWHERE)
    console = Console()
    here.store("1.2.1")
    with console.calling(here.port) as association:
        console.ask(association, TRANSACTION, "1.2.1")
        here.deliver()
        here.clock.advance(72 * 3600)
        here.flows.commitment.gather()
        here.send_reports()
        console.wait()
    assert failed(console.reports[0][2]) == {"1.2.1": 0x0110}


def test_the_same_request_again_is_answered_again_and_a_used_transaction_is_refused(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    here.store(*UIDS)
    with console.calling(here.port) as association:
        for count in (1, 2):
            assert console.ask(association, TRANSACTION, *UIDS) == 0x0000
            here.flows.commitment.gather()
            here.send_reports()
            console.wait(count)
        assert console.ask(association, TRANSACTION, "1.2.1") == 0x0110
    assert len(here.requests()) == 1


def test_a_report_that_does_not_get_through_is_offered_for_days_then_a_person_is_told(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console(status=0x0110)
    here.store("1.2.1")
    with console.listening() as port:
        here.bind(port)
        with console.calling(here.port) as association:
            console.ask(association, TRANSACTION, "1.2.1")
        here.flows.commitment.gather()
        for tries, minutes in enumerate((1, 1.2, 5.6, 17, 67), start=1):
            here.clock.advance(60 * minutes)
            here.send_reports()
            assert len(console.reports) == tries
        assert "status 0110" in here.alerts()[reporting.NOT_REPORTED]
        console.status = 0x0000
        here.clock.advance(67 * 60)
        here.send_reports()
        assert here.requests()[0].state.value == "reported"


def test_a_device_that_is_off_gets_its_report_when_it_is_back_and_is_given_up_after_a_week(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    here.store("1.2.1")
    with console.listening() as port:
        here.bind(port)
    for transaction in ("2.25.1", "2.25.2"):
        with console.calling(here.port) as association:
            console.ask(association, transaction, "1.2.1")
        here.flows.commitment.gather()
        here.clock.advance(4)
        here.send_reports()
        (request,) = [each for each in here.requests() if each.transaction_uid == transaction]
        assert (request.state.value, "nothing listens" in request.reason) == ("ready", True)
        if transaction == "2.25.1":
            with console.listening():
                here.clock.advance(70)
                here.send_reports()
                console.wait()
    here.clock.advance(168 * 3600)
    here.send_reports()
    assert sorted(each.state.value for each in here.requests()) == ["parked", "reported"]
    assert "given up" in here.alerts()[reporting.NOT_REPORTED]


def test_without_a_place_to_call_the_report_says_what_to_do(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console()
    here.store("1.2.1")
    with console.calling(here.port) as association:
        console.ask(association, TRANSACTION, "1.2.1")
    here.flows.commitment.gather()
    here.clock.advance(4)
    here.send_reports()
    assert "broker modality bind us-1" in here.requests()[0].reason
    with console.calling(here.port):  # it comes again, and takes it there
        here.clock.advance(70)
        here.send_reports()
        console.wait()
    assert here.requests()[0].state.value == "reported"


def test_a_device_that_takes_reports_anew_only_is_not_told_on_its_own_association(stage: Stage) -> None:
    here, _ = stage("own", "new")
    console = Console()
    here.store("1.2.1")
    with console.listening() as port, console.calling(here.port) as association:
        here.bind(port)
        console.ask(association, TRANSACTION, "1.2.1")
        here.flows.commitment.gather()
        here.flows.report_here(here.server.notify)
        assert console.reports == []
        here.send_reports()
        console.wait()


def test_a_device_that_does_not_listen_is_never_called(stage: Stage) -> None:
    here, _ = stage("own", "same")
    console = Console()
    here.store("1.2.1")
    with console.listening() as port:
        here.bind(port)
        with console.calling(here.port) as association:
            console.ask(association, TRANSACTION, "1.2.1")
        here.flows.commitment.gather()
        here.clock.advance(3600)
        here.send_reports()
        assert console.reports == []
    with console.calling(here.port):
        here.send_reports()
        console.wait()


def _request(**changes: Any) -> Dataset:
    asked = action(TRANSACTION, "1.2.1")
    for keyword, value in changes.items():
        if value is None:
            delattr(asked, keyword)
        else:
            setattr(asked, keyword, value)
    return asked


@pytest.mark.parametrize(
    ("asked", "action_type", "instance", "status"),
    [
        (_request(), 2, INSTANCE, 0x0123),
        (_request(), 1, "1.2.3", 0x0112),
        (_request(TransactionUID=None), 1, INSTANCE, 0x0115),
        (_request(ReferencedSOPSequence=None), 1, INSTANCE, 0x0115),
        (_request(ReferencedSOPSequence=[]), 1, INSTANCE, 0x0115),
        (_request(ReferencedSOPSequence=[Dataset()]), 1, INSTANCE, 0x0115),
    ],
)
def test_a_request_at_fault_is_refused_and_nothing_is_kept(
    stage: Stage, asked: Dataset, action_type: int, instance: str, status: int
) -> None:
    here, _ = stage("own")
    with Console().calling(here.port) as association:
        answer, _ = association.send_n_action(asked, action_type, PUSH, instance)
        assert answer.Status == status
    assert here.requests() == []


def test_a_destination_that_may_report_may_not_ask_nor_store(stage: Stage) -> None:
    here, _ = stage("own")
    console = Console(title="PACS")
    with console.calling(here.port) as association:
        assert console.ask(association, TRANSACTION, "1.2.1") == 0x0124
    with pytest.raises(AssertionError, match="no A-ASSOCIATE-AC"):
        send(Node(here.port, "BROKER"), "PACS", DataSet(US_IMAGE, "1.2.1", EXPLICIT, data_set("1.2.1")))
    assert here.requests() == []
