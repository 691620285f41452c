"""The checker can fail: each invariant, once, by a run that breaks it."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.torture.judge import Arrival, Ordered, Owed, Print, Seen, Used, print_of, violations_at_the_end

WHOLE = print_of(b"a whole data set")
OTHER = print_of(b"an other data st")
ARRIVED = Arrival("pacs", "1.2", WHOLE, is_good=True, is_answered=True)
BOTH = {"1.2": {WHOLE}, "1.3": {WHOLE}}
AUDITED = {("delivery.delivered", "1.2"), ("instance.forgotten", "1.2"), ("delivery.parked", "1.2")}
GOOD: Mapping[str, Any] = {
    "destinations": ["pacs"],
    "sent": {"1.2": {WHOLE}},
    "answered": {"1.2": {WHOLE}},
    "arrivals": [ARRIVED],
    "owed": [Owed("1.2", "pacs", "delivered")],
    "forgotten": ["1.2"],
    "audited": AUDITED,
    "ready_seconds": [1.0],
}


def changed(arrival: Arrival = ARRIVED, **values: Any) -> Arrival:
    whole = {name: getattr(arrival, name) for name in Arrival.__slots__}
    return Arrival(**{**whole, **values})


def test_a_run_in_which_all_is_well_has_no_violation() -> None:
    assert violations_at_the_end(Seen(**GOOD)) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param({"arrivals": [], "forgotten": [], "kept": {"1.2": {WHOLE}}}, "I1", id="kept, and never sent"),
        pytest.param({"arrivals": [], "forgotten": [], "owed": []}, "I1", id="lost"),
        pytest.param({"destinations": ["pacs", "second"], "forgotten": []}, "I1", id="one of two"),
        pytest.param({"arrivals": [ARRIVED, changed(print=OTHER)]}, "I2", id="altered"),
        pytest.param({"broken": ["1.2"]}, "I2", id="unreadable"),
        pytest.param({"arrivals": [ARRIVED, ARRIVED]}, "I3", id="again without need"),
        pytest.param({"arrivals": [ARRIVED, changed(print=Print("0", 3))]}, "I4", id="half"),
        pytest.param({"sent": BOTH, "arrivals": [ARRIVED, changed(uid="1.3")]}, "I4", id="never answered"),
        pytest.param({"arrivals": [changed(is_good=False)], "kept": {"1.2": {WHOLE}}}, "I5", id="forgotten early"),
        pytest.param({"audited": {("delivery.delivered", "1.2")}}, "I5", id="forgotten without a record"),
        pytest.param({"ready_seconds": [10.1]}, "I9", id="slow start"),
        pytest.param({"used": [Used("one", 69 * 2**20, associations=2)]}, "I10", id="memory"),
        pytest.param({"used": [Used("one", 0, files=1)]}, "I10", id="files"),
        pytest.param({"used": [Used("one", 0, threads=1)]}, "I10", id="threads"),
        pytest.param({"ordered": Ordered(["A1"], ["A1"])}, "I6", id="an order that is lost"),
        pytest.param({"ordered": Ordered(["A1"], ["A1"], ["A1", "A1"])}, "I6", id="an order twice"),
        pytest.param({"ordered": Ordered(["A1"], [], [], ["A1"])}, "I6", id="half an order"),
        pytest.param({"ordered": Ordered([], [], ["A1"])}, "I6", id="an order of nobody"),
        pytest.param({"audited": {("instance.forgotten", "1.2")}}, "I11", id="delivered without a record"),
        pytest.param({"owed": [Owed("1.2", "pacs", "parked", "why")]}, "I12", id="parked silently"),
        pytest.param({"owed": [Owed("1.2", "pacs", "parked")], "told": ["pacs"]}, "I12", id="parked without a reason"),
    ],
)  # fmt: skip
def test_each_invariant_that_is_broken_is_named(broken: Mapping[str, Any], said: str) -> None:
    assert {each.partition(":")[0] for each in violations_at_the_end(Seen(**{**GOOD, **broken}))} >= {said}


def test_what_is_sent_again_because_nobody_knows_is_a_duplicate_and_no_violation() -> None:
    unanswered = changed(is_answered=False)
    seen = Seen(**{**GOOD, "arrivals": [unanswered, changed(life=1), changed(life=2)]})
    assert violations_at_the_end(seen) == []
    assert seen.duplicates == 2
