"""Classes M01 and M02 in full, each case over an association of its own."""

from collections.abc import Iterator

import pytest

from tests.torture.mpps_classes import CLASSES, Case, run
from tests.unit.procedures.world import World
from tests.wire.mpps_service import served

CASES = [(name, case) for name, cases in CLASSES.items() for case in cases()]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, World]]:
    with served(tmp_path_factory.mktemp("mpps")) as both:
        yield both


@pytest.mark.parametrize(
    ("number", "case"),
    [(number, case) for number, (_, case) in enumerate(CASES, 1)],
    ids=[f"{name[:3]} {case.name}" for name, case in CASES],
)
def test_a_case_is_answered_as_defined(service: tuple[int, World], number: int, case: Case) -> None:
    port, world = service
    run(case, number, world, port)


def test_the_classes_have_their_numbers() -> None:
    counts = {name: len(list(cases())) for name, cases in CLASSES.items()}
    assert counts["M01 N-CREATE"] >= 80
    assert counts["M02 N-SET"] >= 60
