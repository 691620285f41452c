"""Searches on both databases: each reads by an index, in the order of answers, and no more than its page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, cast

import pytest
from sqlalchemy import event, text

from broker.database import METADATA, Database, Transaction, sqlite_url
from broker.registry.model import Filter, Habits
from broker.worklist import listing, rows, store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.filters import FilteredDevice
from broker.worklist.find import search
from broker.worklist.listing import Listing
from broker.worklist.model import Viewer
from broker.worklist.plan import plan
from broker.worklist.query import EVERYTHING, Query, read
from broker.worklist.searching import Search
from broker.worklist.stations import Stations
from tests.bench import worklist_items
from tests.unit.worklist.building import ANYBODY, ORDER, STATIONS, STEP, US1, identifier

REQUIRED = {
    "ScheduledStationAETitle": "US1",
    "ScheduledProcedureStepStartDate": "20260201-20260202",
    "ScheduledProcedureStepStartTime": "0800-1000",
    "Modality": "US",
    "ScheduledPerformingPhysicianName": "Schall*",
    "PatientName": "Must*",
    "PatientID": "4711",
}
NUMBERS = {
    "AccessionNumber": "A200",
    "RequestedProcedureID": "RP200",
    "StudyInstanceUID": "1.2.3\\1.2.4",
    "ScheduledProcedureStepID": "S*",
    "PatientID": "47?1",
}
FEW, MANY = 1_000, 10_000
NOBODY = Stations()
CHOOSING = replace(STATIONS, filtered=(FilteredDevice(("US9",), "CT", Filter(modalities=("US",))),))
TYPICAL = tuple(worklist_items.queries(FEW))


def of_console(count: int, name: str) -> tuple[Query, Viewer, Stations]:
    """A typical query among so many items: its keys, who asks, and the stations of every device."""
    asked = worklist_items.queries(count)[name]
    viewer = worklist_items.viewer_of(asked.calling)
    query = read(identifier(dict(asked.step), **asked.keys), IMPLICIT_LITTLE_ENDIAN)
    return query, viewer, worklist_items.registered()


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Database]]:
    """A database of few items and one of many."""
    folder = tmp_path_factory.mktemp("sizes")
    made = {count: Database(sqlite_url(folder / f"{count}.db")) for count in (FEW, MANY)}
    for count, database in made.items():
        METADATA.create_all(database.engine)
        worklist_items.fill(database, count)
    yield made
    for database in made.values():
        database.close()


# --- what is measured is what the store writes --------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 9, 10, 163, 195, 363, 399])
def test_items_filled_in_are_those_that_the_store_writes(
    database: Database, sizes: dict[int, Database], number: int
) -> None:
    order_id = worklist_items.order_id(number)
    with database.write("orders") as tx:
        store.replace(tx, order_id, plan(worklist_items.order(number), order_id))
    with database.read() as tx, sizes[FEW].read() as filled:
        for where in (
            f"worklist_item WHERE order_id = {order_id}",
            f"worklist_place WHERE item_id = (SELECT id FROM worklist_item WHERE order_id = {order_id})",
        ):
            assert _row(tx, where) == _row(filled, where)


def _row(tx: Transaction, where: str) -> dict[str, Any]:
    found = tx.execute(text(f"SELECT * FROM {where}")).mappings().one()
    return {name: bytes(value) if name == "encoded" else value for name, value in found.items() if name[-2:] != "id"}


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("name", TYPICAL)
def test_a_typical_query_finds_ten_among_any_number(sizes: dict[int, Database], count: int, name: str) -> None:
    with sizes[count].read() as tx:
        assert len(search(tx, *of_console(count, name)).items) == worklist_items.queries(count)[name].finds


# --- what a search costs ---------------------------------------------------------------------------------------------


# The ids of a page's items are a list that SQLite reads of JSON.
_INDEXED = r"SEARCH \w+ USING ((COVERING )?INDEX|INTEGER PRIMARY KEY) |LIST SUBQUERY|SCAN \w+ VIRTUAL TABLE"


class Watched:
    """SQLite's driver in a transaction: the statements that it was given, and how many steps its machine took."""

    def __init__(self, tx: Transaction) -> None:
        self._driver = cast(Any, tx.connection.dbapi_connection)
        self.statements: list[str] = []
        self.lines: list[str] = []  # of their plans
        self.steps = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._driver.set_trace_callback(self.statements.append)
        self._driver.set_progress_handler(self._step, 1)
        try:
            yield
        finally:
            self._driver.set_trace_callback(None)
            self._driver.set_progress_handler(None, 0)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def plans(self) -> Iterator[str]:
        """Each line of the plan of each statement."""
        for statement in dict.fromkeys(self.statements):
            for row in self._driver.execute(f"EXPLAIN QUERY PLAN {statement}"):
                yield str(row[3])


def watched(database: Database, query: Query, viewer: Viewer, stations: Stations, at_most: int = 500) -> Watched:
    """Read the first page of a search."""
    with database.read() as tx:
        seen = Watched(tx)
        with seen.watching():
            Listing(Search(query, viewer, stations)).next(tx, at_most)
        seen.lines = list(seen.plans())
        for line in seen.lines:
            assert re.match(_INDEXED, line), line
    return seen


@pytest.mark.parametrize("name", TYPICAL)
def test_a_typical_query_costs_the_same_among_ten_times_as_many(sizes: dict[int, Database], name: str) -> None:
    few, many = (watched(database, *of_console(count, name)) for count, database in sizes.items())
    assert many.steps <= 1.1 * few.steps, (few.steps, many.steps)
    assert len(many.statements) == len(few.statements)


@pytest.mark.parametrize("viewer", [ANYBODY, US1], ids=["unregistered", "registered"])
def test_no_combination_of_required_keys_scans_or_sorts_in_the_database(
    sizes: dict[int, Database], viewer: Viewer
) -> None:
    for count in range(len(REQUIRED) + 1):
        for keywords in combinations(REQUIRED, count):
            keys = identifier(None, **{keyword: REQUIRED[keyword] for keyword in keywords})
            watched(sizes[FEW], read(keys, IMPLICIT_LITTLE_ENDIAN), viewer, STATIONS)


@pytest.mark.parametrize("keyword", NUMBERS)
def test_each_number_alone_is_found_by_its_own_index(sizes: dict[int, Database], keyword: str) -> None:
    query = read(identifier(None, **{keyword: NUMBERS[keyword]}), IMPLICIT_LITTLE_ENDIAN)
    column = rows.COLUMN_OF_KEYWORD[keyword]
    (line, *_) = watched(sizes[FEW], query, ANYBODY, STATIONS).lines
    assert f"{column}>? AND {column}<?" in line


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (
            "station and today",
            "ix_worklist_place_start (offered_to=? AND (start_date,start_time,patient_name,item_id)>",
        ),
        ("today, items without a station", "ix_worklist_place_start (offered_to=? AND (start_date"),
        ("modality and today, any caller", "ix_worklist_item_modality (offered=? AND modality=? AND (start_date"),
        (
            "all universal, a quiet day",
            "ix_worklist_item_start (offered=? AND (start_date,start_time,patient_name)>",
        ),
        ("name MUEL*, any caller", "ix_worklist_place_folded (folded>? AND folded<?"),
        ("name SCHM* (one in ten), its station", "ix_worklist_place_name (offered_to=? AND folded>? AND folded<?"),
    ],
)
def test_what_leads_to_the_items_of_a_typical_query(sizes: dict[int, Database], name: str, index: str) -> None:
    assert any(index in line for line in watched(sizes[FEW], *of_console(FEW, name)).lines)


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.foreign)], indirect=True)
def test_postgresql_reads_a_typical_query_by_index_too(database: Database) -> None:
    worklist_items.fill(database, 4_000)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    for name in TYPICAL:
        said: list[tuple[str, Any]] = []
        note = partial(_note, said)
        event.listen(database.engine, "before_cursor_execute", note)
        with database.read() as tx:
            Listing(Search(*of_console(4_000, name))).next(tx, 500)
            event.remove(database.engine, "before_cursor_execute", note)
            for statement, parameters in said:
                if statement.startswith("SELECT"):
                    plan_text = "\n".join(row[0] for row in tx.exec_driver_sql(f"EXPLAIN {statement}", parameters))
                    assert "Index" in plan_text and "Seq Scan" not in plan_text, (name, plan_text)
        assert len(said) > 1


def _note(said: list[tuple[str, Any]], *arguments: Any) -> None:
    said.append(arguments[2:4])


def test_a_page_of_a_long_list_costs_as_much_as_any_other(sizes: dict[int, Database]) -> None:
    for query, viewer in ((EVERYTHING, ANYBODY), (EVERYTHING, worklist_items.viewer_of("MG_01"))):
        listed = Listing(Search(query, viewer, worklist_items.registered()))
        costs = []
        with sizes[MANY].read() as tx:
            while not listed.is_done:
                seen = Watched(tx)
                with seen.watching():
                    assert len(listed.next(tx, 100)) <= 100
                costs.append(seen.steps)
        whole = costs[1:-1]
        assert len(whole) > 1 and max(whole) <= 1.1 * min(whole)


# --- what is found ------------------------------------------------------------------------------------------------


def put(database: Database, *starts: tuple[str, ...], stations: tuple[str, ...] = ("US1",)) -> None:
    """Orders of one step each, at these days and times, by these names."""
    with database.write("orders") as tx:
        for number, (day, time, name) in enumerate(starts, 1):
            step = replace(
                STEP,
                scheduled_procedure_step_start_date=day,
                scheduled_procedure_step_start_time=time,
                scheduled_station_ae_titles=stations if number % 3 else (),
            )
            patient = replace(ORDER.patient, patient_name=name, patient_id=f"P{number}")
            order = replace(ORDER, patient=patient, study_instance_uid=f"1.2.{number}", steps=(step,))
            store.replace(tx, number, plan(order, number))


STARTS = [
    (f"202602{day:02}", f"{hour:02}0000", name)
    for day in (3, 1, 2)
    for hour in (14, 8)
    for name in ("Muster^Eva", "Adam^B=山田^太郎", "Zoe^A", "Adam^B=山田^太郎")
]


def listed(database: Database, keys: dict[str, Any], viewer: Viewer, at_most: int) -> list[str]:
    """The patient IDs of all candidates, read in pages."""
    running = Listing(Search(read(identifier(None, **keys), IMPLICIT_LITTLE_ENDIAN), viewer, STATIONS))
    found = []
    with database.read() as tx:
        while not running.is_done:
            page = running.next(tx, at_most)
            assert len(page) <= at_most
            found += [item.patient_id for item in page]
    return found


@pytest.mark.parametrize("viewer", [ANYBODY, US1, Viewer("us", ("US1", "US2"), "US")], ids=["any", "one", "two"])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"Modality": "US\\CT"},
        {"ScheduledProcedureStepStartDate": "20260201-20260202"},
        {"ScheduledProcedureStepStartDate": "20260202-"},
        {"PatientName": "A*"},
        {"PatientName": "山田"},
        {"PatientID": "P*"},
        {"PatientID": "P*", "ScheduledProcedureStepStartDate": "-20260202"},
        {"RequestedProcedureID": "RP200"},
        {"ScheduledStationAETitle": "NOBODY_1"},
        {"ScheduledStationAETitle": "US*"},
        {"ScheduledStationAETitle": "?O*", "PatientName": "A*"},
    ],
    ids=str,
)
def test_candidates_come_once_each_in_the_order_of_answers_whatever_leads_to_them(
    database: Database, monkeypatch: pytest.MonkeyPatch, viewer: Viewer, keys: dict[str, Any]
) -> None:
    put(database, *STARTS, stations=("US1", "US2", "NOBODY_1"))
    keys = {"SpecificCharacterSet": "ISO_IR 192", **keys}
    whole = listed(database, keys, viewer, 1_000)
    assert whole
    order = {f"P{number}": (*start, number) for number, start in enumerate(STARTS, 1)}
    assert whole == sorted(set(whole), key=lambda found: order[found])
    for limit, least in ((10_000, 20), (3, 1), (0, 2)):
        monkeypatch.setattr(listing, "LISTED_AT_MOST", limit)
        monkeypatch.setattr(listing, "_LEAST_OF_ONE", least)
        monkeypatch.setattr(listing, "_PROBED", limit)
        for at_most in (1, 2, 7):
            found = listed(database, keys, viewer, at_most)
            assert [each for each in found if each in whole] == whole


@pytest.mark.parametrize("pattern", ["US*", "?S1", "*1", "us1", "us2", "NO*", "*7", "?US", "\\US*", "US9*", "X*"])
@pytest.mark.parametrize("stations", [STATIONS, CHOOSING, NOBODY], ids=["all", "one chooses", "none"])
def test_a_pattern_of_stations_finds_what_comparing_all_items_finds(
    database: Database, monkeypatch: pytest.MonkeyPatch, pattern: str, stations: Stations
) -> None:
    put(database, *STARTS[:6], stations=("US1", "NOBODY_1", "Us 27"))
    asked = identifier({"ScheduledStationAETitle": pattern})
    query = read(asked, IMPLICIT_LITTLE_ENDIAN, Habits(case_insensitive_titles=True))
    found: list[list[int]] = []
    for at_most in (200, 0):
        monkeypatch.setattr(listing, "STATIONS_AT_MOST", at_most)
        with database.read() as tx:
            found.append([item.id for item in search(tx, query, ANYBODY, stations).items])
    assert found[0] == found[1]
    of_devices = {"US9*": stations is CHOOSING, "us2": stations is not NOBODY}
    assert bool(found[0]) is of_devices.get(pattern, pattern not in {"?US", "X*"})


def test_a_pattern_of_stations_costs_the_same_among_ten_times_as_many(sizes: dict[int, Database]) -> None:
    query = read(identifier({"ScheduledStationAETitle": "CT_0?", "Modality": "CT"}), IMPLICIT_LITTLE_ENDIAN)
    few, many = (watched(database, query, ANYBODY, worklist_items.registered(), 20) for database in sizes.values())
    assert many.steps <= 1.1 * few.steps, (few.steps, many.steps)


def test_among_more_stations_than_are_looked_up_a_pattern_still_finds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "STATIONS_AT_MOST", 2)
    put(database, *STARTS[:3], stations=("A1", "B1", "C1"))
    assert listed(database, {"ScheduledStationAETitle": "?1"}, ANYBODY, 10)


def test_an_item_that_is_withdrawn_between_two_pages_is_not_answered(database: Database) -> None:
    put(database, *STARTS[:4])
    running = Listing(Search(read(identifier(None, PatientID="P*"), IMPLICIT_LITTLE_ENDIAN), ANYBODY, STATIONS))
    with database.read() as tx:
        assert len(running.next(tx, 2)) == 2
    with database.write("orders") as tx:
        for number in range(1, 5):
            store.replace(tx, number, ())
    with database.read() as tx:
        assert running.next(tx, 2) == []
    assert running.is_done


def test_a_device_without_stations_is_listed_nothing(database: Database) -> None:
    put(database, *STARTS)
    assert listed(database, {}, Viewer("us", (), "US"), 10) == []
