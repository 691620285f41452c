"""What changes do to stored orders: the outcomes that standards and the worked example require."""

import pytest
from sqlalchemy import inspect

from broker.database import Database
from broker.orders import store
from broker.orders.messages import translate
from broker.orders.model import Order, Refusal
from broker.orders.store import Applied
from tests.conftest import FakeClock
from tests.golden.orders import CASES, CONTEXT

MSH = "MSH|^~\\&|RIS|HOSP|B|R|20260131102233||ORM^O01|1|P|2.3.1"
PID = "PID|||4711^^^HOSP^MR||Muster^Eva||19800229|F"
ORDER = (
    "ORC|NW|P1^HIS|F1^RIS||||^^^20260201093000",
    "OBR|1|P1|F1|US1^Abdomen^L||||||||||||||A1|RP1|S1||||US",
    "ZDS|1.2.3",
)


def case(name: str) -> bytes:
    return (CASES / f"{name}.hl7").read_bytes()


def message(*segments: str, pid: str = PID) -> bytes:
    return "\r".join((MSH, pid, *segments, "")).encode()


class Ris:
    """Sends messages straight to the store, each in a transaction of its own."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self._database = database
        self._clock = clock

    def send(self, raw: bytes) -> list[Applied]:
        with self._database.write("orders") as tx:
            return [store.apply(tx, change, self._clock.now(), 1) for change in translate(raw, CONTEXT)]

    def refused(self, raw: bytes) -> Refusal:
        with pytest.raises(Refusal) as caught:
            self.send(raw)
        return caught.value

    def order(self, key: str) -> Order:
        with self._database.read() as tx:
            (stored,) = store.order_detail(tx, key)
        return stored.order


@pytest.fixture
def ris(database: Database, clock: FakeClock) -> Ris:
    return Ris(database, clock)


def starts(order: Order) -> dict[str, str]:
    return {
        step.scheduled_procedure_step_id: step.scheduled_procedure_step_start_date
        + step.scheduled_procedure_step_start_time
        for step in order.steps
    }


def test_new_order_is_found_by_each_of_its_keys(ris: Ris, database: Database) -> None:
    (applied,) = ris.send(case("worked_example"))
    assert (applied.created, applied.canceled) == (True, False)
    for key in ("A200", "P100", "F200", "1.2.3.4.200", str(applied.order_id)):
        assert ris.order(key) == applied.order
    with database.read() as tx:
        assert [stored.id for stored in store.orders(tx)] == [applied.order_id]


def test_same_message_again_changes_nothing(ris: Ris) -> None:
    (first,) = ris.send(case("worked_example"))
    (again,) = ris.send(case("worked_example"))
    assert (again.order_id, again.order) == (first.order_id, first.order)
    assert (again.created, again.changed) == (False, False)


def test_change_of_one_step_moves_only_that_step_and_ignores_the_patient(ris: Ris) -> None:
    ris.send(case("worked_example"))
    (applied,) = ris.send(case("change_of_one_step"))
    assert applied.order is not None
    assert starts(applied.order) == {"S1": "20260201093000", "S2": "20260203101500"}
    assert applied.order.patient.patient_name == "Muster^Eva^M^Dr^Jr"
    assert applied.order.patient.attributes["AdmissionID"] == "V123"


def test_change_that_states_only_a_time_keeps_everything_else(ris: Ris) -> None:
    (before,) = ris.send(case("worked_example"))
    (applied,) = ris.send(case("change_of_time_only"))
    assert before.order is not None
    assert applied.order is not None
    assert starts(applied.order)["S2"] == "20260203101500"
    assert (applied.order.accession_number, applied.order.attributes) == ("A200", before.order.attributes)


def test_cancel_by_filler_number_takes_the_whole_order(ris: Ris) -> None:
    (created,) = ris.send(case("worked_example"))
    (applied,) = ris.send(case("cancel_by_filler_number"))
    assert (applied.order_id, applied.order, applied.canceled) == (created.order_id, None, True)
    (again,) = ris.send(case("cancel_by_filler_number"))
    assert (again.canceled, again.changed) == (True, False)


def test_null_clears_and_absence_keeps(ris: Ris) -> None:
    ris.send(case("worked_example"))
    (applied,) = ris.send(case("null_clears"))
    assert applied.order is not None
    attributes = applied.order.patient.attributes
    assert "AdmissionID" not in attributes
    assert "PregnancyStatus" not in attributes
    assert attributes["ReferringPhysicianName"] == "Refer^Rita"
    assert applied.order.patient.patient_birth_date == ""
    assert len(applied.order.steps) == 2


def test_canceled_order_is_not_revived(ris: Ris) -> None:
    ris.send(case("worked_example"))
    ris.send(case("cancel_by_filler_number"))
    assert ris.refused(case("worked_example")).code == "205"


def test_cancel_of_an_unknown_order_is_refused(ris: Ris) -> None:
    refusal = ris.refused(case("cancel_by_filler_number"))
    assert (refusal.answer, refusal.code, refusal.location) == ("AE", "204", "ORC^1")


def test_change_of_an_unknown_order_creates_it(ris: Ris) -> None:
    (applied,) = ris.send(message(ORDER[0].replace("NW", "XO"), *ORDER[1:]))
    assert applied.created


def test_change_of_an_unknown_order_without_patient_is_refused(ris: Ris) -> None:
    refusal = ris.refused(case("change_of_time_only"))
    assert (refusal.code, refusal.location) == ("101", "PID^1^3")


def test_order_without_study_uid_keeps_its_uid_when_sent_again(ris: Ris) -> None:
    (first,) = ris.send(case("no_zds"))
    (again,) = ris.send(case("no_zds"))
    assert first.order is not None
    assert again.order is not None
    assert first.order.study_instance_uid == again.order.study_instance_uid


def test_keys_of_different_orders_are_refused_by_name(ris: Ris) -> None:
    ris.send(case("several_orders"))
    mixed = message("ORC|XO|P2|F1||||^^^20260201", "OBR|1|P2|F1", pid="PID|||100^^^HOSP^MR||Doe^Jane")
    refusal = ris.refused(mixed)
    assert refusal.code == "204"
    assert "FillerOrderNumber and PlacerOrderNumber" in refusal.text


def test_same_numbers_under_another_study_uid_are_refused(ris: Ris) -> None:
    ris.send(message(*ORDER))
    assert ris.refused(message(*ORDER[:2], "ZDS|1.2.9")).code == "204"


def test_order_of_another_patient_is_refused(ris: Ris) -> None:
    ris.send(message(*ORDER))
    refusal = ris.refused(message(*ORDER, pid="PID|||4712^^^HOSP^MR||Other^Patient"))
    assert refusal.code == "204"
    assert "4712" not in refusal.text
    assert "Other" not in refusal.text


def test_change_by_order_number_for_another_patient_is_refused(ris: Ris) -> None:
    ris.send(message(*ORDER))
    update = message("ORC|XO||F1||||^^^20260202", "OBR|1||F1", pid="PID|||4712^^^HOSP^MR||Other")
    assert ris.refused(update).code == "204"


def test_number_of_another_system_is_another_order(ris: Ris) -> None:
    ris.send(message(*ORDER))
    other = ("ORC|NW|P1^OTHERHIS|F9^RIS", "OBR|1|P1^OTHERHIS|F9|US1^Abdomen^L||||||||||||||A9|RP9|S1||||US")
    (applied,) = ris.send(message(*other, pid="PID|||99^^^HOSP^MR||Doe^Jane"))
    assert applied.created


def test_second_procedure_of_one_order_is_an_order_of_its_own(ris: Ris) -> None:
    ris.send(message(*ORDER))
    second = (ORDER[0], ORDER[1].replace("RP1", "RP2"), "ZDS|1.2.4")
    (applied,) = ris.send(message(*second))
    assert applied.created
    assert ris.refused(message("ORC|CA||F1")).text.endswith("name several orders")
    (canceled,) = ris.send(message("ORC|CA||F1", "OBR|1||F1||||||||||||||||RP2"))
    assert canceled.order_id == applied.order_id


def test_step_without_id_must_be_clear(ris: Ris) -> None:
    ris.send(case("worked_example"))
    refusal = ris.refused(message("ORC|XO||F200||||^^^20260205", "OBR|1||F200", "ZDS|1.2.3.4.200"))
    assert (refusal.code, refusal.location) == ("101", "ORC^1")


def test_every_lookup_has_an_index(database: Database) -> None:
    indexed = {index["column_names"][0] for index in inspect(database.engine).get_indexes("imaging_order")}
    assert {"study_instance_uid", "filler_order_number", "placer_order_number", "accession_number"} <= indexed
