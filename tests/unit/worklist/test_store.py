"""The worklist's tables on both databases: what orders do, and what is found of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from broker.associations import store as associations
from broker.associations.model import Association, Result
from broker.database import Database, Transaction
from broker.orders.model import Order, StepStatus
from broker.worklist import store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.find import items, search
from broker.worklist.model import QueryResult, Viewer, WorklistItem
from broker.worklist.plan import plan
from broker.worklist.query import read
from broker.worklist.stations import Stations
from tests.unit.worklist.building import ANYBODY, ORDER, PATIENT, STATIONS, STEP, US1, identifier


def put(database: Database, order: Order = ORDER, order_id: int = 1) -> None:
    with database.write("orders") as tx:
        store.replace(tx, order_id, plan(order, order_id))


def seen(database: Database, viewer: Viewer = ANYBODY) -> tuple[WorklistItem, ...]:
    with database.read() as tx:
        return items(tx, viewer, STATIONS)


def steps(database: Database, viewer: Viewer = ANYBODY) -> list[str]:
    return [item.scheduled_procedure_step_id for item in seen(database, viewer)]


def set_status(database: Database, step: str, status: StepStatus) -> None:
    with database.write("orders") as tx:
        tx.execute(
            text("UPDATE worklist_item SET status = :s, offered = :o WHERE scheduled_procedure_step_id = :i"),
            {"s": status.value, "o": int(status in store.OFFERED), "i": step},
        )


def status_of(database: Database, step: str) -> str:
    with database.read() as tx:
        query = text("SELECT status FROM worklist_item WHERE scheduled_procedure_step_id = :i")
        return str(tx.execute(query, {"i": step}).scalar_one())


def matching(tx: Transaction, **keys: str) -> list[str]:
    query = read(identifier(None, SpecificCharacterSet="ISO_IR 192", **keys), IMPLICIT_LITTLE_ENDIAN)
    return [item.scheduled_procedure_step_id for item in search(tx, query, ANYBODY, STATIONS).items]


def test_what_was_planned_comes_back_as_it_was(database: Database) -> None:
    put(database)
    found = seen(database)
    assert [replace(item, id=0) for item in found] == list(plan(ORDER, 1))
    assert all(item.id > 0 for item in found)


def test_a_new_order_takes_over_a_step_that_another_had(database: Database) -> None:
    put(database)
    with database.write("orders") as tx:
        store.replace(tx, 2, plan(ORDER, 2), is_new=True)
    with database.read() as tx:
        assert store.of_order(tx, 1) == []
        assert {item.scheduled_procedure_step_id for item in store.of_order(tx, 2)} == set(steps(database))


def test_an_order_again_changes_its_items_in_place(database: Database) -> None:
    put(database)
    before = seen(database)
    later = replace(ORDER.steps[1], scheduled_procedure_step_start_date="20260301")
    put(database, replace(ORDER, steps=(ORDER.steps[0], later)))
    after = seen(database)
    assert [item.id for item in after] == [item.id for item in before]
    assert after[1].scheduled_procedure_step_start_date == "20260301"
    with database.read() as tx:
        assert matching(tx, ScheduledProcedureStepStartDate="20260301", ScheduledStationAETitle="US1") == ["S2"]
        assert matching(tx, ScheduledProcedureStepStartDate="20260201", ScheduledStationAETitle="US1") == ["S1"]


def test_a_step_no_longer_in_the_order_is_canceled_and_may_come_back(database: Database) -> None:
    put(database)
    put(database, replace(ORDER, steps=ORDER.steps[:1]))
    assert steps(database) == steps(database, US1) == ["S1"]
    assert status_of(database, "S2") == "CANCELED"
    put(database)
    assert steps(database) == steps(database, US1) == ["S1", "S2"]


def with_status(status: StepStatus, *step_ids: str) -> Order:
    """The order with the status of some of its steps, of all where none is named."""
    wanted = step_ids or ("S1", "S2")
    steps = tuple(
        replace(step, status=status) if step.scheduled_procedure_step_id in wanted else step for step in ORDER.steps
    )
    return replace(ORDER, steps=steps)


def test_cancelled_order_leaves_the_worklist(database: Database) -> None:
    put(database)
    put(database, with_status(StepStatus.CANCELED))
    assert steps(database) == []
    assert status_of(database, "S1") == "CANCELED"
    with database.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM worklist_place")).scalar_one() == 0


@pytest.mark.parametrize("status", [StepStatus.HELD, StepStatus.COMPLETED, StepStatus.DISCONTINUED])
def test_what_is_held_or_over_is_not_offered(database: Database, status: StepStatus) -> None:
    put(database)
    put(database, with_status(status, "S1"))
    assert steps(database) == ["S2"]
    put(database)
    assert status_of(database, "S1") == "SCHEDULED"


@pytest.mark.parametrize("status", [StepStatus.STARTED, StepStatus.COMPLETED, StepStatus.DISCONTINUED])
def test_what_was_performed_keeps_the_values_that_the_modality_took(database: Database, status: StepStatus) -> None:
    put(database)
    put(database, with_status(status, "S1"))
    renamed = with_status(status, "S1")
    put(database, replace(renamed, patient=replace(PATIENT, patient_name="Other^Olga")))
    with database.read() as tx:
        names = {item.scheduled_procedure_step_id: item.patient_name for item in store.of_order(tx, 1)}
    assert names == {"S1": "Muster^Eva^M^Dr^Jr", "S2": "Other^Olga"}
    put(database, replace(ORDER, steps=ORDER.steps[1:]))
    assert status_of(database, "S1") == status.value


def test_a_started_step_is_found_by_the_values_that_it_keeps(database: Database) -> None:
    put(database)
    started = with_status(StepStatus.STARTED, "S1")
    put(database, started)
    put(database, replace(started, patient=replace(PATIENT, patient_name="Other^Olga")))
    with database.read() as tx:
        assert matching(tx, PatientName="Muster*") == ["S1"]
        assert matching(tx, PatientName="Other*") == ["S2"]


def test_another_order_of_the_same_study_is_left_alone(database: Database) -> None:
    put(database, replace(ORDER, steps=ORDER.steps[:1]), 1)
    put(database, replace(ORDER, steps=ORDER.steps[1:]), 2)
    assert [(item.scheduled_procedure_step_id, item.order_id) for item in seen(database)] == [("S1", 1), ("S2", 2)]
    put(database, replace(ORDER, steps=(replace(ORDER.steps[1], status=StepStatus.CANCELED),)), 2)
    assert steps(database) == ["S1"]


def test_an_order_without_steps_leaves_nothing(database: Database) -> None:
    put(database)
    put(database, replace(ORDER, steps=()))
    assert steps(database) == []


def test_a_step_without_station_is_for_every_device_of_its_modality(database: Database) -> None:
    put(database, replace(ORDER, steps=(replace(STEP, scheduled_station_ae_titles=()),)))
    assert seen(database)[0].scheduled_station_ae_titles == ("US1", "US2")
    assert steps(database, US1) == ["S1"]
    assert steps(database, Viewer("ct", ("CT1",), "CT")) == []
    with database.read() as tx:
        later = Stations({**STATIONS.by_modality, "US": ("US1", "US2", "US3")})  # registered after the order came
        assert [i.scheduled_procedure_step_id for i in items(tx, Viewer("us-3", ("US3",), "US"), later)] == ["S1"]
        assert matching(tx, ScheduledStationAETitle="US2") == ["S1"]
        assert matching(tx, ScheduledStationAETitle="CT1") == []


def test_a_device_with_two_stations_gets_each_item_once(database: Database) -> None:
    put(database, replace(ORDER, steps=(replace(STEP, scheduled_station_ae_titles=("US1", "US2")),)))
    assert steps(database, Viewer("us", ("US1", "US2"), "US")) == ["S1"]


def test_answers_are_sorted_by_start_then_name(database: Database) -> None:
    for number, (date, time, name) in enumerate(
        [("20260202", "0900", "A"), ("20260201", "1000", "B"), ("20260201", "0900", "D"), ("20260201", "0900", "C")]
    ):
        step = replace(STEP, scheduled_procedure_step_start_date=date, scheduled_procedure_step_start_time=time + "00")
        patient = replace(ORDER.patient, patient_name=name)
        uid = f"1.2.3.{number}"
        put(database, replace(ORDER, patient=patient, study_instance_uid=uid, steps=(step,)), number)
    assert [item.patient_name for item in seen(database)] == ["C", "D", "B", "A"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("muster", 1), ("Mus%", 0), ("Mus_er", 0), ("100%", 1), ("100\\_", 0), ("山田", 1), ("ÄRZT*", 1), ("arzt", 1)],
)
def test_names_are_found_by_their_folded_groups_and_no_like_sign_is_special(
    database: Database, name: str, found: int
) -> None:
    for number, stored in enumerate(("Muster^Eva", "100%^X", "Yamada^Tarou=山田^太郎", "Ärzt^Jörg")):
        patient = replace(ORDER.patient, patient_name=stored)
        order = replace(ORDER, patient=patient, study_instance_uid=f"1.2.{number}", steps=(STEP,))
        put(database, order, number)
    with database.read() as tx:
        assert len(matching(tx, PatientName=name)) == found


@pytest.mark.parametrize(
    ("key", "found"), [("A*", 2), ("A2?0", 2), ("A200", 2), ("*00", 2), ("A%", 0), ("A20_", 0), ("B*", 0), ("a*", 0)]
)
def test_other_text_is_found_by_prefix_and_case_counts(database: Database, key: str, found: int) -> None:
    put(database)
    with database.read() as tx:
        assert len(matching(tx, AccessionNumber=key)) == found


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "AccessionNumber", "RequestedProcedureID"])
@pytest.mark.parametrize("value", ["a\0b", "\\".join(["abc"] * 256), "'; --", "\x1b$B", "\xff\xfe", "\U0010ffff*"])
def test_no_key_is_more_than_either_database_takes(database: Database, keyword: str, value: str) -> None:
    put(database)
    with database.read() as tx:
        assert matching(tx, **{keyword: value}) == []


# --- queries -----------------------------------------------------------------------------------------------------


def test_an_answered_query_is_recorded_with_its_association(database: Database) -> None:
    at = datetime(2026, 2, 1, 8, tzinfo=UTC)
    association = Association(
        id="0" * 26,
        started=at,
        calling_ae_title="US1",
        called_ae_title="BROKER",
        address="127.0.0.1",
        implementation_class_uid="",
        implementation_version_name="",
        contexts=(),
        device="us-room-1",
        revision="",
        software="",
        result=Result.RELEASED,
    )
    with database.write("associations") as tx:
        associations.add(tx, association)
        store.record_query(tx, association.id, at, QueryResult(0, ("Modality",), 2, (7, 8)))
    with database.read() as tx:
        row = tx.execute(text("SELECT association_id, status, items FROM worklist_query")).one()
    assert tuple(row) == ("0" * 26, 0, "[7, 8]")
