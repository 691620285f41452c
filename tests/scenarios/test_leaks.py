"""Attempts to let something cross between Test and Production: each passes without its tripwire, and not with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.dimse.requestor import EngineRequestor
from broker.environments import hooks
from broker.tripwires.table import TRIPWIRES, Into, Response
from tests.scenarios.two_worlds import Side, TwoWorlds, make_template
from tests.torture import hl7_messages

STUDY = "1.2.826.0.1.5.1"
PATIENT = {"PatientID": "H1", "AccessionNumber": ""}


@dataclass(frozen=True)
class Attempt:
    """What somebody does (here, where it began), what it becomes of without the tripwire, and the tripwire."""

    name: str
    tripwire: str
    act: Callable[[Side, Side], str]
    untripped: str = "taken"


def _order_with_study(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.order("2", study=STUDY)


def _same_order(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.order("1", study=STUDY)


def _order_without_study(here: Side, there: Side) -> str:
    there.order("1")
    return here.order("1")


def _order_by_first_image(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.order("2", study=STUDY)


def _order_by_step(here: Side, there: Side) -> str:
    there.create("1.2.8.1", StudyInstanceUID=STUDY)
    return here.order("2", study=STUDY)


def _order_that_came_first(here: Side, there: Side) -> str:
    here.order("1", study=STUDY)
    there.flows.worlds._off = frozenset({"order-of-other"})
    there.order("1", study=STUDY)
    return here.order("1", study=STUDY, kind="XO")


def _clone_of_patient(here: Side, there: Side) -> str:
    there.order("1", patient="H7")
    return here.order("2", patient="H7")


def _equal_accession(here: Side, there: Side) -> str:
    there.order("1", accession="A77")
    return here.order("2", accession="A77")


def _listed_patient(here: Side, _: Side) -> str:
    return here.order("3", patient="H999")


def _listed_patient_again(here: Side, _: Side) -> str:
    here.order("3", patient="H999")
    return here.order("4", patient="H999", name="Real^Name")


def _called_test(here: Side, _: Side) -> str:
    return here.order("3", name="Test^Theo")


def _called_phantom(here: Side, _: Side) -> str:
    return here.order("3", name="Abdomen^Phantom 3")


def _image_of_order(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, PatientID="H1", AccessionNumber="A1")


def _image_of_begun_study(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.2", StudyInstanceUID=STUDY, **PATIENT)


def _same_image(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)


def _same_image_under_other_study(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.1", StudyInstanceUID="1.2.66", PatientID="HY", AccessionNumber="")


def _image_of_begun_step(here: Side, there: Side) -> str:
    there.create("1.2.8.1", StudyInstanceUID=STUDY)
    return here.image("1.2.7.3", StudyInstanceUID=STUDY, PatientID="HY", AccessionNumber="")


def _image_of_cloned_order(here: Side, there: Side) -> str:
    here.order("1", study=STUDY)
    there.flows.worlds._off = frozenset({"order-of-other"})
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, PatientID="H1", AccessionNumber="A1")


def _image_by_patient(here: Side, there: Side) -> str:
    there.order("1")
    return here.image("1.2.7.4", StudyInstanceUID="1.2.77", PatientID="H1", AccessionNumber="")


def _image_by_accession(here: Side, there: Side) -> str:
    there.order("1")
    return here.image("1.2.7.5", StudyInstanceUID="1.2.77", PatientID="HY", AccessionNumber="A1")


def _image_of_listed(here: Side, _: Side) -> str:
    return here.image("1.2.7.6", StudyInstanceUID="1.2.78", PatientID="H999", AccessionNumber="")


def _handed_back(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", calling=_title(there), StudyInstanceUID=STUDY, **PATIENT)


def _step_of_order(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.create("1.2.8.1", StudyInstanceUID=STUDY)


def _step_of_begun_study(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.create("1.2.8.1", StudyInstanceUID=STUDY)


def _same_step(here: Side, there: Side) -> str:
    there.create("1.2.8.1")
    return here.create("1.2.8.1", StudyInstanceUID="1.2.998")


def _step_of_cloned_order(here: Side, there: Side) -> str:
    here.order("1", study=STUDY)
    there.flows.worlds._off = frozenset({"order-of-other"})
    there.order("1", study=STUDY)
    return here.create("1.2.8.1", StudyInstanceUID=STUDY)


def _step_by_accession(here: Side, there: Side) -> str:
    there.order("1")
    return here.create("1.2.8.1", AccessionNumber="A1")


def _step_by_patient(here: Side, there: Side) -> str:
    there.order("1")
    return here.create("1.2.8.1", patient="H1")


def _step_of_listed(here: Side, _: Side) -> str:
    return here.create("1.2.8.1", patient="H999")


def _live_elsewhere(here: Side, there: Side) -> str:
    there.flows.watch_worlds()
    return here.image("1.2.7.8", StudyInstanceUID="1.2.79", PatientID="HY", AccessionNumber="")


def _title(side: Side) -> str:
    return str(side.profile.dicom.ae_title)


ATTEMPTS = (
    Attempt("order with the study of the other world's order", "order-of-other", _order_with_study),
    Attempt("the same order sent to both", "order-of-other", _same_order),
    Attempt("the same accession number and patient without study", "order-of-other", _order_without_study),
    Attempt("order with the study that an image began there", "order-of-other", _order_by_first_image),
    Attempt("order with the study that a step began there", "order-of-other", _order_by_step),
    Attempt("change of an order that stands in both", "order-of-both", _order_that_came_first),
    Attempt("patient of a cloned RIS", "patient-of-other", _clone_of_patient),
    Attempt("accession number of a cloned RIS", "patient-of-other", _equal_accession),
    Attempt("order for a listed patient", "test-patient-order", _listed_patient),
    Attempt("second order for a listed patient, renamed", "test-patient-order", _listed_patient_again),
    Attempt("order for one who is called Test", "test-name", _called_test),
    Attempt("order for a phantom", "test-name", _called_phantom),
    Attempt("image of the other world's order", "image-of-other", _image_of_order),
    Attempt("further image of a study begun there", "image-of-other", _image_of_begun_study),
    Attempt("image that was stored there", "image-of-other", _same_image),
    Attempt("stored image under another study", "image-of-other", _same_image_under_other_study),
    Attempt("image of a step begun there", "image-of-other", _image_of_begun_step),
    Attempt("image of an order that stands in both", "image-of-both", _image_of_cloned_order),
    Attempt("image of a patient known there alone", "image-by-patient", _image_by_patient),
    Attempt("image with an accession number known there alone", "image-by-patient", _image_by_accession),
    Attempt("image of a listed patient", "test-patient-image", _image_of_listed),
    Attempt("image that the other world hands over and has begun", "handed-back", _handed_back),
    Attempt("step of the other world's order", "step-of-other", _step_of_order),
    Attempt("step of a study begun there", "step-of-other", _step_of_begun_study),
    Attempt("step that was begun there", "step-of-other", _same_step),
    Attempt("step of an order that stands in both", "step-of-both", _step_of_cloned_order),
    Attempt("step with an accession number known there", "step-by-patient", _step_by_accession),
    Attempt("step of a patient known there", "step-by-patient", _step_by_patient),
    Attempt("step of a listed patient", "test-patient-step", _step_of_listed),
    Attempt("device that is live there", "live-elsewhere", _live_elsewhere),
)
CASES = [
    pytest.param(into, attempt, id=f"into {into}: {attempt.name}")
    for attempt in ATTEMPTS
    for into in ("production", "test")
    if (into == "production" or TRIPWIRES[attempt.tripwire].into is Into.BOTH)
    # No device is live in Test.
    and not (into == "production" and attempt.tripwire == "live-elsewhere")
]
BECOMES = {Response.HELD: "held", Response.HANDED_OVER: "handed over", Response.ALERTED: "taken"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


Make = Callable[..., TwoWorlds]


@pytest.fixture
def make(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[TwoWorlds] = []

    def make(without: str = "") -> TwoWorlds:
        monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
        monkeypatch.setenv("BROKER_TRIPWIRES_OFF", without)
        made.append(TwoWorlds(tmp_path, template))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_there_are_thirty_attempts_and_more() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize(("into", "attempt"), CASES)
def test_an_attempt_leaks_without_its_tripwire(make: Make, into: str, attempt: Attempt) -> None:
    here, there = make(attempt.tripwire).of(into)
    assert attempt.act(here, there) == attempt.untripped
    assert f"tripwire.{attempt.tripwire}" not in here.events()


@pytest.mark.parametrize(("into", "attempt"), CASES)
def test_an_attempt_is_held_handed_over_or_told(make: Make, into: str, attempt: Attempt) -> None:
    here, there = make().of(into)
    row = TRIPWIRES[attempt.tripwire]
    assert attempt.act(here, there) == BECOMES[row.response]
    assert row.event in here.events()


@pytest.mark.parametrize("into", ["production", "test"])
def test_an_image_that_went_astray_is_stored_where_it_began(make: Make, into: str) -> None:
    here, there = make().of(into)
    there.order("1", study=STUDY)
    assert here.image("1.2.7.1", StudyInstanceUID=STUDY, PatientID="H1", AccessionNumber="A1") == "handed over"
    here.hand_over()
    assert [(one.destination, one.state.value) for one in here.owed("1.2.7.1")] == [("other-world", "delivered")]
    assert [(one.destination, one.state.value) for one in there.owed("1.2.7.1")] == [("main-pacs", "waiting")]


@pytest.mark.parametrize("into", ["production", "test"])
def test_a_step_that_went_astray_ends_where_it_began(make: Make, into: str) -> None:
    here, there = make().of(into)
    there.order("1", study=STUDY)
    there.create("1.2.8.1", StudyInstanceUID=STUDY)
    assert here.complete("1.2.8.1") == "handed over"
    here.hand_over()
    assert there.step_status("1.2.8.1") == "COMPLETED"


@pytest.mark.parametrize("into", ["production", "test"])
def test_a_step_that_went_astray_whole_arrives_whole(make: Make, into: str) -> None:
    here, there = make().of(into)
    there.order("1", study=STUDY)
    assert here.create("1.2.8.1", StudyInstanceUID=STUDY) == "handed over"
    assert here.complete("1.2.8.1") == "handed over"
    here.hand_over()
    assert there.step_status("1.2.8.1") == "COMPLETED"


@pytest.mark.parametrize("into", ["production", "test"])
def test_nothing_is_sent_to_a_destination_of_the_other_world(make: Make, into: str) -> None:
    here, there = make().of(into)
    here.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    (theirs,) = there.profile.destinations
    here.flows.deliver(theirs, EngineRequestor())
    assert [one.state.value for one in here.owed("1.2.7.1")] == ["waiting"]
    assert "tripwire.destination-world" in here.events()


@pytest.mark.parametrize("into", ["production", "test"])
def test_a_destination_of_the_other_world_is_sent_to_without_its_tripwire(make: Make, into: str) -> None:
    here, there = make("destination-world").of(into)
    here.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    (theirs,) = there.profile.destinations
    here.flows.deliver(theirs, EngineRequestor())
    assert [one.state.value for one in here.owed("1.2.7.1")] == ["delivered"]


def test_messages_of_the_other_processing_id_are_refused(make: Make) -> None:
    both = make()
    for here, there in (both.of("production"), both.of("test")):
        raw = hl7_messages.order("9", msh={11: there.profile.kind.value[0].upper()})
        assert here.message(raw) == "refused"


def test_a_production_where_patients_are_switches_nothing_off(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_TRIPWIRES_OFF", "image-of-other")
    both = TwoWorlds(tmp_path, template)
    try:
        real = replace(both.production.profile, state=Path("/var/lib/broker"))
        assert hooks.tripwires_off(both.production.profile) == {"image-of-other"}
        assert hooks.tripwires_off(real) == frozenset()
    finally:
        both.close()


def test_an_unreadable_file_is_told_and_stops_nothing(make: Make) -> None:
    both = make()
    (both.test.profile.state / "identifiers").unlink()
    both.production.flows.watch_worlds()
    assert both.production.order("1", study=STUDY) == "taken"
    assert "tripwire.unreadable" in both.production.events()


def test_what_began_before_a_stop_is_written_at_the_next_start(make: Make) -> None:
    both = make()
    both.test.order("1", study=STUDY)
    file = both.test.profile.state / "identifiers"
    file.write_bytes(file.read_bytes()[:40])  # as if the end had never reached the disk
    both.test.flows.write_worlds()
    assert both.production.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT) == "handed over"


def test_identifiers_stand_nowhere_in_clear(make: Make) -> None:
    both = make()
    both.test.order("1", study=STUDY)
    content = (both.test.profile.state / "identifiers").read_bytes()
    assert STUDY.encode() not in content
    assert b"H1" not in content


def test_derived_uids_are_never_equal(make: Make) -> None:
    both = make()
    both.test.order("1")
    both.production.flows.worlds._off = frozenset(TRIPWIRES)
    both.production.order("1")
    assert both.test.study() != both.production.study()
