"""A batch for a destination with a rule: what it gets, what is recorded, and what stays as it was received."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.audit import store as audit
from broker.database import Database, Transaction
from broker.delivery import recording, store, worker
from broker.delivery.correction import store as corrections
from broker.delivery.correction.model import Applied, Became, Doubt, Meant
from broker.delivery.model import DeliveryState
from broker.dimse.service import Answer, OutgoingInstance
from broker.environments.corrections import CorrectionSettings, Unsure
from broker.environments.model import Destination, Protocol, World
from broker.errors import Unavailable
from broker.orders.model import Order, Patient, StoredOrder
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance
from tests.conftest import FakeClock
from tests.unit.delivery.correction.reading import EXPLICIT, ORIGINAL_ATTRIBUTES, but_for, dataset
from tests.unit.delivery.test_worker import PACS, Desk, Pacs
from tests.unit.spool.datasets import data_set, facts, pieces

PATIENT = Patient("P2", "HOSP", "Doe^Jane", "19700101", "F")
AT = datetime(2026, 1, 31, tzinfo=UTC)
STORED = StoredOrder(12, Order(PATIENT, accession_number="A2"), 1, False, 0, AT, AT, 7)
SURE = Meant(STORED, None, by_study=True)
OTHER = Meant(STORED, Doubt.OTHER_PATIENT, by_study=True)
ATTRIBUTES = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")


class SplicingPacs(Pacs):
    """A PACS that takes a data set made of parts too."""

    def store(self, instance: OutgoingInstance, following: OutgoingInstance | None = None) -> Answer:
        if not instance.parts:
            return super().store(instance, following)
        content = Path(instance.path).read_bytes()
        made = b"".join(p if isinstance(p, bytes) else content[p[0] : p[0] + p[1]] for p in instance.parts)
        assert len(made) == instance.length
        self.stored.append((instance.sop_instance_uid, made))
        reply = self.replies.get(instance.sop_instance_uid, Answer(0))
        if isinstance(reply, Exception):
            raise reply
        return reply


@dataclass
class CorrectingDesk(Desk):
    """A desk whose PACS gets attributes from the order."""

    meant: Meant = SURE
    settings: CorrectionSettings = field(default_factory=lambda: CorrectionSettings(ATTRIBUTES))
    asked: list[int] = field(default_factory=list)

    def deliver(self, destination: Destination = PACS) -> int:
        def on_event(_tx: Transaction, event: str, subject: str, text: str) -> None:
            self.events.append((event, subject, text))

        def orders_of(_tx: Transaction, instances: Sequence[SpooledInstance]) -> Mapping[str, Meant]:
            self.asked.append(len(instances))
            return {instance.id: self.meant for instance in instances}

        ruled = replace(destination, correction=self.settings)
        return worker.deliver_batch(self.behind(on_event, orders_of=orders_of), ruled, self.pacs)

    def received(self, data: bytes) -> SpooledInstance:
        instance = self.spool.keep(pieces(data), facts("1.1"))
        with self.database.write("spool-index") as tx:
            spool_store.add(tx, instance)
            store.owe(tx, instance.id, ("pacs",), self.clock.now())
        return instance

    def recorded(self, instance: SpooledInstance) -> list[Applied]:
        with self.database.read() as tx:
            return corrections.find(tx, [instance.id])

    def journal(self) -> list[tuple[str, str]]:
        with self.database.read() as tx:
            rows = tx.execute(text("SELECT event, fields FROM journal ORDER BY id")).all()
        return [(row.event, row.fields) for row in rows if "corrected" in row.event]

    def release(self) -> None:
        with self.database.write("delivery") as tx:
            for one in store.deliveries(tx, DeliveryState.HELD):
                assert store.release_held(tx, one.id, self.clock.now())

    def whole(self, instance: SpooledInstance) -> bytes:
        with self.spool.open(instance) as stream:
            return stream.read()


@pytest.fixture
def desk(database: Database, tmp_path: Path, clock: FakeClock) -> CorrectingDesk:
    return CorrectingDesk(database, FileSpool(tmp_path / "spool"), clock, SplicingPacs())


def test_the_destination_gets_the_orders_values_and_the_spool_keeps_what_came(desk: CorrectingDesk) -> None:
    instance = desk.receive("1.1", "pacs", "archive")
    desk.deliver()
    ((_, sent),) = desk.pacs.stored
    found = dataset(sent, EXPLICIT)
    assert (found.PatientID, str(found.PatientName), found.SOPInstanceUID) == ("P2", "Doe^Jane", "1.1")
    assert found.AccessionNumber == "A1"  # not named by the rule
    (told,) = found.OriginalAttributesSequence
    assert told.ModifyingSystem == "MODALITY_BROKER1 BROKER"
    assert told.SourceOfPreviousValues == "US_ROOM2"
    assert desk.whole(instance) == data_set("1.1")
    desk.spool.verify(instance)


def test_a_correction_is_recorded_without_a_value_of_the_patient(desk: CorrectingDesk) -> None:
    instance = desk.receive("1.1")
    desk.deliver()
    (one,) = desk.recorded(instance)
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "IssuerOfPatientID")
    assert (one.became, one.order_id, one.destination) == (Became.CORRECTED, 12, "pacs")
    assert sorted(one.keywords) == sorted(keywords)
    ((event, fields),) = desk.journal()
    assert event == "delivery.corrected"
    assert instance.id in fields and "PatientName" in fields and '"order": 12' in fields
    with desk.database.read() as tx:
        (act,) = audit.entries(tx)
    assert (act.action, act.subject, act.detail["instances"]) == ("instance.correct", "pacs", [instance.id])
    for said in (fields, str(act), str(one)):
        told = said.replace(instance.id, "")  # made by chance, it may hold any two letters
        assert not any(value in told for value in ("P2", "Doe", "19700101", "HOSP", "Secret"))


def test_images_of_one_exam_are_one_act(desk: CorrectingDesk) -> None:
    for number in range(5):
        desk.receive(f"1.{number}")
    desk.deliver()
    with desk.database.read() as tx:
        (act,) = audit.entries(tx)
    assert len(list(act.detail["instances"])) == 5  # type: ignore[call-overload]
    assert desk.asked == [5]


def test_a_destination_without_a_rule_gets_what_came(desk: CorrectingDesk) -> None:
    desk.receive("1.1", "plain")
    worker.deliver_batch(desk.behind(), replace(PACS, name="plain"), desk.pacs)
    assert desk.pacs.stored == [("1.1", data_set("1.1"))]
    assert desk.journal() == []


def test_what_is_sent_again_is_the_same_copy(desk: CorrectingDesk) -> None:
    desk.receive("1.1")
    desk.pacs.replies = {"1.1": Unavailable("the connection broke")}
    desk.deliver()
    assert len(desk.journal()) == 1  # the destination may hold it: so it is known of already
    desk.clock.advance(3600)
    desk.pacs.replies = {}
    desk.deliver()
    assert desk.by_uid()["1.1"].state is DeliveryState.DELIVERED
    (first, second) = (content for _, content in desk.pacs.stored)
    assert first == second
    assert len(desk.journal()) == 1


def test_a_changed_order_gives_another_copy_that_says_when(desk: CorrectingDesk) -> None:
    instance = desk.receive("1.1")
    desk.pacs.replies = {"1.1": Unavailable("the connection broke")}
    desk.deliver()
    desk.clock.advance(3600)
    married = replace(PATIENT, patient_name="Roe^Jane")
    desk.meant = replace(SURE, order=replace(STORED, order=replace(STORED.order, patient=married)))
    desk.deliver()
    first, second = (dataset(content, EXPLICIT) for _, content in desk.pacs.stored)
    assert str(second.PatientName) == "Roe^Jane"
    times = [found.OriginalAttributesSequence[0].AttributeModificationDateTime for found in (first, second)]
    assert times == ["20260201080000.000000+0000", "20260201090000.000000+0000"]
    assert [one.at for one in desk.recorded(instance)] == [desk.clock.now()]


def test_what_agrees_already_is_neither_altered_nor_recorded(desk: CorrectingDesk) -> None:
    desk.settings = CorrectionSettings(("PatientName",))
    desk.meant = replace(SURE, order=replace(STORED, order=Order(Patient("P1", "", "Secret^Name"))))
    instance = desk.receive("1.1")
    desk.deliver()
    assert desk.pacs.stored == [("1.1", data_set("1.1"))]
    assert desk.recorded(instance) == []
    assert desk.journal() == []


@pytest.mark.parametrize("meant", [Meant(), Meant(doubt=Doubt.SEVERAL), replace(SURE, doubt=Doubt.CANCELED), OTHER])
def test_what_is_not_surely_of_an_order_is_sent_as_received_and_recorded(desk: CorrectingDesk, meant: Meant) -> None:
    desk.meant = meant
    instance = desk.receive("1.1")
    desk.deliver()
    assert desk.pacs.stored == [("1.1", data_set("1.1"))]
    (one,) = desk.recorded(instance)
    assert (one.became, one.keywords, one.why) == (Became.AS_RECEIVED, (), str(meant.doubt))
    ((event, _),) = desk.journal()
    assert event == "delivery.uncorrected"


@pytest.mark.parametrize("meant", [Meant(), OTHER])
def test_or_it_is_held_and_leaves_as_it_came_once_a_person_has_released_it(desk: CorrectingDesk, meant: Meant) -> None:
    desk.meant = meant
    desk.settings = CorrectionSettings(ATTRIBUTES, Unsure.HOLD, Unsure.HOLD)
    instance = desk.receive("1.1")
    assert desk.deliver() == 1
    held = desk.by_uid()["1.1"]
    assert (held.state, held.tries, held.lease) == (DeliveryState.HELD, 0, "")
    assert held.reason.startswith(f"not corrected: {meant.doubt}")
    assert [(event, subject) for event, subject, _ in desk.events] == [("delivery.uncorrected", "pacs")]
    assert desk.pacs.stored == []
    assert desk.deliver() == 0
    desk.release()
    desk.deliver()
    assert desk.pacs.stored == [("1.1", data_set("1.1"))]
    assert [one.became for one in desk.recorded(instance)] == [Became.AS_RECEIVED]


def test_what_is_held_is_corrected_where_its_order_has_come_meanwhile(desk: CorrectingDesk) -> None:
    desk.meant = Meant()
    desk.settings = CorrectionSettings(ATTRIBUTES, Unsure.HOLD, Unsure.HOLD)
    instance = desk.receive("1.1")
    desk.deliver()
    desk.release()
    desk.meant = SURE
    desk.deliver()
    ((_, sent),) = desk.pacs.stored
    assert dataset(sent, EXPLICIT).PatientID == "P2"
    assert [one.became for one in desk.recorded(instance)] == [Became.CORRECTED]


def test_one_that_is_held_stops_no_other(desk: CorrectingDesk) -> None:
    desk.settings = CorrectionSettings(ATTRIBUTES, Unsure.HOLD, Unsure.HOLD)
    first, second = desk.receive("1.1"), desk.receive("1.2")

    def orders_of(_tx: Transaction, _instances: Sequence[SpooledInstance]) -> Mapping[str, Meant]:
        return {second.id: SURE}

    ruled = replace(PACS, correction=desk.settings)
    worker.deliver_batch(desk.behind(orders_of=orders_of), ruled, desk.pacs)
    assert [uid for uid, _ in desk.pacs.stored] == ["1.2"]
    assert desk.by_uid()["1.1"].state is DeliveryState.HELD
    assert [one.became for one in desk.recorded(first)] == [Became.HELD]


def test_another_patients_image_is_corrected_only_where_the_rule_says_so(desk: CorrectingDesk) -> None:
    desk.meant = OTHER
    desk.settings = CorrectionSettings(ATTRIBUTES, Unsure.SEND, Unsure.CORRECT)
    desk.receive("1.1")
    desk.deliver()
    ((_, sent),) = desk.pacs.stored
    found = dataset(sent, EXPLICIT)
    assert found.PatientID == "P2"
    assert found.OriginalAttributesSequence[0].ReasonForTheAttributeModification == "CORRECT"


def test_and_never_by_an_accession_number_alone(desk: CorrectingDesk) -> None:
    desk.meant = replace(OTHER, by_study=False)
    desk.settings = CorrectionSettings(ATTRIBUTES, Unsure.SEND, Unsure.CORRECT)
    desk.receive("1.1")
    desk.deliver()
    assert desk.by_uid()["1.1"].state is DeliveryState.HELD
    assert desk.pacs.stored == []


def test_what_cannot_be_corrected_is_parked_with_the_reason(desk: CorrectingDesk) -> None:
    desk.meant = replace(SURE, order=replace(STORED, order=Order(replace(PATIENT, patient_name="Łęcka^Ида"))))
    instance = desk.received(data_set("1.1", StationName="Schädel".encode("latin-1")))
    desk.receive("1.2")
    desk.deliver()
    found = desk.by_uid()
    assert found["1.1"].state is DeliveryState.PARKED
    assert found["1.1"].reason.startswith("not sent: its Specific Character Set ISO_IR 100 has not all characters")
    assert found["1.2"].state is DeliveryState.DELIVERED
    assert desk.recorded(instance) == []
    assert [event for event, _, _ in desk.events] == [recording.PARKED]


def test_a_value_that_no_data_set_may_hold_is_not_written(desk: CorrectingDesk) -> None:
    desk.meant = replace(SURE, order=replace(STORED, order=Order(replace(PATIENT, patient_id="P" * 65))))
    desk.receive("1.1")
    desk.deliver()
    assert "PatientID is longer than 64 characters" in desk.by_uid()["1.1"].reason
    assert desk.pacs.stored == []


def test_a_damaged_file_is_damaged_and_not_corrected(desk: CorrectingDesk) -> None:
    instance = desk.receive("1.1")
    path = desk.spool.path_of(instance)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    desk.deliver()
    assert "damaged" in desk.by_uid()["1.1"].reason
    assert desk.pacs.stored == []


def test_a_folder_gets_the_corrected_copy_as_a_whole_file(desk: CorrectingDesk, tmp_path: Path) -> None:
    instance = desk.receive("1.1", "archive", "pacs")
    desk.deliver(Destination("archive", Protocol.FOLDER, World.TEST, path=tmp_path / "archive"))
    (file,) = (tmp_path / "archive").iterdir()
    content = file.read_bytes()
    assert content[: instance.offset] == desk.spool.path_of(instance).read_bytes()[: instance.offset]
    made = content[instance.offset :]
    assert dataset(made, EXPLICIT).PatientID == "P2"
    (one,) = desk.recorded(instance)
    changed = {0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, ORIGINAL_ATTRIBUTES}
    assert but_for(made, EXPLICIT, changed) == but_for(data_set("1.1"), EXPLICIT, changed)
    assert one.destination == "archive"
