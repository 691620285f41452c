"""What `broker exam` says of a whole day: the ledger of fourteen exams, read as the morning's engineer would."""

from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.peers.processes import wait_for
from tests.scenarios.exam_day import DAY, Day, lived, pacs
from tests.unit.outbox.ris import ris

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.timeout(300)]

STAGES = ("ordered", "offered", "started", "completed", "received", "delivered", "reported")
SIGNS = {"done": "✓", "partly": "…", "not yet": "·", "person": "✗", "not asked": "-"}
EXPECTED = {  # in the order of STAGES; ! is late
    "E01": "✓ · · · · · ·",
    "E02": "✓ ✓ · · · · ·",
    "E03": "✓ ✓ ·! · · · ·",
    "E04": "✓ ✓ ✓ … · · ✓",
    "E05": "✓ ✓ ✓ … … ✓ ✓",
    "E06": "✓ ✓ ✓ ✓ ✓ ✓ ✓",
    "E07": "✓ ✓ ✓ ✓ …! ✓ ✓",
    "E08": "✓ ✓ ✓ ✓ - - ✓",
    "E09": "✓ ✓ ✓ ✓ ✓ ✓ ✓",
    "E10": "✓ - - - - - -",
    "E11": "✓ ✓ ✓ ✓ ✓ ✗! ·",
    "E12": "✓ ✓ ✓ ✓ ✗ ✓ ✓",
    "E13": "✓ ✓ ·! · · · ✓",
    "E14": "✓ ✓ ✓ ✓ ✗ ✓ ✓",
}


def test_a_day_of_exams_in_every_state_reads_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ris() as receiver, pacs("E11") as port:
        day = Day(tmp_path, receiver.port, port)
        for name, value in day.variables.items():
            monkeypatch.setenv(name, value)
        with day.environment.serving():
            day.environment.register()
            lived(day)
            with suppress(AssertionError):  # what is lacking then is said below
                wait_for("the RIS is told of the last images", lambda: listed_signs(day) == EXPECTED)
            exams = {exam["accession_number"]: exam for exam in day.environment.ask("exam", "list", "--day", DAY_ISO)}
            late = {exam["accession_number"] for exam in day.environment.ask("exam", "list", "--late")}
            shown = {key: day.environment.command("exam", "show", key).stdout for key in ("E07", "E11", "E13", "E14")}
            listed = day.environment.command("exam", "list", "--day", DAY_ISO).stdout
            url = f"http://127.0.0.1:{day.environment.ports['http']}/metrics"
            counted = 'broker_worklist_queries_total{answer="answered"} 13'
            wait_for("queries are counted", lambda: counted in metrics(url))
            said = metrics(url)
    assert {key: _signs(exam["stages"]) for key, exam in exams.items()} == EXPECTED
    assert late == {key for key, signs in EXPECTED.items() if "!" in signs}
    assert "3 of 5 images listed by MPPS, 1 series; 2 lacking" in shown["E07"]
    assert "0 of 2 delivered; 2 parked" in shown["E11"]
    assert "was unlinked with its images: the entry above was taken" in shown["E13"]
    assert "2 disagree with the order in PatientID and AccessionNumber" in shown["E14"]
    assert "✓ canceled" in listed
    assert "✓ discontinued" in listed
    assert "ris was told of order 13 before" in (tmp_path / "unlink.txt").read_text()
    assert 'broker_deliveries{destination="pacs",state="parked"} 2' in said
    assert 'broker_performed_steps{state="in-progress"} 2' in said


def listed_signs(day: Day) -> dict[str, str]:
    listed = day.environment.ask("exam", "list", "--day", DAY_ISO)
    return {exam["accession_number"]: _signs(exam["stages"]) for exam in listed}


DAY_ISO = f"{DAY[:4]}-{DAY[4:6]}-{DAY[6:]}"


def metrics(url: str) -> str:
    with urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def _signs(stages: dict[str, dict[str, object]]) -> str:
    return " ".join(f"{SIGNS[str(stages[name]['mark'])]}{'!' if stages[name]['late'] else ''}" for name in STAGES)
