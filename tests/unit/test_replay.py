"""Golden replay: what two runs over the same messages gave is compared, item by item."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.database import Database
from broker.environments import profile as profiles
from broker.environments.model import Profile, Source
from broker.inbox.model import ACCEPTED, Arrival, EntryState, InboxEntry, Outcome
from broker.orders.model import Code, Origin, StepStatus
from broker.registry.model import Registry
from broker.replay import (
    Answered,
    Produced,
    Run,
    What,
    attributes,
    compare,
    difference,
    differences,
    run,
    with_mapping,
)
from broker.worklist.model import WorklistItem
from tests.unit.cli.day import ARRIVED, EVA, EVA_BEFORE, MAX, merge, order
from tests.unit.environments.test_profile import WHOLE

NO_DEVICES = Registry(0, ())
ITEM = WorklistItem(
    id=1,
    order_id=1,
    status=StepStatus.SCHEDULED,
    patient_name="Muster^Eva",
    patient_id="4711",
    issuer_of_patient_id="HOSP",
    patient_birth_date="19800229",
    patient_sex="F",
    accession_number="A1",
    requested_procedure_id="RP1",
    requested_procedure_description="Abdomen US",
    requested_procedure_code=Code("USABD", "L", "Abdomen US"),
    study_instance_uid="1.2.3",
    scheduled_procedure_step_id="S1",
    scheduled_procedure_step_description="Liver",
    scheduled_protocol_codes=(Code("A", "L", "a"), Code("B", "L", "b")),
    scheduled_procedure_step_start_date="20261122",
    scheduled_procedure_step_start_time="093000",
    timezone="Europe/Berlin",
    modality="US",
    scheduled_station_ae_titles=(),
    scheduled_performing_physician_name="",
    attributes={"PlacerOrderNumberImagingServiceRequest": "P1"},
    provenance={"AccessionNumber": Origin("OBR-18", entry_id=1)},
)


def entry(number: int, raw: bytes) -> InboxEntry:
    arrival = Arrival(ARRIVED, "10.1.4.20", 4000)
    return InboxEntry(number, arrival, raw, "", "RIS", "HOSP", "ORM^O01", f"M{number}", EntryState.APPLIED)


def produced(item: WorklistItem, made_by: int = 1, order_: int = 0, step: int = 0) -> Produced:
    return Produced(made_by, order_, step, item)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE, encoding="utf-8")
    return profiles.read(file)


# --- comparing ---------------------------------------------------------------------------------------------------


def test_attributes_are_text_by_keyword_and_empty_ones_are_left_out() -> None:
    found = attributes(ITEM)
    assert found["RequestedProcedureCodeSequence"] == "USABD^L^Abdomen US"
    assert found["ScheduledProtocolCodeSequence"] == "A^L^a\\B^L^b"
    assert found["PlacerOrderNumberImagingServiceRequest"] == "P1"
    assert found["ScheduledProcedureStepStatus"] == "SCHEDULED"
    assert "ScheduledPerformingPhysicianName" not in found
    assert "ScheduledStationAETitle" not in found


def test_equal_items_do_not_differ_whatever_their_ids_and_origins() -> None:
    assert difference(ITEM, replace(ITEM, id=9, order_id=9, provenance={})) is None


def test_an_attribute_that_differs_is_named_with_both_values_and_origins() -> None:
    other = replace(ITEM, accession_number="F1", provenance={"AccessionNumber": Origin("OBR-3")}, attributes={})
    found = difference(ITEM, other)
    assert found is not None
    assert found.what is What.CHANGED
    accession, placer = found.attributes
    assert (accession.keyword, accession.before, accession.after) == ("AccessionNumber", "A1", "F1")
    assert (accession.before_from, accession.after_from) == (Origin("OBR-18", entry_id=1), Origin("OBR-3"))
    assert (placer.before, placer.after) == ("P1", "")


def test_items_of_one_side_are_added_and_gone() -> None:
    found = differences([ITEM], [replace(ITEM, id=2)])
    assert [one.what for one in found] == [What.GONE, What.ADDED]
    assert differences([ITEM], [ITEM]) == ()


@pytest.mark.parametrize(
    "renamed",
    [
        {"accession_number": "F1", "study_instance_uid": "9.9"},
        {"scheduled_procedure_step_id": "F1", "study_instance_uid": "9.9"},
    ],
)
def test_an_item_is_the_same_whatever_another_mapping_calls_it(renamed: dict[str, str]) -> None:
    found = compare(Run((), (produced(ITEM),)), Run((), (produced(replace(ITEM, **renamed)),)))  # type: ignore[arg-type]
    assert [one.what for one in found.items] == [What.CHANGED]


def test_an_item_that_another_message_made_is_found_by_its_study_or_its_numbers() -> None:
    for renamed in (ITEM, replace(ITEM, study_instance_uid="9.9", scheduled_procedure_step_id="X")):
        found = compare(Run((), (produced(ITEM),)), Run((), (produced(renamed, made_by=7),)))
        assert [one.what for one in found.items] in ([], [What.CHANGED])


def test_steps_are_paired_by_their_ids_first() -> None:
    second = replace(ITEM, id=2, scheduled_procedure_step_id="S2")
    before = Run((), (produced(ITEM), produced(second, step=1)))
    after = Run((), (produced(second), produced(ITEM, step=1)))
    found = compare(before, after)
    assert (found.items, found.unchanged) == ((), 2)


def test_only_another_answer_counts_as_answered_otherwise() -> None:
    refused = Outcome("AE", "OBR^1^24", "101", "Modality is missing")
    raw = entry(1, b"")
    before = Run((Answered(raw, EntryState.APPLIED, ACCEPTED), Answered(raw, EntryState.REFUSED, refused)), ())
    after = Run((Answered(raw, EntryState.APPLIED, ACCEPTED), Answered(raw, EntryState.APPLIED, ACCEPTED)), ())
    found = compare(before, after)
    assert found.answers == ((before.answers[1], after.answers[1]),)
    assert not found.is_empty
    assert compare(before, before).is_empty


# --- running -----------------------------------------------------------------------------------------------------


def test_another_mapping_is_of_one_source_or_of_all(profile: Profile) -> None:
    known = replace(profile, hl7=replace(profile.hl7, sources=(Source("ris-1"), Source("ris-2", mapping="ipc"))))

    def mappings(changed: Profile) -> list[str]:
        return [one.mapping for one in (changed.hl7.default, *changed.hl7.sources)]

    assert mappings(with_mapping(known, "x")) == ["x", "x", "x"]
    assert mappings(with_mapping(known, "x", source="ris-1")) == ["ihe-swf", "x", "ipc"]
    assert mappings(with_mapping(known, "x", source="default")) == ["x", "ihe-swf", "ipc"]
    changed = with_mapping(known, order_control="y")
    assert (mappings(changed), changed.hl7.default.order_control) == (["ihe-swf", "ihe-swf", "ipc"], "y")


def test_a_run_gives_answers_and_items_with_the_numbers_of_the_real_inbox(profile: Profile, database: Database) -> None:
    told: list[int] = []
    entries = [
        entry(41, order(1, "NW", EVA_BEFORE, 200, "202611220930")),
        entry(42, order(2, "ZZ", MAX, 201, "202611220930")),
        entry(45, merge(3, EVA, "9004")),
    ]
    found = run(profile, database, NO_DEVICES, entries, told.append)
    assert [(one.entry.id, one.outcome.code) for one in found.answers] == [(41, "AA"), (42, "AE"), (45, "AA")]
    (item,) = found.items
    assert (item.entry_id, item.item.patient_id) == (41, "4711")
    assert item.item.provenance["AccessionNumber"] == Origin("OBR-18", entry_id=41)
    assert item.item.provenance["PatientID"].entry_id == 45
    assert told == [1, 2, 3]


def test_a_message_at_which_processing_fails_hides_no_other(
    profile: Profile, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.orders import messages

    real = messages.translate

    def failing(raw: bytes, context: messages.Context) -> object:
        if b"|M1|" in raw:
            raise ZeroDivisionError
        return real(raw, context)

    monkeypatch.setattr(messages, "translate", failing)
    entries = [entry(1, order(1, "NW", EVA, 200, "202611220930")), entry(2, order(2, "NW", MAX, 201, "202611220930"))]
    found = run(profile, database, NO_DEVICES, entries)
    assert [(one.state, one.outcome.code) for one in found.answers] == [
        (EntryState.KEPT, ""),
        (EntryState.APPLIED, "AA"),
    ]
    assert [one.item.accession_number for one in found.items] == ["A201"]
