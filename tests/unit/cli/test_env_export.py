"""`broker env export | import`: what people have told an environment leaves and comes back whole."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.database import Database
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.promotion import exported
from broker.promotion.approved import serving
from broker.promotion.settings import Settings
from tests.unit.cli.conftest import Command

TEST, LIVE = ("--env", "test"), ("--env", "production")
GLASS = (*LIVE, "--break-glass", "--why", "the first day")


@pytest.fixture
def database(environments: Path) -> Iterator[Database]:
    """Production, which has begun once, with a folder as destination and a key."""
    (environments / "site.key").write_text("one secret\n")
    with (environments / "production.toml").open("a") as file:
        file.write(f'[[destinations]]\nname = "main"\nprotocol = "folder"\npath = "{environments}"\n')
        file.write('[[routes]]\nto = ["main"]\n[promotion]\npacket_key = { file = "site.key" }\n')
    profile = profiles.read(environments / "production.toml")
    opened = open_database(profile)
    serving.begun(profile, opened, SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def ann(as_json: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    token = str(as_json("user", "add", "ann", "--role", "administrator", *LIVE)["token"])
    monkeypatch.setenv("BROKER_TOKEN", token)
    return token


def parts(text: str) -> dict[str, Any]:
    """What an export says, but for when it was made."""
    said = json.loads(text)
    own = {"origin", "hashes", "sha256", "signature"}
    return {name: part for name, part in said.items() if name not in own}


@pytest.fixture
def tested(run: Command, document: Path, environments: Path, as_json: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Test with a mapping of its own, a device that is bound and stated of, and one that is retired."""
    profile, mapping = environments / "test.toml", environments / "maps" / "site.toml"
    mapping.parent.mkdir()
    mapping.write_bytes(b'extends = "ihe-swf"\r\n# of this site\n')
    text = profile.read_text().replace("[dicom]", 'mapping = "maps/site.toml"\n[dicom]')
    (environments / "test.key").write_text("of this machine alone\n")
    profile.write_text(f'{text}[promotion]\npacket_key = {{ file = "test.key" }}\n')
    run("modality", "apply", document, *TEST)
    run("modality", "bind", "us-room-2", "--host", "10.0.0.2", "--port", 104, "--station", "US2_T", *TEST)
    other = document.with_name("old.toml")
    other.write_bytes(b'name = "old"\nmodality = "US"\nae_titles = ["OLD"]\n')
    run("modality", "apply", other, *TEST)
    run("modality", "retire", "old", *TEST)
    monkeypatch.setenv("BROKER_TOKEN", as_json("user", "add", "tom", "--role", "administrator", *TEST)["token"])
    run("promote", "state", "us-room-2", "images_look_right", "--text", "Müller saw it", *TEST)
    text = run("env", "export", "test").stdout
    monkeypatch.delenv("BROKER_TOKEN")
    return text


def test_a_test_environment_comes_back_on_another_machine_as_it_was(
    run: Command, tested: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "test.export"
    file.write_text(tested)
    other = tmp_path / "other" / "test.toml"
    said = run("env", "import", other, file).stdout
    assert f"{other} written" in said and "settings: as they are" in said
    (other.parent / "test.key").write_text("of the other machine\n")
    assert parts(run("env", "export", other).stdout) == parts(tested)
    assert (other.parent / "maps" / "site.toml").read_bytes() == b'extends = "ihe-swf"\r\n# of this site\n'
    assert "is there already" in run("env", "import", other, file).stdout


def test_a_profile_that_was_edited_is_replaced_and_kept_beside(
    run: Command, tested: str, environments: Path, tmp_path: Path
) -> None:
    file = tmp_path / "test.export"
    file.write_text(tested)
    profile = environments / "test.toml"
    before = profile.read_bytes()
    profile.write_bytes(before + b"[worklist]\nexpire_days = 3\n")
    assert "settings: written; restart broker serve" in run("env", "import", "test", file).stdout
    assert profile.read_bytes() == before
    assert (environments / "test.toml.before").read_bytes().endswith(b"expire_days = 3\n")


def live(run: Command, document: Path, file: Path) -> dict[str, Any]:
    """Serve a device, export it, and serve another document of it by hand; return what was exported."""
    run("modality", "apply", document, *GLASS)
    run("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", 104, *GLASS)
    assert "written" in run("env", "export", "production", "--out", file).stdout
    document.write_bytes(document.read_bytes() + b'location = "ROOM 9"\n')
    run("modality", "apply", document, *GLASS)
    return parts(file.read_text())


@pytest.mark.usefixtures("ann")
def test_an_import_into_production_is_a_change_that_another_person_approves(
    run: Command, as_json: Any, document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = as_json("user", "add", "eve", "--role", "approver", *LIVE)["token"]
    file = tmp_path / "production.export"
    before = live(run, document, file)
    said = run("env", "import", "production", file).stdout
    assert "settings: as they are" in said
    assert "us-room-2: production/1: another person approves it: broker promote approve production/1" in said
    assert parts(run("env", "export", "production").stdout) != before
    assert "the clock does not" in run("promote", "apply", "production/1", "--at", "2030-01-01T06:00Z", code=1).stderr
    with monkeypatch.context() as other:
        other.setenv("BROKER_TOKEN", eve)
        run("promote", "approve", "production/1")
    content = file.read_text()
    file.write_text(content.replace("US_ROOM2", "US_ROOM9"))
    assert "is damaged or was altered" in run("promote", "apply", "production/1", code=1).stderr
    file.write_text(content)
    assert "is served in production" in run("promote", "apply", "production/1").stdout
    assert parts(run("env", "export", "production").stdout) == before
    assert "us-room-2: is served so already" in run("env", "import", "production", file).stdout


@pytest.mark.usefixtures("ann")
def test_settings_that_differ_are_asked_for_in_production(run: Command, environments: Path, tmp_path: Path) -> None:
    file = tmp_path / "production.export"
    run("env", "export", "production", "--out", file)
    profile = environments / "production.toml"
    profile.write_bytes(profile.read_bytes() + b"[worklist]\nexpire_days = 3\n")
    assert "the files say otherwise: broker env pending production" in run("env", "import", "production", file).stdout
    run("env", "adopt", "production", "--break-glass", "--why", "x")
    said = run("env", "import", "production", file).stdout
    assert "settings: request 3: another person approves it: broker env approve 3" in said


@pytest.mark.usefixtures("ann")
def test_what_was_never_served_does_not_come_in_by_an_unsigned_file(
    run: Command, document: Path, tmp_path: Path
) -> None:
    file = tmp_path / "production.export"
    live(run, document, file)
    file.write_text(json.dumps({**json.loads(file.read_text()), "signature": ""}))
    said = run("env", "import", "production", file).stdout
    assert "us-room-2: not asked for: us-room-2 is not ready: imported" in said


def test_an_export_that_writes_elsewhere_is_refused(run: Command, tested: str, tmp_path: Path) -> None:
    whole = exported.read(tested.encode(), None)
    assert whole.settings is not None
    bad = Settings(whole.settings.profile, (("../../evil.toml", b"x = 1\n"),))
    file = tmp_path / "bad"
    file.write_bytes(exported.written(replace(whole, settings=bad), None))
    assert "not beside the profile" in run("env", "import", "test", file, code=1).stderr
    assert not (tmp_path / "evil.toml").exists()
