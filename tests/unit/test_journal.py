import json
from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import select

from broker import journal
from broker.database import Database, table_of
from tests.conftest import FakeClock


@pytest.fixture(autouse=True)
def _configuration_of_others() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_event_is_one_json_line_on_stderr_with_the_name_of_its_world(capsys: pytest.CaptureFixture[str]) -> None:
    journal.configure("test", "green")
    journal.log.info("delivery.parked", delivery=7, why="refused\nin two lines")
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    event = json.loads(line)
    assert event.pop("at").endswith("Z")
    assert event == {
        "environment": "test",
        "colour": "green",
        "event": "delivery.parked",
        "level": "info",
        "delivery": 7,
        "why": "refused\nin two lines",
    }


def test_trace_in_a_log_line_names_places_and_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    def translate(patient_name: str) -> None:
        raise ValueError(f"{patient_name} is no name")

    journal.configure("test")
    try:
        translate("DOE^JANE")
    except ValueError:
        journal.log.error("worker.failed", exc_info=True)
    written = capsys.readouterr().err
    told = json.loads(written)
    assert told["error"] == "ValueError"
    assert told["trace"][-1].endswith(" translate")
    assert "DOE" not in written


def test_journal_row_is_part_of_the_callers_transaction(database: Database, clock: FakeClock) -> None:
    with pytest.raises(RuntimeError), database.write("orders") as tx:
        journal.record(tx, clock.now(), "spool.rebuilt", files=3)
        raise RuntimeError
    with database.write("orders") as tx:
        journal.record(tx, clock.now(), "spool.rebuilt", files=4)
    with database.read() as tx:
        (row,) = tx.execute(select(table_of(journal.JournalRow))).all()
    assert (row.at, row.event, json.loads(row.fields)) == (clock.now(), "spool.rebuilt", {"files": 4})
