"""The golden queries, each through a socket to the running product; devices as their documents say."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset

from broker.environments import profile as profiles
from broker.migrations import open_database
from tests.peers.broker import Environment
from tests.wire.worklist_golden import NOW, SEQUENCE, Consoles, Query, consoles, fill, queries

pytestmark = pytest.mark.xdist_group("golden-queries")

EVERY = [*queries("matching"), *queries("consoles")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A broker with the items and devices of the fixture, on the day and at the time of the fixture."""
    folder = tmp_path_factory.mktemp("golden")
    made = Environment(folder, policy='unknown_callers = "accept"').write()
    database = open_database(profiles.read(made.profile))
    fill(database)
    database.close()
    offset = folder / "offset"
    offset.write_text(str((NOW - datetime.now(UTC)).total_seconds()))
    with made.serving(BROKER_TEST_HOOKS="1", BROKER_CLOCK_OFFSET_FILE=str(offset)):
        yield made


@pytest.fixture(scope="module")
def asking(environment: Environment) -> Iterator[Consoles]:
    with consoles(environment.ports["dicom"], environment.ae_title) as made:
        yield made


@pytest.mark.parametrize("query", EVERY, ids=lambda query: f"{query.get('as', 'ANYBODY')}: {query['name']}")
def test_a_golden_query_is_answered_as_it_says(asking: Consoles, query: Query) -> None:
    answered = asking.ask(query)
    assert f"{answered.final:04X}" == query.get("status", "0000")
    assert answered.accessions == query.get("find", [])
    assert {f"{status:04X}" for status in answered.statuses} <= {query.get("pending", "FF00")}
    if answered.found:
        _check_values(answered.found[0], query)


def _check_values(answer: Dataset, query: Query) -> None:
    values = {element.keyword: element.value for element in answer.iterall()}
    for keyword, expected in query.get("show", {}).items():
        value = values[keyword]
        shown = "\\".join(value) if isinstance(value, (list, tuple)) or hasattr(value, "_list") else str(value or "")
        assert shown == expected, keyword
    assert query.get("absent") not in values
    if "first_station" in query:
        stations = answer[SEQUENCE][0].ScheduledStationAETitle
        assert (stations if isinstance(stations, str) else stations[0]) == query["first_station"]


def test_there_are_at_least_150_of_them() -> None:
    assert len(EVERY) >= 150
    names = [(query.get("as"), query["name"]) for query in EVERY]
    assert len(set(names)) == len(names)


def test_the_list_of_the_command_line_is_what_a_device_gets(environment: Environment, asking: Consoles) -> None:
    for calling in ("US_ROOM1", "US_IGNORES", "US_ALL", "US_LIMIT", "US_LATEST", "US_BY_NAME", "US_VESSELS"):
        rows = environment.ask("worklist", "list", "--as", calling)
        assert [row["accession"] for row in rows] == asking.ask({"as": calling}).accessions, calling


def test_a_list_that_is_cut_says_so_everywhere(environment: Environment, asking: Consoles) -> None:
    assert len(asking.ask({"as": "US_LIMIT"}).found) == 3
    assert "limit of 3" in environment.command("worklist", "list", "--as", "US_LIMIT").stderr
    assert ["worklist.cut", "us-limit"] in [[row["event"], row["subject"]] for row in environment.ask("alert", "list")]
