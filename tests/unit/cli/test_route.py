"""`broker route try`: where a file would go, and why no other way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from broker.environments import profile as profiles
from broker.migrations import open_database
from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, audited, order, take

Ask = Callable[..., Any]
FIXTURES = Path(__file__).parents[3] / "fixtures" / "dicom"
IMAGE, REPORT = FIXTURES / "us-image-retired-rgb.dcm", FIXTURES / "comprehensive-sr.dcm"

ROUTES = """
[[destinations]]
name = "main-pacs"
protocol = "dimse"
host = "127.0.0.1"
port = 104
ae_title = "PACS"

[[destinations]]
name = "archive"
protocol = "folder"
path = "archive"
schedule = ["18:00-07:00"]

[[routes]]
name = "images"
to = ["main-pacs"]
when = { Modality = "US" }

[[routes]]
name = "nightly"
to = ["archive"]
when = { calling = "US*" }
unless = { order = "none" }
priority = "low"
"""


@pytest.fixture
def profile(environments: Path) -> Path:
    file = environments / "test.toml"
    file.write_text(file.read_text() + ROUTES)
    return file


@pytest.mark.usefixtures("profile")
def test_it_says_which_rule_takes_a_file_and_why_the_others_do_not(run: Command) -> None:
    shown = run("route", "try", IMAGE, "--as", "US_ROOM2", "--env", "test").stdout
    assert "Ultrasound Image Storage" in shown
    assert '"US_ROOM2" (no registered device)' in shown and "no order that is known" in shown
    assert "routes of the profile" in shown
    assert 'order is "none", which it leaves out' in shown
    assert "goes to main-pacs: routine (by default)" in shown
    assert "goes to archive" not in shown


@pytest.mark.usefixtures("profile")
def test_it_says_the_same_to_programs(as_json: Ask) -> None:
    tried = as_json("route", "try", IMAGE, "--as", "US_ROOM2", "--env", "test")
    assert tried["outcome"] == "routed"
    assert tried["destinations"] == [{"name": "main-pacs", "priority": "routine", "by": "default"}]
    assert [(one["number"], one["name"], one["takes"]) for one in tried["routes"]] == [
        (1, "images", True),
        (2, "nightly", False),
    ]
    assert (tried["calling"], tried["called"], tried["device"]) == ("US_ROOM2", "BROKER_TEST", "")
    assert (tried["order"], tried["routes_of"]) == (None, "profile")


@pytest.mark.usefixtures("profile")
def test_what_no_route_takes_is_said_and_exits_with_3(run: Command, as_json: Ask) -> None:
    shown = run("route", "try", REPORT, "--as", "CT1", "--env", "test", code=3).stdout
    assert 'Modality is "SR", it wants "US"' in shown
    assert "goes nowhere: no route takes it; it would be parked as no-route" in shown
    assert as_json("route", "try", REPORT, "--as", "CT1", "--env", "test", code=3)["outcome"] == "no-route"


@pytest.mark.usefixtures("profile")
def test_a_devices_own_routes_count(run: Command, as_json: Ask, document: Path) -> None:
    document.write_bytes(document.read_bytes() + b'[[routes]]\nto = ["archive"]\npriority = "stat"\n')
    run("modality", "apply", document, "--env", "test")
    tried = as_json("route", "try", IMAGE, "--as", "US_ROOM2", "--at", "2026-02-02T12:00", "--env", "test")
    assert (tried["device"], tried["routes_of"]) == ("us-room-2", "document us-room-2")
    assert tried["destinations"] == [{"name": "archive", "priority": "stat", "by": "route 1"}]
    assert tried["notes"] == ["archive: sent 18:00-07:00 only; it waits until then"]
    assert tried["received"] == "2026-02-02T12:00:00.000+01:00"


@pytest.mark.usefixtures("profile")
def test_the_order_of_a_file_counts(as_json: Ask, run: Command, tmp_path: Path) -> None:
    take([order(1, "NW", EVA, 1, "20261122093000").replace(b"^^R", b"^^S")])
    image = dcmread(IMAGE)
    image.AccessionNumber, image.StudyInstanceUID, image.PatientID = "A1", "1.2.77", "4711"
    image.save_as(tmp_path / "image.dcm")
    tried = as_json("route", "try", tmp_path / "image.dcm", "--as", "US_ROOM2", "--env", "test")
    assert tried["order"] == 1
    assert {one["name"]: (one["priority"], one["by"]) for one in tried["destinations"]} == {
        "main-pacs": ("stat", "order"),
        "archive": ("low", "route 2"),
    }
    shown = run("route", "try", tmp_path / "image.dcm", "--as", "US_ROOM2", "--env", "test").stdout
    assert "order 1" in shown and "Müster" not in shown


@pytest.mark.usefixtures("profile")
def test_a_held_destination_is_noted(run: Command, as_json: Ask) -> None:
    run("delivery", "hold", "--destination", "main-pacs", "--why", "new disks", "--env", "test")
    refused, note = as_json("route", "try", IMAGE, "--as", "X", "--env", "test")["notes"]
    assert refused == 'no device is registered for "X": its association would be refused'
    assert note.startswith("main-pacs: held by ") and "new disks" in note


@pytest.mark.usefixtures("profile")
def test_it_changes_nothing_and_is_audited(run: Command) -> None:
    run("route", "try", IMAGE, "--as", "US_ROOM2", "--env", "test")
    database = open_database(profiles.read(profiles.find("test")))
    with database.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM instance").scalar() == 0
        assert tx.exec_driver_sql("SELECT count(*) FROM delivery").scalar() == 0
    database.close()
    assert [entry.action for entry in audited()] == ["route.tried"]


@pytest.mark.usefixtures("profile")
def test_mistakes_are_one_clear_line(run: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("no image " * 50)
    assert "is no DICOM file" in run("route", "try", other, "--env", "test", code=1).stderr
    assert "cannot be read" in run("route", "try", tmp_path / "none", "--env", "test", code=1).stderr
    assert "is no time" in run("route", "try", IMAGE, "--at", "noon", "--env", "test", code=2).stderr
