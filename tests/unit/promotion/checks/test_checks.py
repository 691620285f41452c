"""Every check, in each of its five states."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.procedures.model import PerformedStatus, ScheduledItem
from broker.promotion.bearing import Bearing, Change
from broker.promotion.checks import CHECKS, STATED
from broker.promotion.model import CheckState
from broker.promotion.recorded.model import Incident, Sent
from broker.promotion.seen import CommitmentSeen, EchoSeen, Facts, QuerySeen
from broker.promotion.statements.model import Kind
from broker.registry.model import Makes
from tests.unit.promotion.checks.building import (
    BERLIN,
    FOREIGN,
    NOW,
    STALE,
    bearing_so,
    day,
    image,
    proven,
    said,
    step,
    without,
)

EVERY = sorted(CHECKS)


def state(name: str, facts: Facts) -> CheckState:
    return CHECKS[name].judge(facts).state


@pytest.mark.parametrize("name", EVERY)
def test_a_check_is_named_as_its_file_and_says_what_passed_and_when(name: str) -> None:
    result = CHECKS[name].judge(proven())
    assert (result.state, result.check, result.title) == (CheckState.PASSED, name, CHECKS[name].TITLE)
    assert result.text and result.at and result.facts and not result.to_do


@pytest.mark.parametrize("name", EVERY)
def test_without_facts_a_check_says_what_to_do(name: str) -> None:
    result = CHECKS[name].judge(without(proven()))
    assert result.state is CheckState.MISSING
    assert result.to_do


@pytest.mark.parametrize("name", EVERY)
def test_what_was_proven_for_something_else_is_stale(name: str) -> None:
    result = CHECKS[name].judge(bearing_so(proven(), STALE))
    assert result.state is CheckState.STALE
    assert "its document has changed" in result.text
    assert result.to_do


@pytest.mark.parametrize("name", [name for name in EVERY if name != "one_device"])
def test_what_is_not_the_devices_own_earns_nothing(name: str) -> None:
    result = CHECKS[name].judge(bearing_so(proven(), FOREIGN))
    assert result.state is CheckState.MISSING


def test_an_impostor_is_named_and_stands_in_the_way() -> None:
    result = CHECKS["verification_in"].judge(bearing_so(proven(), FOREIGN))
    assert "10.0.0.66" in result.text
    assert state("one_device", bearing_so(proven(), FOREIGN)) is CheckState.FAILED


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("one_device", "trouble")])
def test_what_a_person_has_waived_does_not_apply_and_says_who(name: str) -> None:
    facts = without(proven())
    result = CHECKS[name].judge(replace(facts, statements=(said(name, Kind.WAIVED, by="eve", text="has none"),)))
    assert (result.state, result.text) == (CheckState.NOT_APPLICABLE, "eve says so: has none")


@pytest.mark.parametrize(
    ("change", "holds"),
    [(Change.VERSION, True), (Change.POLICY, True), (Change.REVISION, False), (Change.DEVICE, False)],
)
def test_a_waiver_ends_with_another_document_or_device(change: Change, holds: bool) -> None:
    waiver = said("mpps", Kind.WAIVED, bearing=Bearing(changed=(change,)))
    facts = replace(without(proven()), statements=(waiver,))
    assert (state("mpps", facts) is CheckState.NOT_APPLICABLE) is holds


FAILURES: dict[str, Callable[[Facts], Facts]] = {
    "verification_out": lambda facts: replace(facts, sent=(EchoSeen("echo 3", NOW, failure="no answer"), *facts.sent)),
    "worklist_query": lambda facts: replace(facts, queries=(QuerySeen("query 2", NOW, status=0xA900),)),
    "item_in_mpps": lambda facts: replace(facts, steps=(step(1, patient_id="P9"),)),
    "item_in_images": lambda facts: replace(facts, images=(image(1, accession_number=""),)),
    "name_round_trip": lambda facts: replace(facts, images=(image(1, name_digest="0"),)),
    "storage_commitment": lambda facts: replace(facts, commitments=(CommitmentSeen("commitment 2", NOW, failures=1),)),
    "delivered": lambda facts: replace(facts, images=(image(1, sent=(Sent("pacs", "parked", "no"),)), *facts.images)),
    "proven": lambda facts: replace(facts, images=(image(1, sent=(Sent("pacs", "parked", "", "failed"),)),)),
    "clock": lambda facts: replace(facts, images=(), steps=(step(1, seconds_off=-3600.0),)),
    "trouble": lambda facts: replace(facts, incidents=(Incident("alert 1", NOW, "exam.identity: it disagrees"),)),
    "one_device": lambda facts: replace(facts, images=(image(1, bearing=FOREIGN), *facts.images)),
}


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_what_went_wrong_fails_and_says_why_and_what_to_do(name: str) -> None:
    result = CHECKS[name].judge(FAILURES[name](proven()))
    assert result.state is CheckState.FAILED
    assert result.text and result.to_do


@pytest.mark.parametrize(
    ("name", "makes"),
    [
        ("still_image", Makes(still=False)),
        ("cine_loop", Makes(loop=False)),
        ("largest_loop", Makes(loop=False)),
        ("structured_report", Makes(report=False)),
        ("measurements_right", Makes(report=False)),
        ("mpps", Makes(performed_step=False)),
        ("item_in_mpps", Makes(performed_step=False)),
    ],
)
def test_what_the_document_does_not_claim_is_not_asked_for(name: str, makes: Makes) -> None:
    result = CHECKS[name].judge(replace(without(proven()), makes=makes))
    assert result.state is CheckState.NOT_APPLICABLE
    assert result.text.startswith("its document says so")


def test_proof_and_commitment_are_asked_for_where_somebody_asks() -> None:
    assert state("proven", replace(proven(), provers=frozenset())) is CheckState.NOT_APPLICABLE
    assert state("storage_commitment", replace(proven(), asks_commitment=False)) is CheckState.NOT_APPLICABLE


def test_a_statement_explains_what_went_wrong_before_it_and_nothing_after() -> None:
    facts = FAILURES["trouble"](proven())
    earlier, later = said("trouble", at=day(1)), said("trouble", at=NOW)
    assert state("trouble", replace(facts, statements=(earlier,))) is CheckState.FAILED
    assert state("trouble", replace(facts, statements=(later,))) is CheckState.PASSED


def test_an_explanation_outlasts_a_change_of_the_device_that_it_explains() -> None:
    facts = FAILURES["one_device"](proven())
    said_before = said("one_device", at=NOW, bearing=Bearing(changed=(Change.DEVICE,)))
    assert state("one_device", replace(facts, statements=(said_before,))) is CheckState.PASSED


def test_a_step_without_an_order_and_an_instance_that_is_held_are_trouble() -> None:
    held = image(3, sent=(Sent("main-pacs", "held", "PatientID disagrees"),))
    assert state("trouble", replace(proven(), steps=(step(1, unlinked=1),))) is CheckState.FAILED
    assert state("trouble", replace(proven(), images=(held,))) is CheckState.FAILED


def test_a_step_that_was_begun_and_not_completed_is_said() -> None:
    facts = replace(proven(), steps=(step(1, status=PerformedStatus.IN_PROGRESS),))
    assert "1 begun, none completed" in CHECKS["mpps"].judge(facts).text


def test_an_exam_that_was_begun_by_hand_did_not_bring_its_order_back() -> None:
    unscheduled = step(1, items=(ScheduledItem("1.77", "", "", ""),))
    assert state("item_in_mpps", replace(proven(), steps=(unscheduled,))) is CheckState.MISSING


def test_one_good_image_outweighs_earlier_wrong_ones() -> None:
    assert state("item_in_images", replace(proven(), images=(image(2), image(1, patient_id="")))) is CheckState.PASSED


def test_a_name_of_ascii_letters_proves_nothing() -> None:
    ascii_only = {number: replace(each, patient_name="Miller^Joe") for number, each in proven().items.items()}
    assert state("name_round_trip", replace(proven(), items=ascii_only)) is CheckState.MISSING


@pytest.mark.parametrize(("stated", "expected"), [(50, CheckState.PASSED), (90, CheckState.MISSING)])
def test_the_largest_loop_is_measured_where_the_document_says_how_large(stated: int, expected: CheckState) -> None:
    facts = replace(proven(), makes=Makes(largest_loop_mb=stated), statements=())
    assert state("largest_loop", facts) is expected


def test_the_largest_loop_needs_a_persons_word_otherwise() -> None:
    assert state("largest_loop", replace(proven(), statements=())) is CheckState.MISSING
    early = said("largest_loop", at=day(1).replace(year=2025))
    assert state("largest_loop", replace(proven(), statements=(early,))) is CheckState.MISSING


@pytest.mark.parametrize("seconds", [-301.0, 301.0])
def test_a_clock_beyond_the_limit_fails_by_its_steps(seconds: float) -> None:
    facts = replace(proven(), images=(), steps=(step(1, seconds_off=seconds),))
    assert state("clock", facts) is CheckState.FAILED


def test_images_that_come_late_say_nothing_of_the_clock_and_images_of_tomorrow_do() -> None:
    def off(seconds: float) -> CheckState:
        return state("clock", replace(proven(), steps=(), images=(image(1, seconds_off=seconds),)))

    assert (off(-7200.0), off(7200.0)) == (CheckState.MISSING, CheckState.FAILED)


def test_the_soak_counts_whole_exams_and_days_of_the_site() -> None:
    assert state("soak", proven()) is CheckState.PASSED
    one_day = replace(proven(), images=tuple(replace(each, at=day(1)) for each in proven().images))
    assert "3 of 3 exams on 1 of 2 days" in CHECKS["soak"].judge(one_day).text
    waiting = image(3, ref="instance late", sent=(Sent("main-pacs", "waiting", ""),))
    assert state("soak", replace(proven(), images=(waiting, *proven().images))) is CheckState.MISSING
    midnight = replace(image(3), at=day(1).replace(hour=23, minute=30))  # the next day in Berlin
    assert BERLIN and state("soak", replace(proven(), images=(midnight, *proven().images[1:]))) is CheckState.PASSED


def test_a_soak_that_began_anew_is_stale_until_it_is_enough_again() -> None:
    first, *rest = proven().images
    older = tuple(replace(each, bearing=STALE) for each in rest)
    assert state("soak", replace(proven(), images=(first, *older))) is CheckState.STALE


def test_a_delivery_is_stale_where_its_destination_is_another_since() -> None:
    moved = Bearing(moved=(Change.DESTINATIONS,))
    images = tuple(replace(each, bearing=moved) for each in proven().images)
    facts = replace(proven(), images=images)
    assert [state(name, facts) for name in ("delivered", "proven")] == [CheckState.STALE, CheckState.STALE]
    assert state("still_image", facts) is CheckState.PASSED


def test_a_destination_that_cannot_be_asked_is_no_proof() -> None:
    unable = Sent("main-pacs", "delivered", "", "not asked", "it takes no such request")
    facts = replace(proven(), images=(image(1, sent=(unable,)),))
    assert "it takes no such request" in CHECKS["proven"].judge(facts).text
    assert state("proven", facts) is CheckState.MISSING


def test_what_a_person_states_is_a_check() -> None:
    assert set(STATED) <= set(CHECKS)
