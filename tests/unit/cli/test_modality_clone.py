"""`broker modality clone | export --whole | import`, as a person runs them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli import main
from tests.unit.cli.conftest import Command

TEST, LIVE = ("--env", "test"), ("--env", "production")
TEMPLATE = b"""# Room 2, as the vendor set it
name = "us-room-2"
modality = "US"
ae_titles = [
  "US_ROOM2",  # both
  "US_R2_MPPS",
]
location = "ROOM 2"
[worklist]
limit = 40   # its list is short
[[routes]]
to = []
"""
OWN = ("--ae-title", "US_ROOM3", "--location", 'R "3"', "--station-name", "", "--description", "")
PLACE = ("--host", "10.0.0.3", "--port", 104)


@pytest.fixture
def template(run: Command, tmp_path: Path) -> str:
    file = tmp_path / "template.toml"
    file.write_bytes(TEMPLATE.replace(b"[[routes]]\nto = []\n", b""))
    run("modality", "apply", file, *TEST)
    run("modality", "bind", "us-room-2", "--host", "10.0.0.2", "--port", 104, "--station", "ELSEWHERE", *TEST)
    return "us-room-2"


def test_a_clone_has_the_habits_and_its_own_titles_and_place(run: Command, as_json: Any, template: str) -> None:
    said = run("modality", "clone", template, "us-room-3", *OWN, *PLACE, *TEST).stdout
    assert "is after us-room-2, at 10.0.0.3:104" in said
    assert "it has proven nothing yet" in said
    found = as_json("modality", "show", "us-room-3", *TEST)
    assert (found["ae_titles"], found["stations"], found["location"]) == (["US_ROOM3"], ["US_ROOM3"], 'R "3"')
    assert (found["host"], found["port"], found["bound_station"]) == ("10.0.0.3", 104, None)
    document = run("modality", "export", "us-room-3", *TEST).stdout
    assert "limit = 40   # its list is short" in document
    assert "# Room 2, as the vendor set it" in document
    assert "US_R2_MPPS" not in document


def test_what_is_not_given_is_asked_for(run: Command, as_json: Any, template: str) -> None:
    words = ["modality", "clone", template, "us-room-4", *TEST]
    result = CliRunner().invoke(main, words, input="\n\n\n10.0.0.4\n104\nUS_ROOM4\n")
    assert result.exit_code == 0, result.output
    assert as_json("modality", "show", "us-room-4", *TEST)["ae_titles"] == ["US_ROOM4"]


def test_nothing_is_cloned_over_a_device_or_with_a_title_that_is_taken_or_into_production(
    run: Command, template: str
) -> None:
    assert "already" in run("modality", "clone", template, template, *OWN, *PLACE, *TEST, code=1).stderr
    taken = ("--ae-title", "US_ROOM2", *OWN[2:])
    assert "US_ROOM2" in run("modality", "clone", template, "us-room-3", *taken, *PLACE, *TEST, code=1).stderr
    assert "begins in Test" in run("modality", "clone", template, "us-room-3", *OWN, *PLACE, *LIVE, code=1).stderr
    long = ("--ae-title", "A_TITLE_OF_17_CHARS", *OWN[2:])
    assert "ae_titles" in run("modality", "clone", template, "us-room-3", *long, *PLACE, *TEST, code=1).stderr


def test_a_name_of_the_template_that_is_left_is_told(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "routed.toml"
    file.write_bytes(b'name = "us-room-2"\nmodality = "US"\nae_titles = ["US_ROOM2"]\n[worklist.filter]\n'
                     b'locations = ["US_ROOM2"]\n')  # fmt: skip
    run("modality", "apply", file, *TEST)
    said = run("modality", "clone", "us-room-2", "us-room-3", *OWN, *PLACE, *TEST)
    assert "still names US_ROOM2 of us-room-2" in said.stderr


def test_a_whole_device_comes_back_as_it_was(run: Command, as_json: Any, template: str, tmp_path: Path) -> None:
    file = tmp_path / "us.export"
    file.write_text(run("modality", "export", template, "--whole", *TEST).stdout)
    before = as_json("modality", "show", template, *TEST)
    assert "is there already" in run("modality", "import", file, *TEST).stdout
    run("modality", "bind", template, "--host", "10.9.9.9", "--port", 105, "--station", "", *TEST)
    assert "is taken" in run("modality", "import", file, *TEST).stdout
    after = as_json("modality", "show", template, *TEST)
    assert {**after, "revisions": 0} == {**before, "revisions": 0}


def test_a_damaged_export_is_refused_and_the_part_is_named(run: Command, template: str, tmp_path: Path) -> None:
    said = json.loads(run("modality", "export", template, "--whole", *TEST).stdout)
    said[f"modality {template}"]["binding"]["host"] = "10.6.6.6"
    file = tmp_path / "bad"
    file.write_text(json.dumps(said))
    assert f"modality {template} is not as its hash says" in run("modality", "import", file, *TEST, code=1).stderr


def test_into_production_only_its_own_export_is_asked_for(
    run: Command, as_json: Any, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "us.export"
    file.write_text(run("modality", "export", template, "--whole", *TEST).stdout)
    assert "needs the token" in run("modality", "import", file, *LIVE, code=1).stderr
    monkeypatch.setenv("BROKER_TOKEN", as_json("user", "add", "ann", "--role", "administrator", *LIVE)["token"])
    refused = run("modality", "import", file, *LIVE, code=1).stderr
    assert "the export is of test (test, no site), not of production (production, no site)" in refused
