from collections.abc import Callable
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.worlds import ListedPatient, WorldsSettings
from broker.errors import Misconfigured
from tests.unit.environments.test_profile import WHOLE

Read = Callable[[str], WorldsSettings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(worlds: str) -> WorldsSettings:
        file = tmp_path / "test.toml"
        file.write_text(WHOLE + worlds, encoding="utf-8")
        return profiles.read(file).worlds

    return read


def test_without_the_table_there_is_no_other_world(read: Read) -> None:
    assert read("") == WorldsSettings()


def test_paths_are_relative_to_the_profile(read: Read, tmp_path: Path) -> None:
    settings = read('[worlds]\nkey = { file = "k" }\nother = "production.toml"\n')
    assert settings.other == tmp_path / "production.toml"
    assert settings.key is not None
    assert settings.key.file == tmp_path / "k"


def test_test_patients_need_no_other_world(read: Read) -> None:
    settings = read('[worlds]\ntest_patients = [{ id = "P1", issuer = "HOSP" }]\n')
    assert settings.test_patients == (ListedPatient("P1", "HOSP"),)


@pytest.mark.parametrize(
    ("worlds", "mistake"),
    [
        ('other = "production.toml"', "worlds.key: is needed"),
        ('key = { file = "k" }', "worlds.other: is needed"),
        ('key = "secret"', "worlds.key: must be"),
        ('key = { file = "k" }\nother = "p.toml"\nhost = "there"', "worlds.host: host, port and ae_title go together"),
        ('test_patients = [{ issuer = "HOSP" }]', "id: is missing"),
        ('others = "p.toml"', "unknown key: did you mean 'other'?"),
    ],
)
def test_a_half_is_a_mistake(read: Read, worlds: str, mistake: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(f"[worlds]\n{worlds}\n")
    assert mistake in str(caught.value)


def test_no_destination_is_called_as_the_built_in_one(read: Read) -> None:
    with pytest.raises(Misconfigured, match="has a meaning of its own"):
        read('[[destinations]]\nname = "other-world"\nprotocol = "folder"\npath = "x"\n')
