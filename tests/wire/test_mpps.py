"""MPPS over real associations: pynetdicom as the modality and as the next provider; ours between them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from broker.database import Transaction
from broker.dimse.message import CommandField
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import NormalizedRequest, Peer
from broker.environments.model import Destination, Protocol
from broker.environments.model import World as Kind
from broker.identifiers import AETitle
from broker.orders.model import StepStatus
from broker.procedures import flow
from broker.procedures.forward import store, worker
from broker.procedures.model import RETRIEVE_SOP_CLASS, SOP_CLASS
from tests.peers.steady import steady
from tests.unit.orders.building import step
from tests.unit.procedures.building import (
    SYNTAXES,
    UID,
    UNSCHEDULED,
    creation,
    dataset,
    discontinued,
    encoded,
    ending,
    item,
    series,
)
from tests.unit.procedures.world import World, stated
from tests.wire.mpps_service import served

STARTED, COMPLETED, SCHEDULED = StepStatus.STARTED, StepStatus.COMPLETED, StepStatus.SCHEDULED


@dataclass
class Console:
    """A modality made of pynetdicom."""

    association: Any

    def create(self, made: Dataset, uid: str | None = UID) -> Dataset:
        status, _ = self.association.send_n_create(made, SOP_CLASS, uid)
        return status  # type: ignore[no-any-return]

    def set(self, made: Dataset, uid: str = UID) -> Dataset:
        status, _ = self.association.send_n_set(made, SOP_CLASS, uid)
        return status  # type: ignore[no-any-return]

    def get(self, uid: str = UID) -> tuple[Dataset, Dataset]:
        return self.association.send_n_get([], RETRIEVE_SOP_CLASS, uid)  # type: ignore[no-any-return]


@contextmanager
def console(port: int, *syntaxes: str, calling: str = "US1", called: str = "BROKER") -> Iterator[Console]:
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = 5
    for sop_class in (SOP_CLASS, RETRIEVE_SOP_CLASS):
        ae.add_requested_context(sop_class, list(syntaxes or SYNTAXES[:2]))
    association = steady(ae.associate("127.0.0.1", port, ae_title=called))
    assert association.is_established
    try:
        yield Console(association)
    finally:
        association.release()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[int, World]]:
    with served(tmp_path) as both:
        yield both


@pytest.mark.parametrize("syntax", SYNTAXES[:2])
def test_an_exam_from_start_to_end(service: tuple[int, World], syntax: str) -> None:
    port, world = service
    world.order()
    with console(port, syntax) as modality:
        assert modality.create(creation()).Status == 0x0000
        assert world.statuses() == [STARTED]
        assert modality.set(dataset(PerformedSeriesSequence=[series()])).Status == 0x0000
        assert modality.set(ending("COMPLETED", series(images=30))).Status == 0x0000
    assert world.statuses() == [COMPLETED]
    assert world.stored().step.images == 30
    assert world.stored().calling_ae_title == "US1"


def test_a_long_n_set_is_taken_and_one_that_no_exam_needs_is_refused(service: tuple[int, World]) -> None:
    port, world = service
    world.order()
    long = ending("COMPLETED", series(images=30))
    long.add_new(0x00091001, "OB", bytes(3 * 1024 * 1024))
    more = dataset(PerformedProcedureStepStatus="IN PROGRESS")
    more.add_new(0x00091001, "OB", bytes(4 * 1024 * 1024))
    with console(port, SYNTAXES[1]) as modality:
        assert modality.create(creation()).Status == 0x0000
        refused = modality.set(more)
        assert (refused.Status, refused.ErrorComment) == (0x0213, "data set too large")
    assert world.statuses() == [STARTED]
    with console(port, SYNTAXES[1]) as modality:
        assert modality.set(long).Status == 0x0000
    assert world.statuses() == [COMPLETED]


def test_what_follows_a_final_state_is_refused_with_comment_and_error_id(service: tuple[int, World]) -> None:
    port, world = service
    world.order()
    with console(port) as modality:
        modality.create(creation())
        modality.set(ending())
        for made in (ending(), discontinued("110514"), dataset(PerformedProcedureStepDescription="x")):
            status = modality.set(made)
            assert (status.Status, status.ErrorID) == (0x0110, 0xA710)
            assert status.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    assert world.statuses() == [COMPLETED]


def test_a_duplicate_and_an_unknown_uid_are_refused(service: tuple[int, World]) -> None:
    port, _ = service
    with console(port) as modality:
        assert modality.set(ending()).Status == 0x0112
        assert modality.create(creation()).Status == 0x0000
        assert modality.create(creation()).Status == 0x0111


def test_what_is_missing_is_named(service: tuple[int, World]) -> None:
    port, _ = service
    made = creation()
    del made.PerformedProcedureStepStatus
    del made.PerformedProcedureStepStartDate
    with console(port) as modality:
        status = modality.create(made)
    assert status.Status == 0x0120
    assert "PerformedProcedureStepStatus" in status.ErrorComment


def test_a_group_an_appended_and_an_unscheduled_exam(service: tuple[int, World]) -> None:
    port, world = service
    world.order()
    world.order(stated(2), steps=(step("S1"),))
    second = item(AccessionNumber="A2", RequestedProcedureID="RP2")
    with console(port) as modality:
        assert modality.create(creation(item(), second)).Status == 0
        assert modality.set(ending()).Status == 0
        assert [world.statuses(1), world.statuses(2)] == [[COMPLETED], [COMPLETED]]
        assert modality.create(creation(item()), f"{UID}.2").Status == 0
        assert [world.statuses(1), world.statuses(2)] == [[STARTED], [COMPLETED]]
        assert modality.create(creation(item(**UNSCHEDULED)), f"{UID}.3").Status == 0
    assert world.told() == [flow.UNSCHEDULED]


def test_a_wrongly_selected_entry_is_back_on_the_worklist(service: tuple[int, World]) -> None:
    port, world = service
    world.order()
    with console(port) as modality:
        modality.create(creation())
        assert modality.set(discontinued("110514")).Status == 0
    assert (world.statuses(), world.told()) == ([SCHEDULED], [flow.WRONG_ENTRY])


def test_text_of_an_n_set_is_in_its_own_character_set(service: tuple[int, World]) -> None:
    port, world = service
    with console(port) as modality:
        modality.create(creation())
        made = ending(SpecificCharacterSet="ISO_IR 192", PerformedProcedureStepDescription="肝臓")
        assert modality.set(made).Status == 0
        status, found = modality.get()
    assert world.stored().step.description == "肝臓"
    assert (status.Status, str(found.PatientName)) == (0, "Müster^Eva")
    assert found.PerformedProcedureStepDescription == "肝臓"


@pytest.mark.parametrize(
    ("sop_class", "command"),
    [(SOP_CLASS, "N_DELETE_RQ"), (SOP_CLASS, "N_ACTION_RQ"), (SOP_CLASS, "N_GET_RQ"), (RETRIEVE_SOP_CLASS, "N_SET_RQ")],
)
def test_an_operation_of_another_class_is_not_recognized(
    service: tuple[int, World], sop_class: str, command: str
) -> None:
    peer = Peer("127.0.0.1", service[0], "BROKER", "US1")
    with EngineRequestor().associate(peer, [(sop_class, SYNTAXES[0])]) as association:
        request = NormalizedRequest(CommandField[command], sop_class, UID, data_set=encoded(ending()))
        assert association.request(request).status == 0x0211
        assert association.request(request).status == 0x0211  # the association goes on


def test_an_unknown_step_cannot_be_retrieved(service: tuple[int, World]) -> None:
    port, _ = service
    with console(port) as modality:
        assert modality.get()[0].Status == 0x0112


def test_without_a_database_the_modality_is_to_send_again(service: tuple[int, World]) -> None:
    port, world = service
    with world.database.write("orders") as tx:
        tx.exec_driver_sql("ALTER TABLE performed_message RENAME TO away")
    with console(port) as modality:
        status = modality.create(creation())
        assert status.Status == 0x0213
    with world.database.write("orders") as tx:
        tx.exec_driver_sql("ALTER TABLE away RENAME TO performed_message")
    with console(port) as modality:
        assert modality.create(creation()).Status == 0x0000


def test_of_two_requests_at_once_one_is_taken(service: tuple[int, World]) -> None:
    port, world = service
    world.order()

    def at_once(*makes: Any) -> list[int]:
        statuses: list[int] = []
        barrier = threading.Barrier(len(makes))

        def ask(make: Any) -> None:
            with console(port) as modality:
                barrier.wait(10)
                statuses.append(make(modality).Status)

        threads = [threading.Thread(target=ask, args=(make,)) for make in makes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return sorted(statuses)

    assert at_once(*[lambda modality: modality.create(creation())] * 4) == [0, 0x0111, 0x0111, 0x0111]
    ends = [lambda m: m.set(ending()), lambda m: m.set(discontinued("110505"))]
    assert at_once(*ends) == [0, 0x0110]
    assert world.stored().step.status.value == world.statuses()[0].value


# --- passed on -------------------------------------------------------------------------------------------------------


@dataclass
class NextProvider:
    """An MPPS provider made of pynetdicom, which keeps the bytes that it gets."""

    port: int = 0
    got: list[tuple[str, str, bytes]] = field(default_factory=list)
    status: int = 0x0000

    def create(self, event: Event) -> tuple[int, None]:
        self._keep("create", event, event.request.AffectedSOPInstanceUID, event.request.AttributeList)
        return self.status, None

    def set(self, event: Event) -> tuple[int, None]:
        self._keep("set", event, event.request.RequestedSOPInstanceUID, event.request.ModificationList)
        return self.status, None

    def _keep(self, kind: str, event: Event, uid: str, data: Any) -> None:
        data.seek(0)
        self.got.append((kind, str(uid), data.read()))


@contextmanager
def next_provider(*syntaxes: str) -> Iterator[NextProvider]:
    found = NextProvider()
    ae = AE("RIS_MPPS")
    ae.add_supported_context(SOP_CLASS, list(syntaxes or SYNTAXES))
    handlers = [(evt.EVT_N_CREATE, found.create), (evt.EVT_N_SET, found.set)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    found.port = server.socket.getsockname()[1]
    try:
        yield found
    finally:
        server.shutdown()


def passed_on(world: World, port: int) -> int:
    destination = Destination("ris", Protocol.DIMSE, Kind.TEST, "127.0.0.1", port, AETitle("RIS_MPPS"))

    def alert(_tx: Transaction, _event: str, _subject: str, _text: str) -> None:
        pass

    return worker.send_batch(
        world.database, destination, AETitle("BROKER"), EngineRequestor(), world.clock, lambda: 0.0, alert
    )


def test_the_next_provider_gets_the_bytes_that_came(service: tuple[int, World]) -> None:
    port, world = service
    world.destinations = ("ris",)
    with console(port, SYNTAXES[1]) as modality:
        modality.create(creation())
        modality.set(ending())
    with next_provider() as provider:
        assert passed_on(world, provider.port) == 2
    assert provider.got == [
        ("create", UID, encoded(creation(), SYNTAXES[1])),
        ("set", UID, encoded(ending(), SYNTAXES[1])),
    ]


def test_a_next_provider_that_takes_the_default_syntax_alone_gets_the_same_in_it(service: tuple[int, World]) -> None:
    port, world = service
    world.destinations = ("ris",)
    made = creation()
    made.add_new(0x00090010, "LO", "ACME")
    made.add_new(0x00091001, "SQ", [dataset(CodeValue="1")])
    with console(port, SYNTAXES[1]) as modality:
        modality.create(made)
        modality.set(ending())
    with next_provider(SYNTAXES[0]) as provider:
        assert passed_on(world, provider.port) == 2
    assert provider.got == [("create", UID, encoded(made)), ("set", UID, encoded(ending()))]


def test_an_outage_of_the_next_provider_is_nobodys_wait(service: tuple[int, World]) -> None:
    port, world = service
    world.destinations = ("ris",)
    with next_provider() as provider:
        closed = provider.port
    with console(port) as modality:
        assert modality.create(creation()).Status == 0
        assert passed_on(world, closed) == 1
        assert modality.set(ending()).Status == 0
    world.clock.advance(60)  # type: ignore[attr-defined]
    with next_provider() as provider:
        assert passed_on(world, provider.port) == 2
    assert [kind for kind, _, _ in provider.got] == ["create", "set"]
    with world.database.read() as tx:
        assert [one.state.value for one in store.of_step(tx, world.stored().id)] == ["delivered"] * 2
