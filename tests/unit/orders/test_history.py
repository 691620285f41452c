"""What an order's history tells: when, by which message, what; and nothing of the patient."""

from dataclasses import replace
from datetime import timedelta

from broker.database import Database
from broker.orders import history
from broker.orders.history import HistoryEntry
from broker.orders.model import Action, Did
from tests.unit.orders.building import ADAM, EVA, NOW, adt, change, merge, new, only, step
from tests.unit.orders.conftest import Desk


def test_history_begins_with_the_order_and_goes_on_in_time(desk: Desk) -> None:
    own = desk.send(new(), entry_id=1).orders[0].id
    later = NOW + timedelta(minutes=5)
    desk.send(change(Action.CHANGE, steps=(step(date="20260301"),), minute=1), entry_id=2, now=later)
    desk.send(only(Action.HOLD), entry_id=3, now=later)
    assert desk.history(own) == [
        HistoryEntry(NOW, 1, Did.CREATED, ""),
        HistoryEntry(later, 2, Did.CHANGED, "ScheduledProcedureStepStartDate"),
        HistoryEntry(later, 3, Did.HELD, ""),
    ]


def test_order_that_is_not_known_has_no_history(desk: Desk) -> None:
    assert desk.history(99) == []


def test_history_holds_no_patient_data(desk: Desk) -> None:
    own = desk.send(new(order={"visit": {"AdmissionID": "V1"}})).orders[0].id
    desk.send(new(1, patient=replace(EVA, patient_name="Neu^Eva"), order={"visit": {"AdmissionID": "V2"}}))
    desk.send(adt(replace(EVA, patient_name="Neuer^Eva"), 2))
    desk.send(merge("4711", replace(ADAM, patient_sex="", patient_birth_date=""), 3))
    told = " ".join(entry.text for entry in desk.history(own))
    for value in ("4711", "4712", "Eva", "Adam", "V1", "V2", "1980"):
        assert value not in told


def test_long_texts_are_cut(database: Database) -> None:
    with database.write("orders") as tx:
        history.add(tx, 1, HistoryEntry(NOW, 1, Did.CHANGED, "x" * 900))
        assert len(history.history(tx, 1)[0].text) == 400
