"""Identifiers that are made here: which rule, how long, and always the same."""

from dataclasses import replace
from typing import Any

import pytest

from broker.identifiers import derived_uid, is_uid
from broker.orders.model import Order, OrderKeys, ScheduledStep
from broker.orders.names import Named, completed, short_id
from tests.unit.orders.building import EVA

KEYS = OrderKeys(filler_order_number="F1", placer_order_number="P1", filler_issuer="RIS", placer_issuer="HIS")


def order(steps: int = 1, **stated: Any) -> Order:
    found = Order(EVA, filler_order_number="F1", placer_order_number="P1", steps=(ScheduledStep(),) * steps)
    return replace(found, **stated)


def named(found: Order, environment: str = "test", generation: int = 0) -> Named:
    return completed(found, KEYS, environment, generation)


def rule(found: Named, keyword: str, step: str = "") -> str:
    return found.made_here[step, keyword].rule


@pytest.mark.parametrize(
    ("stated", "accession", "words"),
    [
        ({}, "F1", "filler order number"),
        ({"filler_order_number": "F" * 17}, "P1", "placer order number"),
        ({"filler_order_number": ""}, "P1", "placer order number"),
    ],
)
def test_accession_is_the_filler_else_the_placer_number(stated: dict[str, Any], accession: str, words: str) -> None:
    found = named(order(**stated))
    assert found.order.accession_number == accession
    assert rule(found, "AccessionNumber").startswith(words)


def test_accession_stays_empty_where_no_number_fits() -> None:
    found = named(order(filler_order_number="F" * 17, placer_order_number="P" * 17))
    assert found.order.accession_number == ""
    assert ("", "AccessionNumber") not in found.made_here
    assert len(found.order.requested_procedure_id) == 16
    assert rule(found, "RequestedProcedureID").startswith("derived")


def test_what_is_stated_is_never_made_here() -> None:
    stated: dict[str, Any] = {"accession_number": "A1", "requested_procedure_id": "RP1", "study_instance_uid": "1.2.3"}
    whole = replace(order(**stated), steps=(ScheduledStep("S1"),))
    assert named(whole) == Named(whole, {})


def test_requested_procedure_id_is_the_accession_number() -> None:
    found = named(order(accession_number="A1"))
    assert found.order.requested_procedure_id == "A1"
    assert rule(found, "RequestedProcedureID").startswith("accession number")


def test_study_uid_is_the_one_that_earlier_versions_derived() -> None:
    found = named(order())
    assert found.order.study_instance_uid == derived_uid("test", "HOSP", "4711", "P1", "F1", "F1", "F1")
    assert is_uid(found.order.study_instance_uid)
    assert rule(found, "StudyInstanceUID").startswith("derived")


def test_short_procedure_id_is_the_one_that_earlier_versions_derived() -> None:
    numbers: dict[str, Any] = {"filler_order_number": "F" * 17, "placer_order_number": "P" * 17}
    key = ("test", "HOSP", "4711", "P" * 17, "F" * 17, "")
    assert named(order(**numbers)).order.requested_procedure_id == short_id(*key)


@pytest.mark.parametrize(
    "other",
    [
        named(order(), "production"),
        named(order(), generation=1),
        named(order(), generation=2),
        named(order(filler_order_number="F2")),
        named(order(placer_order_number="P2")),
        named(order(accession_number="A2")),
        named(order(requested_procedure_id="RP2")),
        named(replace(order(), patient=replace(EVA, patient_id="4712"))),
        named(replace(order(), patient=replace(EVA, issuer_of_patient_id="OTHER"))),
        completed(order(), KEYS, "test", issuers=True),
    ],
)
def test_study_uid_differs_by_every_part_of_its_key(other: Named) -> None:
    assert other.order.study_instance_uid != named(order()).order.study_instance_uid


def test_only_step_takes_the_procedures_id() -> None:
    found = named(order(requested_procedure_id="RP1"))
    assert found.order.steps[0].scheduled_procedure_step_id == "RP1"
    assert rule(found, "ScheduledProcedureStepID", "RP1").startswith("requested procedure ID, since the only")


def test_several_steps_are_numbered_and_never_clash() -> None:
    steps = (ScheduledStep("RP1-2"), ScheduledStep(), ScheduledStep())
    found = named(replace(order(requested_procedure_id="RP1"), steps=steps))
    ids = [step.scheduled_procedure_step_id for step in found.order.steps]
    assert (ids[0], len(set(ids))) == ("RP1-2", 3)
    assert named(replace(order(requested_procedure_id="RP1"), steps=steps)) == found


def test_numbered_step_ids_fit_sixteen_characters() -> None:
    found = named(order(steps=12, requested_procedure_id="R" * 15))
    ids = {step.scheduled_procedure_step_id for step in found.order.steps}
    assert len(ids) == 12
    assert all(len(own) <= 16 for own in ids)
