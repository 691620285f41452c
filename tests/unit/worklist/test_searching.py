"""What a question that is asked again keeps of its last search, and that it is never answered from it."""

from collections.abc import Iterator
from dataclasses import replace

from broker.database import Database
from broker.dimse.service import FindRequest
from broker.orders.model import StepStatus
from broker.worklist import store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.find import answers
from broker.worklist.hiding import Hides, nobody_hides
from broker.worklist.model import Viewer
from broker.worklist.plan import plan
from broker.worklist.query import EVERYTHING, Query, read
from broker.worklist.search_store import Place
from broker.worklist.searching import Search
from broker.worklist.stations import Stations
from tests.conftest import FakeClock
from tests.unit.worklist.building import ORDER, PATIENT, STATIONS, STEP, US1, decoded, identifier, item

ASKED = identifier({"Modality": "US", "ScheduledStationAETitle": ""}, PatientName="", PatientID="")


def put(database: Database, number: int, name: str, status: StepStatus = StepStatus.SCHEDULED) -> None:
    step = replace(STEP, status=status, scheduled_station_ae_titles=())
    patient = replace(PATIENT, patient_name=name, patient_id=f"P{number}")
    order = replace(ORDER, patient=patient, study_instance_uid=f"1.2.{number}", steps=(step,))
    with database.write("orders") as tx:
        store.replace(tx, number, plan(order, number))


def shown(
    database: Database, viewer: Viewer = US1, stations: Stations = STATIONS, hides: Hides = nobody_hides
) -> list[str]:
    """Ask the same question; return names and stations."""

    def run() -> Iterator[str]:
        asked = FindRequest(1, "1.2.840.10008.5.1.4.31", IMPLICIT_LITTLE_ENDIAN, ASKED, lambda: False)
        for answer in answers(database, asked, viewer, stations, FakeClock(), hides):
            if answer.identifier:
                found = decoded(answer.identifier)
                titles = found.ScheduledProcedureStepSequence[0].ScheduledStationAETitle
                yield f"{found.PatientName} {titles}"

    return list(run())


def test_what_was_committed_is_answered_by_the_next_query(database: Database) -> None:
    put(database, 1, "Adam")
    for _ in range(2):
        assert shown(database) == ["Adam ['US1', 'US2']"]
    put(database, 2, "Berta")
    assert shown(database) == ["Adam ['US1', 'US2']", "Berta ['US1', 'US2']"]
    put(database, 1, "Zoe")
    assert shown(database) == ["Berta ['US1', 'US2']", "Zoe ['US1', 'US2']"]
    put(database, 2, "Berta", StepStatus.CANCELED)
    assert shown(database) == ["Zoe ['US1', 'US2']"]


def test_a_change_of_the_registry_is_answered_by_the_next_query(database: Database) -> None:
    put(database, 1, "Adam")
    assert shown(database) == ["Adam ['US1', 'US2']"]
    assert shown(database, stations=Stations({"US": ("US1", "US9")})) == ["Adam ['US1', 'US9']"]
    assert shown(database, stations=Stations({"US": ("US9",)})) == [], "it is for another device now"
    assert shown(database, replace(US1, is_suspended=True)) == []


def test_what_is_hidden_is_asked_for_in_each_query(database: Database) -> None:
    put(database, 1, "Adam", StepStatus.STARTED)
    assert shown(database) == ["Adam ['US1', 'US2']"]
    assert shown(database, hides=lambda _, started: frozenset(each.id for each in started)) == []
    assert shown(database) == ["Adam ['US1', 'US2']"]


def test_the_same_rows_are_judged_once_and_others_anew() -> None:
    search = Search(read(ASKED, IMPLICIT_LITTLE_ENDIAN), US1, STATIONS)
    pooled = item(scheduled_station_ae_titles=(), modality="US")
    found = search.matching([pooled])
    assert [each.scheduled_station_ae_titles for each in found] == [("US1", "US2")]
    assert search.matching([pooled]) is found
    other = replace(pooled, encoded=b"made by another version")
    assert other == pooled
    assert search.matching([other])[0].encoded == b"made by another version"
    assert search.matching([]) == ()


def test_places_are_sorted_once_and_others_anew() -> None:
    search = Search(EVERYTHING, US1, STATIONS)
    early, late = Place("20260201", "080000", "A", 1, "US"), Place("20260201", "090000", "A", 2, "US")
    wanted = search.wanted([early, late, early])
    assert wanted == (late, early)
    assert search.wanted([early, late, early]) is wanted
    assert search.wanted([early]) == (early,)


def test_of_many_rows_nothing_is_kept() -> None:
    search = Search(EVERYTHING, US1, STATIONS)
    many = [item(id=number, scheduled_station_ae_titles=("US1",)) for number in range(1, 40)]
    assert len(search.matching(many)) == 39
    assert search.matching(many) is not search.matching(many)


def test_it_is_that_of_an_equal_query_among_the_same_stations() -> None:
    search = Search(read(ASKED, IMPLICIT_LITTLE_ENDIAN), US1, STATIONS)
    assert search.is_of(read(ASKED, IMPLICIT_LITTLE_ENDIAN), STATIONS)
    assert not search.is_of(Query(), STATIONS)
    assert not search.is_of(search.query, Stations(dict(STATIONS.by_modality)))
