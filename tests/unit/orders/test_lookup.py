"""Which order a message means: every key counts, and what contradicts is refused by the names of the keys."""

from dataclasses import replace
from typing import Any

import pytest

from broker.orders.lookup import Candidate, meant
from broker.orders.model import Action, OrderKeys, Refusal
from tests.unit.orders.building import STATED, change

FIRST = Candidate(1, OrderKeys(**STATED), 10)
SECOND = Candidate(2, OrderKeys("1.2.4", "F2", "P2", "A2", "RP2", "RIS", "HIS"), 10)
OF_OTHER = Candidate(3, OrderKeys("1.2.5", "F3", "P3", "A3", "RP3", "RIS", "HIS"), 11)
ALL = (FIRST, SECOND, OF_OTHER)


def found(
    action: Action = Action.CHANGE, patient: int | None = 10, among: tuple[Candidate, ...] = ALL, **stated: Any
) -> int | None:
    return meant(change(action, stated=stated), among, patient)


def refused(
    action: Action = Action.CHANGE, patient: int | None = 10, among: tuple[Candidate, ...] = ALL, **stated: Any
) -> str:
    with pytest.raises(Refusal) as caught:
        found(action, patient, among, **stated)
    assert (caught.value.answer, caught.value.code) == ("AE", "204")
    assert not any(value in caught.value.text for value in stated.values())
    return caught.value.text


@pytest.mark.parametrize(
    "key", ["study_instance_uid", "filler_order_number", "placer_order_number", "accession_number"]
)
def test_each_key_alone_finds_its_order(key: str) -> None:
    assert meant(change(Action.CHANGE, stated={key: STATED[key]}), ALL, 10) == 1


def test_unknown_keys_find_nothing() -> None:
    assert found(filler_order_number="F9") is None
    assert found(among=(), filler_order_number="F1") is None


def test_keys_of_different_orders_are_refused_by_name() -> None:
    assert refused(filler_order_number="F1", placer_order_number="P2") == (
        "FillerOrderNumber and PlacerOrderNumber name different orders"
    )


def test_another_study_for_known_numbers_is_refused() -> None:
    text = refused(study_instance_uid="1.2.9", filler_order_number="F1")
    assert text == "StudyInstanceUID and FillerOrderNumber name different orders"


def test_a_number_of_another_issuer_is_another_number() -> None:
    assert found(filler_order_number="F1", filler_issuer="OTHER") is None
    assert found(filler_order_number="F1") == 1


def test_another_patients_order_is_refused() -> None:
    assert refused(filler_order_number="F3") == "PatientID and FillerOrderNumber name different patients"
    assert refused(patient=0, filler_order_number="F3") == "PatientID and FillerOrderNumber name different patients"
    assert found(patient=None, filler_order_number="F3") == 3


def test_an_update_by_study_goes_by_that_alone() -> None:
    assert found(study_instance_uid="1.2.5") == 3
    assert found(Action.CANCEL, study_instance_uid="1.2.5") == 3
    assert refused(Action.NEW, study_instance_uid="1.2.5") == "PatientID and StudyInstanceUID name different patients"


def test_a_new_order_under_another_patients_accession_is_refused() -> None:
    text = refused(Action.NEW, filler_order_number="F9", accession_number="A3", requested_procedure_id="RP9")
    assert text == "PatientID and AccessionNumber name different patients"


def test_a_shared_number_tells_nothing_where_the_filler_number_differs() -> None:
    assert found(Action.NEW, filler_order_number="F9", accession_number="A1") is None
    assert found(Action.CANCEL, filler_order_number="F9", accession_number="A1") is None
    assert found(Action.NEW, filler_order_number="F9", placer_order_number="P1") is None
    assert found(Action.NEW, placer_order_number="P9", accession_number="A1") is None


def test_a_new_number_beside_a_stronger_key_is_a_change_of_the_number() -> None:
    assert found(filler_order_number="F1", placer_order_number="P9") == 1
    assert found(study_instance_uid="1.2.3", filler_order_number="F9") == 1


def test_procedures_of_one_order_are_told_apart_by_their_id() -> None:
    second = replace(FIRST, id=4, keys=replace(FIRST.keys, study_instance_uid="1.2.6", requested_procedure_id="RP4"))
    among = (FIRST, second)
    assert found(among=among, filler_order_number="F1", requested_procedure_id="RP4") == 4
    assert refused(among=among, filler_order_number="F1") == "FillerOrderNumber name several orders"
    assert found(Action.NEW, among=among, filler_order_number="F1", requested_procedure_id="RP5") is None


def test_a_procedure_id_made_here_does_not_tell_procedures_apart() -> None:
    made = replace(FIRST, keys=replace(FIRST.keys, requested_procedure_id="A1"), procedure_made_here=True)
    assert found(Action.NEW, among=(made,), filler_order_number="F1", requested_procedure_id="RP1") == 1


def test_live_orders_go_before_canceled_ones_unless_their_study_is_stated() -> None:
    canceled = replace(FIRST, canceled=True)
    live = replace(FIRST, id=5, keys=replace(FIRST.keys, study_instance_uid="1.2.7"), generation=1)
    among = (canceled, live)
    assert found(among=among, filler_order_number="F1") == 5
    assert found(among=among, filler_order_number="F1", study_instance_uid="1.2.3") == 1
    assert found(among=among, filler_order_number="F1", study_instance_uid="1.2.7") == 5
    last = replace(live, canceled=True)
    assert found(Action.NEW, among=(canceled, last), filler_order_number="F1") == 5


def test_a_canceled_order_leaves_its_accession_but_not_its_study() -> None:
    canceled = replace(OF_OTHER, canceled=True)
    stated: dict[str, Any] = {"filler_order_number": "F9", "requested_procedure_id": "RP9"}
    assert found(Action.NEW, among=(canceled,), **stated, accession_number="A3") is None
    assert refused(Action.NEW, among=(canceled,), **stated, study_instance_uid="1.2.5").startswith(
        "PatientID and Study"
    )


def test_a_cancel_that_came_before_its_order_belongs_to_no_patient() -> None:
    tombstone = Candidate(6, OrderKeys(filler_order_number="F6"), 0, canceled=True)
    assert found(Action.NEW, patient=0, among=(tombstone,), filler_order_number="F6", study_instance_uid="1.2.6") == 6
