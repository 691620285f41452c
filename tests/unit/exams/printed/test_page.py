"""What stands on the printed worklist: a room a page, soonest first, in the words that people read."""

import pytest

from broker.exams.printed.page import rooms, row
from tests.unit.exams.printed.building import DAY, modality
from tests.unit.worklist.building import item


def test_each_room_has_its_items_soonest_first_and_what_nobody_has_comes_last() -> None:
    items = [
        item(id=1, scheduled_procedure_step_start_time="100000"),
        item(id=2, scheduled_procedure_step_start_time="080000"),
        item(id=3, scheduled_procedure_step_start_date="20260202"),
        item(id=4, scheduled_station_ae_titles=("CT9",)),
    ]
    found = rooms(items, [modality("us-2", "US2"), modality("us-1", "US1")], DAY)
    assert [(room.name, [one.id for one in room.items]) for room in found] == [
        ("us-1", [2, 1]),
        ("us-2", []),
        ("no device", [4]),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Muster^Eva^M^Dr^Jr", "Muster, Dr Eva M Jr"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou / 山田 太郎 / やまだ たろう"),
        ("=山田^太郎", "山田 太郎"),
        ("Adams", "Adams"),
        ("", ""),
    ],
)
def test_a_name_is_written_as_people_write_it(name: str, expected: str) -> None:
    assert row(item(patient_name=name)).name == expected


def test_what_is_not_stated_is_left_out() -> None:
    bare = row(item(patient_birth_date="", patient_sex="", scheduled_procedure_step_start_time="", attributes={}))
    assert (bare.born, bare.time, bare.notes, bare.urgency) == ("", "", "", "")


def test_urgency_stands_apart_from_notes() -> None:
    stated = {"RequestedProcedurePriority": "STAT", "Allergies": "Latex"}
    urgent = row(item(attributes=stated))
    assert (urgent.urgency, urgent.notes) == ("STAT", "allergies: Latex")
    assert row(item(attributes={"RequestedProcedurePriority": "ROUTINE"})).urgency == ""


def test_several_allergies_are_listed_as_people_list_them() -> None:
    assert row(item(attributes={"Allergies": "Latex\\Penicillin"})).notes == "allergies: Latex, Penicillin"


def test_no_cell_is_long_enough_to_fill_a_page() -> None:
    long = row(item(attributes={"Allergies": "x" * 5000}))
    assert len(long.notes) == 300
    assert long.notes.endswith("...")
