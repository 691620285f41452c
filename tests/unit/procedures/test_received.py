import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from pydicom.dataset import Dataset

from broker.orders.model import Code
from broker.procedures import received
from broker.procedures.model import (
    PerformedInstance,
    PerformedPatient,
    PerformedStatus,
    PerformedStep,
    ScheduledItem,
    StepRefused,
    Update,
)
from broker.worklist import elements
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN, tag_of
from tests.unit.procedures.building import (
    IMAGE,
    REPORT,
    SYNTAXES,
    UID,
    creation,
    dataset,
    discontinued,
    encoded,
    ending,
    item,
    series,
    without,
)

IMPLICIT = IMPLICIT_LITTLE_ENDIAN


def created(made: Dataset, syntax: str = IMPLICIT) -> PerformedStep:
    step = received.create(UID, encoded(made, syntax), syntax).created
    assert step is not None
    return step


def updated(made: Dataset, syntax: str = IMPLICIT) -> Update:
    update = received.set_(UID, encoded(made, syntax), syntax).update
    assert update is not None
    return update


def refused(ask: Callable[[], object]) -> StepRefused:
    with pytest.raises(StepRefused) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_n_create_is_read_whole_in_its_syntax_and_character_set(syntax: str) -> None:
    step = created(creation(), syntax)
    assert step.items == (ScheduledItem("1.2.3", "A1", "RP1", "S1"),)
    assert step.patient == PerformedPatient("4711", "", "Müster^Eva", "19800229", "F")
    assert (step.start_date, step.start_time, step.modality) == ("20260201", "093100", "US")
    assert (step.performed_station_ae_title, step.performed_station_name) == ("US1", "USROOM1")
    assert step.status is PerformedStatus.IN_PROGRESS
    assert step.notes == ()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_n_set_is_read_whole(syntax: str) -> None:
    update = updated(ending("COMPLETED", series(images=2, reports=1)), syntax)
    assert (update.status, update.end_date, update.end_time) == (PerformedStatus.COMPLETED, "20260201", "094500")
    (one,) = update.series or ()
    assert one.series_instance_uid == "1.2.3.1"
    assert one.instances[0] == PerformedInstance(IMAGE, "1.2.3.1.0")
    assert one.instances[2] == PerformedInstance(REPORT, "1.2.3.1.9.0")


def test_what_an_n_set_does_not_state_stays_as_it_is() -> None:
    update = updated(dataset(PerformedProcedureStepDescription=""))
    assert (update.status, update.end_date, update.series, update.items) == (None, None, None, None)
    assert update.description == ""


def test_the_discontinuation_reason_is_a_code() -> None:
    assert updated(discontinued("110514")).discontinuation_reason == Code("110514", "DCM", "a reason")


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Łukasz^Jan"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_text_is_unicode_whatever_its_character_set(character_set: str, name: str) -> None:
    assert created(creation(SpecificCharacterSet=character_set, PatientName=name)).patient.patient_name == name


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    own = item(SpecificCharacterSet="ISO_IR 144", AccessionNumber="Щ1")
    step = created(creation(own, SpecificCharacterSet="ISO_IR 192"))
    assert step.items[0].accession_number == "Щ1"
    assert step.patient.patient_name == "Müster^Eva"


@pytest.mark.parametrize(
    "keyword",
    [
        "ScheduledStepAttributesSequence",
        "PerformedProcedureStepStatus",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
    ],
)
def test_an_absent_hard_attribute_is_refused_by_its_tag(keyword: str) -> None:
    error = refused(lambda: created(without(creation(), keyword)))
    assert (error.status, error.missing) == (0x0120, (tag_of(keyword),))
    assert keyword in error.text


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepStatus": ""}, 0x0121),
        ({"PerformedProcedureStepStartDate": ""}, 0x0121),
        ({"PerformedProcedureStepStartTime": ""}, 0x0121),
        ({"ScheduledStepAttributesSequence": []}, 0x0121),
        ({"ScheduledStepAttributesSequence": [item(StudyInstanceUID="")]}, 0x0121),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "DISCONTINUED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "SCHEDULED"}, 0x0106),
        ({"ScheduledStepAttributesSequence": [item()] * 257}, 0x0106),
    ],
)
def test_an_empty_or_invalid_hard_attribute_is_refused_with_what_came(changes: dict[str, object], status: int) -> None:
    error = refused(lambda: created(creation(**changes)))
    assert error.status == status
    (keyword,) = changes
    assert error.data_set is not None
    assert [element.tag for element in elements.read(error.data_set, IMPLICIT)] == [tag_of(keyword)]


@pytest.mark.parametrize("wrong", ["20260230", "today", "2026"])
def test_a_start_that_is_no_date_is_refused(wrong: str) -> None:
    made = encoded(creation()).replace(b"20260201", wrong.encode().ljust(8))
    assert refused(lambda: received.create(UID, made, IMPLICIT)).status == 0x0106


def test_a_lower_case_status_is_understood() -> None:
    made = encoded(creation()).replace(b"IN PROGRESS", b"in progress")
    assert received.create(UID, made, IMPLICIT).created is not None


@pytest.mark.parametrize(("uid", "status"), [("", 0x0120), ("..", 0x0117), ("1." * 40 + "1", 0x0117)])
def test_a_step_without_a_uid_is_refused(uid: str, status: int) -> None:
    assert refused(lambda: received.create(uid, encoded(creation()), IMPLICIT)).status == status
    assert refused(lambda: received.set_(uid, encoded(ending()), IMPLICIT)).status == status


def test_what_a_modality_leaves_out_beyond_that_is_noted() -> None:
    step = created(without(creation(Modality="", PerformedStationAETitle=""), "PatientSex", "PerformedSeriesSequence"))
    assert step.notes == (
        "PerformedStationAETitle has no value",
        "Modality has no value",
        "PatientSex is absent",
        "PerformedSeriesSequence is absent",
    )


def test_a_bare_item_is_taken_and_noted() -> None:
    step = created(creation(dataset(StudyInstanceUID="1.2.3")))
    assert "ScheduledProcedureStepID of a scheduled step is absent" in step.notes
    assert step.items == (ScheduledItem("1.2.3"),)


@pytest.mark.parametrize("data", [b"\xff" * 20, b"abc", encoded(creation())[:-3]])
def test_bytes_that_are_no_data_set_are_refused(data: bytes) -> None:
    assert refused(lambda: received.create(UID, data, IMPLICIT)).status == 0x0110
    assert refused(lambda: received.set_(UID, data, IMPLICIT)).status == 0x0110


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_whatever_arrives_is_read_or_refused(syntax: str) -> None:
    chance = random.Random(f"20 {syntax}")
    whole = encoded(creation(item(), PerformedSeriesSequence=[series(images=3)]), syntax)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
        with suppress(StepRefused):
            received.create(UID, cut, syntax)
        with suppress(StepRefused):
            received.set_(UID, cut, syntax)


def test_requests_without_a_data_set_are_refused() -> None:
    assert refused(lambda: received.create(UID, None, IMPLICIT)).status == 0x0120
    assert refused(lambda: received.set_(UID, None, IMPLICIT)).status == 0x0212
    assert received.set_(UID, b"", IMPLICIT).update == Update()


def test_an_exam_of_many_images_is_read() -> None:
    made = ending("COMPLETED", *(series(f"1.2.{number}", images=500) for number in range(8)))
    data = encoded(made)
    update = received.set_(UID, data, IMPLICIT).update
    assert update is not None
    assert sum(len(one.instances) for one in update.series or ()) == 4000


def test_a_status_that_is_none_is_refused() -> None:
    assert refused(lambda: updated(dataset(PerformedProcedureStepStatus="FINISHED"))).status == 0x0106
