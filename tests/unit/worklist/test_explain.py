"""Explanations: counts after each key, what there is instead, and what is held back."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from broker.database import Database, Transaction
from broker.errors import Refused
from broker.orders.model import StepStatus
from broker.registry.model import Filter, Habits
from broker.worklist import advice, explain, store
from broker.worklist.explain import Explanation
from broker.worklist.filters import FilteredDevice
from broker.worklist.held import lacks
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import Key, Query
from broker.worklist.spelled import query_of
from broker.worklist.stations import Stations
from tests.conftest import FakeClock
from tests.unit.worklist.building import ANYBODY, STATIONS, US1, item

DATE = "ScheduledProcedureStepStartDate=20260201"
ROWS: tuple[dict[str, object], ...] = (
    {"patient_name": "Muster^Eva"},
    {"patient_name": "Adams^Anna", "patient_id": "0815"},
    {"patient_name": "Berg^Bo", "scheduled_station_ae_titles": ("US2",)},
    {"patient_name": "Other^Day", "scheduled_procedure_step_start_date": "20260203"},
    {"patient_name": "Beispiel^Bert", "modality": "CT", "scheduled_station_ae_titles": ()},
    {"patient_name": "Held^Hanna", "status": StepStatus.HELD},
    {"patient_name": "Gone^Gerd", "status": StepStatus.CANCELED, "scheduled_station_ae_titles": ("US2",)},
    {"patient_name": "Begun^Bea", "status": StepStatus.STARTED},
)


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write("orders") as tx:
        for number, row in enumerate(ROWS, 1):
            each = item(accession_number=f"A{number}", study_instance_uid=f"1.2.{number}", order_id=number, **row)
            store.replace(tx, number, (each,))
    return database


def walk(database: Database, *keys: str, by: Viewer = US1) -> Explanation:
    with database.read() as tx:
        return explain.explained(tx, query_of(keys, by.habits), by, STATIONS, FakeClock().now())


def counts(explanation: Explanation) -> list[tuple[str, int]]:
    return [(step.keyword or "device", step.remain) for step in explanation.steps]


def held(explanation: Explanation) -> list[tuple[str, str]]:
    return [(back.item.accession_number, back.why) for back in explanation.held]


def test_how_many_remain_after_each_key(filled: Database) -> None:
    explanation = walk(filled, "PatientName=Muster", DATE, "Modality=US", "ScheduledStationAETitle=US1")
    assert counts(explanation) == [
        ("ScheduledProcedureStepStartDate", 5),
        ("Modality", 4),
        ("device", 3),
        ("ScheduledStationAETitle", 3),
        ("PatientName", 1),
    ]
    assert counts(walk(filled)) == [("offered", 6), ("device", 4)]
    assert counts(walk(filled, by=ANYBODY)) == [("offered", 6)]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ScheduledStationAETitle=US_1", 'you have "US1"'),
        ("Modality=USG", "there are US (4), CT (1)"),
        ("PatientID=815", 'there is "0815"'),
        ("PatientName=Mustr^Eva", 'there is "Muster^Eva"'),
        ("PatientName=Mustr", 'there is "Muster^Eva"'),
        ("PatientName=Nobody", "no value is near it"),
        ("ScheduledProcedureStepStartTime=1700-", "these begin between 093000 and 093000"),
        ("AdmissionID=V124", 'there is "V123"'),
        ("PatientSex=M", "there are F (3)"),
        ("ReferringPhysicianName=Refr", 'there is "Refer^Rita"'),
    ],
)
def test_what_there_is_instead(filled: Database, key: str, text: str) -> None:
    last = walk(filled, DATE, key).steps[-1]
    assert last.remain == 0
    assert last.advice.startswith(text)


def test_who_has_no_document_is_not_sent_to_one(filled: Database) -> None:
    (*_, last) = walk(filled, "ScheduledStationAETitle=US_1", by=ANYBODY).steps
    assert last.advice == 'you have "US1": enter that at the console'
    (*_, last) = walk(filled, "ScheduledStationAETitle=US_1").steps
    assert last.advice.endswith("or set ignore_station_key in its document")


HELD = "it is HELD: the RIS has put it on hold, and shows it again by releasing it (ORC-1 RL)"
CLOCK = "today is 20260201: has the console the right date and time zone?"


def test_days_in_the_wrong_order_are_named(filled: Database) -> None:
    (step,) = walk(filled, "ScheduledProcedureStepStartDate=20260203-20260201").steps
    assert step.advice == "the range ends before it begins: its two days are to be swapped"


def test_on_which_days_there_is_something(filled: Database) -> None:
    (step,) = walk(filled, "ScheduledProcedureStepStartDate=20260202").steps
    assert step.advice == f"there are 3 on 20260201, 1 on 20260203; {CLOCK}"
    (step,) = walk(filled, "ScheduledProcedureStepStartDate=20270101").steps
    assert step.advice == f"there are none within 7 days of it; {CLOCK}"
    (step,) = walk(filled, "ScheduledProcedureStepStartDate=01.02.2026").steps
    assert step.advice == "that is no day of any calendar"


def test_what_is_held_back_is_named_with_the_reason(filled: Database) -> None:
    assert held(walk(filled, "AccessionNumber=A6")) == [("A6", HELD)]
    assert held(walk(filled, "AccessionNumber=A3")) == [("A3", "it is for US2")]
    assert held(walk(filled, "AccessionNumber=A7")) == []  # another station's, and canceled
    assert held(walk(filled, "AccessionNumber=A7", by=ANYBODY)) == [("A7", "it is CANCELED: the RIS has taken it back")]
    outside = [("A4", "it is scheduled outside the dates that are asked for")]
    assert held(walk(filled, DATE, "AccessionNumber=A4")) == outside
    assert ("A6", HELD) in held(walk(filled))


def test_a_station_that_no_device_has_now_is_said_to_be_none(filled: Database) -> None:
    with filled.read() as tx:
        query = query_of(["AccessionNumber=A3"], Habits())
        explanation = explain.explained(tx, query, US1, Stations({"US": ("US1",)}), FakeClock().now())
    assert held(explanation) == [("A3", "it is for US2, which is no registered device's station")]


def test_a_filter_of_the_device_s_document_is_named(filled: Database) -> None:
    chooses = FilteredDevice(("US1",), "US", Filter(modalities=("US", "IVUS"), locations=("R1",)))
    with filled.read() as tx:
        stations = Stations({"US": ("US1",)}, (chooses,), frozenset({"US1"}))
        for by, habits in (
            (US1, ("filter: of the orders without a station it takes those of modalities US, IVUS; locations R1",)),
            (replace(US1, stations=("US9",)), ()),
        ):
            assert explain.explained(tx, query_of([], Habits()), by, stations, FakeClock().now()).habits == habits


def test_a_started_item_that_is_hidden_is_named(filled: Database) -> None:
    def hides(_tx: Transaction, items: Sequence[WorklistItem]) -> frozenset[int]:
        return frozenset(each.id for each in items)

    with filled.read() as tx:
        query = query_of(["AccessionNumber=A8"], Habits())
        explanation = explain.explained(tx, query, US1, STATIONS, FakeClock().now(), hides)
    assert [back.item.accession_number for back in explanation.held] == ["A8"]


def test_what_lacks_a_value_that_consoles_need_is_named(filled: Database) -> None:
    with filled.write("orders") as tx:
        bare = item(scheduled_procedure_step_start_time="", study_instance_uid="1.2.99", accession_number="B")
        store.replace(tx, 99, (replace(bare, patient_name=""),))
    (lacking,) = walk(filled, "AccessionNumber=B").lacking
    assert lacking.why == "lacks PatientName, ScheduledProcedureStepStartTime"
    assert lacks(item()) == ()


def test_habits_that_took_part_are_named(filled: Database) -> None:
    by = replace(US1, habits=Habits(ignore_station_key=True, default_window_days=0, limit=9))
    explanation = walk(filled, "ScheduledStationAETitle=X", by=by)
    assert [habit.partition(":")[0] for habit in explanation.habits] == [
        "ignore_station_key",
        "default_window_days",
        "limit",
    ]
    assert explanation.steps[-1].remain == 3
    wide = replace(US1, habits=Habits(widen_today_hours=1))
    assert walk(filled, DATE, by=wide).habits[0].startswith("widen_today_hours")


def test_what_is_looked_at_has_a_bound_and_the_count_says_so(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "RECORDED_AT_MOST", 2)
    recorded = explain.recorded(filled, query_of(["PatientName=Nobody*"], Habits()), US1, STATIONS)
    assert recorded == (
        {"key": "offered", "remain": 2, "at_least": True},
        {"key": "device", "remain": 2, "at_least": True},
        {"key": "PatientName", "remain": 0},
    )


def test_what_is_recorded_holds_no_value_but_a_title(filled: Database) -> None:
    query = query_of([DATE, "ScheduledStationAETitle=Muster^Eva", "PatientName=Muster"], Habits())
    recorded = explain.recorded(filled, query, ANYBODY, STATIONS)
    assert recorded[-1] == {"key": "ScheduledStationAETitle", "remain": 0}
    assert "Muster" not in str(recorded)


def test_a_key_is_said_as_it_was_typed(filled: Database) -> None:
    assert walk(filled, "PatientName=MÜSTER,Eva").steps[-1].asked == "MÜSTER,Eva"
    folding = replace(US1, habits=Habits(case_insensitive_titles=True))
    assert walk(filled, "ScheduledStationAETitle=us_9", by=folding).steps[-1].asked == "us_9"


@pytest.mark.parametrize("key", ["PatientName", "Modalty=US", "Manufacturer=X", "=X"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(Refused):
        query_of([key], Habits())


@pytest.mark.parametrize(
    ("asked", "known", "expected"),
    [
        ("US1", ["US_1", "CT1"], "US_1"),
        ("us-room 1", ["US_ROOM1"], "US_ROOM1"),
        ("US2", ["CT9"], ""),
        ("US_ROOM22", ["US_ROOM1"], "US_ROOM1"),
        ("42", ["0042"], "0042"),
        ("", ["A", ""], "A"),
    ],
)
def test_the_nearest_value(asked: str, known: list[str], expected: str) -> None:
    assert advice.nearest(asked, known) == expected


def test_nothing_to_compare_with_gives_no_advice() -> None:
    assert advice.instead("PatientSex", Key("CS", ("F",)), []) == ""
    unknown = [item(patient_sex="")]
    assert advice.instead("PatientSex", Key("CS", ("F",)), unknown) == "none of these has a value for it"
    assert Query().keys == {}
