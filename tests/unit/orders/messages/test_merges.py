"""Merges and moves: MRG is the old identifier, PID the surviving one."""

import pytest

from broker.orders.model import MergeChange, MergeKind
from tests.unit.orders.messages.said import PID, changes, merge, message, refused

MRG = "MRG|200^^^HOSP"


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ("A18 A34 A39 A40", MergeKind.MERGE),
        ("A46 A47", MergeKind.IDENTIFIER),
        ("A41 A42 A43 A44 A45 A49 A50", MergeKind.VISIT),
    ],
)
def test_event_says_what_becomes_of_the_old_identifier(events: str, kind: MergeKind) -> None:
    for event in events.split():
        assert merge(event, PID, MRG).kind is kind


def test_pid_survives() -> None:
    change = merge("A40", PID, MRG)
    assert (change.surviving.patient_id, change.old_patient_id, change.old_issuer) == ("100", "200", "HOSP")
    assert change.location == "MRG^1"
    assert change.surviving.patient_name == "Doe^Jane"


def test_old_identifier_without_authority_is_of_the_source_s() -> None:
    assert merge("A40", PID, "MRG|200").old_issuer == "SITE"


def test_several_pairs_are_several_merges() -> None:
    found = changes(PID, MRG, PID.replace("100", "101"), MRG.replace("200", "201"), kind="ADT^A40")
    pairs = [(c.surviving.patient_id, c.old_patient_id, c.location) for c in found if isinstance(c, MergeChange)]
    assert pairs == [("100", "200", "MRG^1"), ("101", "201", "MRG^2")]


def test_visit_is_moved_by_its_numbers() -> None:
    change = merge("A50", PID, "MRG|100^^^HOSP||||V1", "PV1||I|||||||||||||||||V2")
    assert (change.old_admission_id, change.visit["AdmissionID"]) == ("V1", "V2")


def test_account_stands_in_for_the_visit() -> None:
    assert merge("A49", f"{PID}||||||||||ACC2", "MRG|100^^^HOSP||ACC1").old_admission_id == "ACC1"


def test_each_visit_goes_with_its_old_one() -> None:
    segments = (
        "MRG|100^^^HOSP||||V1",
        "PV1||I|||||||||||||||||W1",
        "MRG|100^^^HOSP||||V2",
        "PV1||I|||||||||||||||||W2",
    )
    found = [c for c in changes(PID, *segments, kind="ADT^A45") if isinstance(c, MergeChange)]
    assert [(c.old_admission_id, c.visit["AdmissionID"]) for c in found] == [("V1", "W1"), ("V2", "W2")]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((PID,), ("AE", "100", "MRG^1")),
        ((MRG,), ("AE", "100", "PID^1")),
        ((PID, "MRG|"), ("AE", "101", "MRG^1^1")),
        ((PID, f"MRG|{'9' * 65}"), ("AE", "102", "MRG^1^1")),
        (("PID|||||Doe^Jane", MRG), ("AE", "101", "PID^1^3")),
    ],
)
def test_merge_that_is_not_whole_is_refused(segments: tuple[str, ...], expected: tuple[str, str, str]) -> None:
    assert refused(message(*segments, kind="ADT^A40")) == expected
