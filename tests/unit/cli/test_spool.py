"""`broker spool`: what is kept is compared with what was received, indexed anew, and written as DICOM files."""

import json
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from broker.database import Database
from broker.environments import bound
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.migrations import open_database
from broker.spool import store as index
from broker.spool.model import SpooledInstance
from broker.spool.spool import Spool
from tests.unit.cli.conftest import Command
from tests.unit.spool.datasets import data_set, facts, pieces
from tests.unit.spool.reading import found

Ask = Callable[..., Any]


@pytest.fixture
def profile(environments: Path) -> Profile:
    return profiles.read(profiles.find("test"))


@pytest.fixture
def database(profile: Profile) -> Iterator[Database]:
    opened = open_database(profile)
    yield opened
    opened.close()


@pytest.fixture
def kept(profile: Profile, database: Database) -> list[SpooledInstance]:
    """Three images in a segment; nobody has indexed them."""
    spool = Spool(profile.spool)
    spool.begin()
    made = [spool.keep(pieces(data_set(f"1.2.{n}"), 99), facts(f"1.2.{n}", device="")) for n in range(3)]
    spool.end()
    return made


def flip(profile: Profile, instance: SpooledInstance) -> None:
    path = profile.spool / instance.path
    content = bytearray(path.read_bytes())
    content[instance.offset + 30] ^= 1
    path.write_bytes(content)


def test_what_the_index_does_not_know_is_indexed_and_owed(run: Command, as_json: Ask, kept: list[object]) -> None:
    assert run("spool", "rebuild", "--env", "test").stdout == "indexed: 3\n"
    assert len(as_json("delivery", "list", "--env", "test")) == 3
    assert run("spool", "rebuild", "--env", "test").stdout == "indexed: 0\n"


def test_verify_names_what_the_index_does_not_know_and_what_is_not_whole(
    run: Command, profile: Profile, kept: list[SpooledInstance]
) -> None:
    unknown = run("spool", "verify", "--env", "test", "--json", code=3)
    assert {each["instance"] for each in json.loads(unknown.stdout)} == {instance.id for instance in kept}
    run("spool", "rebuild", "--env", "test")
    whole = run("spool", "verify", "--env", "test")
    assert "3 images read, 0 not as they should be" in whole.stderr
    flip(profile, kept[1])
    (wrong,) = json.loads(run("spool", "verify", "--env", "test", "--json", code=3).stdout)
    assert wrong["instance"] == kept[1].id
    assert "another hash" in wrong["why"]


def test_rebuild_is_refused_while_the_environment_is_served(run: Command, profile: Profile, kept: list[object]) -> None:
    held = bound.take(profile)
    assert held is not None
    assert "stop it first" in run("spool", "rebuild", "--env", "test", code=1).stderr
    os.close(held)
    assert len(found(profile.spool)) == 3


def test_images_are_exported_as_dicom_files(
    run: Command, tmp_path: Path, database: Database, kept: list[SpooledInstance]
) -> None:
    run("spool", "rebuild", "--env", "test")
    run("spool", "export", kept[0].id, "--to", tmp_path / "out", "--env", "test")
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == f"{kept[0].id}.dcm"
    content = file.read_bytes()
    assert content[:128] == bytes(128)
    assert content.endswith(data_set("1.2.0"))
    assert pydicom.dcmread(BytesIO(content)).SOPInstanceUID == "1.2.0"
    assert run("spool", "export", "--all", "--to", tmp_path / "all", "--env", "test").stdout == "exported: 3\n"
    assert len(list((tmp_path / "all").iterdir())) == 3
    run("spool", "export", "--to", tmp_path / "none", "--env", "test", code=2)
    assert "not kept" in run("spool", "export", "01NOTHING", "--to", tmp_path, "--env", "test", code=1).stderr
    with database.read() as tx:
        assert len(index.held(tx, "", 10)) == 3
