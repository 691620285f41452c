"""What `broker` says of a destination that gets altered copies, and of one that was altered."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.delivery import store
from broker.delivery.correction import store as corrections
from broker.delivery.correction.model import Applied, Became
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.spool import store as spool
from tests.unit.cli.conftest import Command
from tests.unit.exams.building import instance

Ask = Callable[..., Any]

RULED = """
[[destinations]]
name = "pacs"
protocol = "dimse"
host = "127.0.0.1"
port = 104
ae_title = "PACS"
[destinations.correction]
attributes = ["PatientID", "PatientName"]
unmatched = "hold"
"""


def rule(environments: Path, name: str = "test") -> None:
    file = environments / f"{name}.toml"
    file.write_text(file.read_text() + RULED)


def test_a_destination_that_gets_altered_copies_is_a_warning_and_no_fault(as_json: Ask, environments: Path) -> None:
    rule(environments, "production")
    findings = {row["check"]: row for row in as_json("env", "check", "production")}
    assert findings["destination pacs"] == {
        "check": "destination pacs",
        "result": "warning",
        "finding": "gets altered copies: PatientID, PatientName set from the order; "
        "what is not surely of one order is held, what names another patient is held",
    }
    assert findings["state"]["result"] == "ok"


def test_show_says_what_a_destination_gets_from_the_order(as_json: Ask, environments: Path) -> None:
    rule(environments)
    (shown,) = as_json("env", "show", "test")["destinations"]
    attributes = ["PatientID", "PatientName"]
    assert shown["correction"] == {"attributes": attributes, "unmatched": "hold", "other_patient": "hold"}


def test_a_delivery_says_in_what_it_was_corrected(as_json: Ask, run: Command, environments: Path) -> None:
    rule(environments)
    database = open_database(profiles.read(profiles.find("test")))
    now = datetime.now(UTC)
    with database.write("spool-index") as tx:
        for number in (1, 2):
            spool.add(tx, instance(number, now))
            store.owe(tx, f"{number:026}", ("pacs",), now)
        keywords = ("PatientID", "PatientName")
        corrections.keep(tx, [Applied(f"{1:026}", "pacs", Became.CORRECTED, now, 12, keywords)])
    database.close()
    assert (
        as_json("delivery", "show", 1, "--env", "test")["correction"] == "corrected by order 12: PatientID, PatientName"
    )
    assert "correction" not in as_json("delivery", "show", 2, "--env", "test")
    assert "corrected by order 12" in run("delivery", "show", 1, "--env", "test").stdout
