"""A profile and the files it names as one thing that is approved."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import Misconfigured
from broker.promotion import settings

PROFILE = """\
name = "production"
kind = "production"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 2575
mapping = "site.toml"
[dicom]
host = "127.0.0.1"
port = 11112
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 8081
[[destinations]]
name = "pacs"
protocol = "dimse"
host = "10.0.0.1"
port = 104
ae_title = "PACS"
[[routes]]
to = ["pacs"]
"""
MAPPING = 'base = "ihe-swf"\n[order]\nAccessionNumber = ["OBR-20"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text(MAPPING)
    made = tmp_path / "production.toml"
    made.write_text(PROFILE)
    return made


@pytest.fixture
def profile(file: Path) -> Profile:
    return profiles.read(file)


def test_settings_come_back_from_what_is_kept_of_them(profile: Profile) -> None:
    now = settings.of(profile)
    assert settings.unpacked(now.packed()) == now
    assert [Path(path).name for path, _ in now.files] == ["site.toml"]


def test_approved_settings_are_served_whatever_the_files_say_or_whether_they_are_there(
    file: Path, profile: Profile
) -> None:
    approved = settings.of(profile)
    file.write_text(PROFILE.replace("10.0.0.1", "10.0.0.2"))
    (file.parent / "site.toml").write_text('base = "ipc"\n')
    served = settings.profile_of(approved, profiles.read(file))
    assert served.destinations[0].host == "10.0.0.1"
    assert Path(served.hl7.default.mapping).read_text() == MAPPING
    (file.parent / "site.toml").unlink()
    assert settings.profile_of(approved, profile) == served
    assert served.state == profile.state


def test_what_differs_is_shown_by_file_and_line(file: Path, profile: Profile) -> None:
    approved = settings.of(profile)
    assert settings.difference(approved, settings.of(profile)) == []
    file.write_text(PROFILE.replace("10.0.0.1", "10.0.0.2"))
    (file.parent / "site.toml").write_text(MAPPING.replace("OBR-20", "ORC-3"))
    lines = settings.difference(approved, settings.of(profiles.read(file)))
    assert '-host = "10.0.0.1"' in lines
    assert '+AccessionNumber = ["ORC-3"]' in lines


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("10.0.0.1", "10.0.0.2", {"destinations"}),
        ('to = ["pacs"]', 'to = ["pacs"]\nwhen = { Modality = "US" }', {"routes"}),
        ("[hl7]\n", '[hl7]\nlate = "all"\n', {"policy"}),
        ("[http]\n", "[exams]\nquiet_minutes = 3\n[http]\n", {"policy"}),
        ('mapping = "site.toml"', 'mapping = "ipc"', {"mapping"}),
        ("port = 8081", "port = 8082", set()),
        ("[http]", "# a remark\n[http]", set()),
    ],
)
def test_each_hash_changes_with_what_it_stands_for(
    file: Path, profile: Profile, before: str, after: str, changed: set[str]
) -> None:
    first = settings.hashes(profile)
    file.write_text(PROFILE.replace(before, after))
    second = settings.hashes(profiles.read(file))
    names = ("destinations", "routes", "policy", "mapping")
    assert {name for name in names if getattr(first, name) != getattr(second, name)} == changed


def test_the_mapping_s_hash_follows_the_file_s_content(file: Path, profile: Profile) -> None:
    first = settings.hashes(profile)
    (file.parent / "site.toml").write_text(MAPPING + "# edited\n")
    assert settings.hashes(profile).mapping != first.mapping
    assert replace(settings.hashes(profile), mapping=first.mapping) == first


def test_a_file_that_is_gone_is_named(file: Path, profile: Profile) -> None:
    (file.parent / "site.toml").unlink()
    with pytest.raises(Misconfigured, match=r"site\.toml: cannot be read"):
        settings.of(profile)
