"""Attempts to let something cross between Test and Production: each passes without its tripwire, and not with it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from broker.environments import hooks
from broker.errors import Misconfigured
from broker.tripwires.other import other_of, refuse_crossing
from broker.tripwires.table import TRIPWIRES, Into, Response
from broker.tripwires.worlds import Worlds
from tests.peers.broker import commanded
from tests.scenarios.leak_attempts import ATTEMPTS, PATIENT, STUDY, Attempt
from tests.scenarios.start_attempts import START_ATTEMPTS, StartAttempt
from tests.scenarios.two_worlds import PROCESSING_ID, TwoWorlds, make_template
from tests.unit.spool.datasets import US_IMAGE

GUIDE = Path(__file__).parents[2] / "docs" / "leaks.md"
BECOMES = {
    Response.REFUSED: "refused",
    Response.HELD: "held",
    Response.HANDED_OVER: "handed over",
    Response.ALERTED: "taken",
}


def worlds_of(attempt: Attempt) -> tuple[str, ...]:
    """Into which worlds it is tried."""
    if attempt.tripwire == PROCESSING_ID or TRIPWIRES[attempt.tripwire].into is Into.BOTH:
        return attempt.into
    return ("production",)


CASES = [
    pytest.param(into, attempt, id=f"into {into}: {attempt.name}")
    for attempt in ATTEMPTS
    for into in worlds_of(attempt)
]
AT_START = [pytest.param(attempt, id=attempt.name) for attempt in START_ATTEMPTS]


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


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[TwoWorlds]:
    """One pair of worlds for all attempts, each with numbers and UIDs of its own."""
    both = TwoWorlds(tmp_path_factory.mktemp("both"), template)
    yield both
    both.close()


def becomes(attempt: Attempt) -> str:
    """What is done with it."""
    if attempt.becomes or attempt.tripwire == PROCESSING_ID:
        return attempt.becomes or "refused"
    return BECOMES[TRIPWIRES[attempt.tripwire].response]


def test_each_attempt_stands_in_the_guide() -> None:
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]
    stated = [
        f"| {each.name} | {' and '.join(worlds_of(each))} | `{each.tripwire}` | {told(each)} |" for each in ATTEMPTS
    ]
    stated += [f"| {each.name} | at start | `{each.tripwire}` | {of_start(each)} |" for each in START_ATTEMPTS]
    assert rows == stated
    assert len({row.split("|")[1] for row in rows}) == len(rows) >= 60


def told(attempt: Attempt) -> str:
    """What the guide says of it."""
    if attempt.tripwire == PROCESSING_ID:
        return "refused"
    row = TRIPWIRES[attempt.tripwire]
    return "refused, alerted" if row.response is Response.REFUSED or attempt.becomes else row.response.value


def of_start(attempt: StartAttempt) -> str:
    """Likewise."""
    return TRIPWIRES[attempt.tripwire].response.value


@pytest.mark.parametrize(("into", "attempt"), CASES)
def test_an_attempt_leaks_without_its_tripwire(running: TwoWorlds, into: str, attempt: Attempt) -> None:
    here, there = running.attempt(into, attempt.tripwire)
    assert attempt.act(here, there) == attempt.untripped
    assert f"tripwire.{attempt.tripwire}" not in here.events()


@pytest.mark.parametrize(("into", "attempt"), CASES)
def test_an_attempt_is_refused_held_handed_over_or_told(running: TwoWorlds, into: str, attempt: Attempt) -> None:
    here, there = running.attempt(into)
    assert attempt.act(here, there) == becomes(attempt)
    if attempt.tripwire != PROCESSING_ID:
        assert f"tripwire.{attempt.tripwire}" in here.events()


@pytest.mark.parametrize("attempt", AT_START)
def test_a_world_that_is_not_apart_does_not_start(tmp_path: Path, attempt: StartAttempt) -> None:
    profile = attempt.write(tmp_path)
    other, row = other_of(profile), TRIPWIRES[attempt.tripwire]
    others = frozenset(TRIPWIRES) - {row.name}
    refuse_crossing(profile, other, others | {row.name})  # without its tripwire it passes
    if row.response is Response.REFUSED:
        with pytest.raises(Misconfigured) as refused:
            refuse_crossing(profile, other, others)
        assert row.text in str(refused.value)
    else:
        assert row in Worlds(profile).take_problems()


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


@pytest.mark.parametrize("into", ["production", "test"])
def test_what_is_released_goes_to_the_world_in_which_it_has_begun(make: Make, into: str) -> None:
    here, there = make().of(into)
    there.order("1")
    image = {"StudyInstanceUID": "1.2.77", "PatientID": "H1", "AccessionNumber": ""}
    assert here.image("1.2.7.4", **image) == "held"
    there.image("1.2.7.5", **image)
    (held,) = here.owed("1.2.7.4")
    result = commanded(("delivery", "release", str(held.id), "--env", str(here.profile.file)))
    assert "began in the other world: they go to other-world, and nowhere else" in result.stdout, result.stderr
    here.hand_over()
    assert [(one.destination, one.state.value) for one in here.owed("1.2.7.4")] == [("other-world", "delivered")]
    assert [one.destination for one in there.owed("1.2.7.4")] == ["main-pacs"]


@pytest.mark.parametrize("into", ["production", "test"])
def test_what_is_released_and_began_in_neither_is_sent_here(make: Make, into: str) -> None:
    here, there = make().of(into)
    there.order("1")
    assert here.image("1.2.7.4", StudyInstanceUID="1.2.77", PatientID="H1", AccessionNumber="") == "held"
    (held,) = here.owed("1.2.7.4")
    assert commanded(("delivery", "release", str(held.id), "--env", str(here.profile.file))).returncode == 0
    assert [(one.destination, one.state.value) for one in here.owed("1.2.7.4")] == [("main-pacs", "waiting")]


def test_the_other_world_is_a_destination_for_the_commands_too(make: Make, tmp_path: Path) -> None:
    here, there = make().of("production")
    there.order("1", study=STUDY)
    file = tmp_path / "image.dcm"
    made = Dataset.from_json({})
    made.SOPClassUID, made.SOPInstanceUID, made.StudyInstanceUID, made.Modality = US_IMAGE, "1.2.7.1", STUDY, "US"
    made.ensure_file_meta()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(file, enforce_file_format=True)
    env = ("--env", str(here.profile.file))
    tried = commanded(("route", "try", str(file), "--as", "US_ROOM2", "--json", *env))
    assert [one["name"] for one in json.loads(tried.stdout)["destinations"]] == ["other-world"]
    for words in (("hold", "--why", "it is moved"), ("release",)):
        assert commanded(("delivery", *words, "--destination", "other-world", *env)).returncode == 0


def test_an_image_that_was_answered_and_not_indexed_is_written_after_the_next_start(make: Make) -> None:
    both = make()
    both.test.restart()
    both.test.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)  # answered; the end comes before it is indexed
    assert both.test.owed("1.2.7.1") == []
    both.test.restart()
    both.test.flows.index_instances()
    assert both.production.image("1.2.7.2", StudyInstanceUID=STUDY, **PATIENT) == "handed over"


def test_our_file_that_is_gone_is_written_again(make: Make) -> None:
    both = make()
    both.test.order("1", study=STUDY)
    (both.test.profile.state / "identifiers").unlink()
    both.test.flows.watch_worlds()
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
