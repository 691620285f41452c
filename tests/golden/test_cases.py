"""Every golden case through the product's own flow. A new trio of files is a new case."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.golden.cases import EXPECTED, FOLDER, TWIN, Case, cases, differences
from tests.golden.judging import complaints
from tests.golden.world import World

CASES = cases()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing(World(tmp_path_factory.mktemp("golden"))) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_gives_what_its_clause_demands_and_its_twin_does_not(case: Case, world: World) -> None:
    assert complaints(case.expected, world.run(case.messages)) == []
    changed = list(differences(case.messages, case.twin))
    assert len(changed) == 1, f"the twin differs in {changed}"
    assert complaints(case.expected, world.run(case.twin)), f"{changed[0]} makes no difference"


def test_every_case_is_whole() -> None:
    names = {case.name for case in CASES}
    for ending in (TWIN, EXPECTED):
        found = {f"{file.parent.name}/{file.name.removesuffix(ending)}" for file in FOLDER.glob(f"*/*{ending}")}
        assert found == names, ending


def test_every_case_names_its_clause() -> None:
    clause = re.compile(r"([A-L]\.\d|POLICY)[^:]*: .+")
    assert [case.name for case in CASES if not clause.match(case.expected["clause"])] == []


def test_no_file_is_of_no_case() -> None:
    assert all(file.name.endswith((".hl7", EXPECTED)) for file in FOLDER.glob("*/*"))
