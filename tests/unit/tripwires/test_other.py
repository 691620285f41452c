from collections.abc import Callable
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import Misconfigured
from broker.tripwires.other import crossings, other_of, refuse_crossing

PROFILE = """\
name = "{name}"
kind = "{kind}"
timezone = "Europe/Berlin"
state = "{name}-state"
[hl7]
host = "127.0.0.1"
port = {hl7}
[dicom]
host = "0.0.0.0"
port = {dicom}
ae_title = "{title}"
[http]
host = "127.0.0.1"
port = 0
[worlds]
key = {{ file = "site.key" }}
other = "{other}.toml"
"""
PACS = '[[destinations]]\nname = "{}"\nprotocol = "dimse"\nhost = "{}"\nport = {}\nae_title = "{}"\n'
STOW = '[[destinations]]\nname = "{}"\nprotocol = "stow"\nurl = "{}"\n'
FOLDER = '[[destinations]]\nname = "{}"\nprotocol = "folder"\npath = "{}"\n'
MPPS = '[[mpps.destinations]]\nname = "{}"\nhost = "{}"\nport = {}\nae_title = "{}"\n'
RECEIVER = '[[receivers]]\nname = "{}"\nhost = "{}"\nport = {}\n'

Write = Callable[..., Profile]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "site.key").write_text("key")

    def write(test: str = "", production: str = "", kind: str = "test", name: str = "test") -> Profile:
        ours = PROFILE.format(name="production", kind="production", hl7=2576, dicom=11113, title="BROKER", other="test")
        theirs = PROFILE.format(name=name, kind=kind, hl7=2575, dicom=11112, title="BROKER_TEST", other="production")
        (tmp_path / "production.toml").write_text(ours + production)
        (tmp_path / "test.toml").write_text(theirs + test)
        return profiles.read(tmp_path / "production.toml")

    return write


LEAKS = [
    pytest.param(
        PACS.format("p", "10.1.1.1", 104, "TP"),
        PACS.format("q", "10.1.1.1", 104, "PP"),
        id="the other's PACS by address",
    ),
    pytest.param(
        PACS.format("p", "10.1.1.1", 104, "PACS"), PACS.format("q", "10.1.1.2", 105, "PACS"), id="and by its title"
    ),
    pytest.param(
        PACS.format("p", "127.0.0.1", 104, "TP"),
        PACS.format("q", "localhost", 104, "PP"),
        id="another name of loopback",
    ),
    pytest.param(
        PACS.format("p", "PACS.hospital", 104, "TP"), PACS.format("q", "pacs.hospital.", 104, "PP"), id="another case"
    ),
    pytest.param(
        PACS.format("p", "127.0.0.1", 104, "TP"), PACS.format("q", "127.0.0.2", 104, "PP"), id="another loopback"
    ),
    pytest.param(
        STOW.format("p", "https://pacs/dicom-web"), STOW.format("q", "https://PACS/dicom-web"), id="the other's STOW-RS"
    ),
    pytest.param(FOLDER.format("p", "drop"), FOLDER.format("q", "./x/../drop"), id="the other's folder"),
    pytest.param(
        PACS.format("p", "10.1.1.1", 104, "TP"), MPPS.format("q", "10.1.1.1", 104, "PP"), id="its PACS for our MPPS"
    ),
    pytest.param("", PACS.format("q", "127.0.0.1", 11112, "X"), id="the other's own listener by address"),
    pytest.param("", PACS.format("q", "10.1.1.9", 104, "BROKER_TEST"), id="the other's own listener by title"),
    pytest.param("", RECEIVER.format("q", "127.0.0.1", 2575), id="the other's own HL7 listener"),
    pytest.param(
        RECEIVER.format("p", "ris", 2000), RECEIVER.format("q", "RIS", 2000), id="the other's RIS for our messages"
    ),
]


@pytest.mark.parametrize(("test", "production"), LEAKS)
def test_a_destination_of_the_other_world_is_refused_at_start(write: Write, test: str, production: str) -> None:
    profile = write(test, production)
    other = other_of(profile)
    refuse_crossing(profile, other, frozenset({"destination-of-other"}))  # without its tripwire it passes
    with pytest.raises(Misconfigured, match="a destination is one of the other world"):
        refuse_crossing(profile, other)


def test_worlds_that_are_apart_are_let_start(write: Write) -> None:
    profile = write(PACS.format("p", "127.0.0.1", 4242, "TP"), PACS.format("p", "127.0.0.1", 4243, "PP"))
    assert crossings(profile, other_of(profile)) == []


def test_one_name_for_both_worlds_is_refused(write: Write) -> None:
    profile = write(name="production")
    other = other_of(profile)
    refuse_crossing(profile, other, frozenset({"same-name"}))
    with pytest.raises(Misconfigured, match="both worlds have one name"):
        refuse_crossing(profile, other)


def test_another_production_as_the_other_world_is_refused(write: Write) -> None:
    profile = write(kind="production")
    other = other_of(profile)
    refuse_crossing(profile, other, frozenset({"same-kind"}))
    with pytest.raises(Misconfigured, match="of the same kind"):
        refuse_crossing(profile, other)


def test_the_listener_of_the_other_world_is_the_built_in_destination(write: Write) -> None:
    destination = other_of(write()).destination
    assert destination is not None
    assert (destination.name, destination.host, destination.port) == ("other-world", "127.0.0.1", 11112)
    assert destination.ae_title == "BROKER_TEST"


def test_a_profile_that_is_not_there_stops_nothing(write: Write, tmp_path: Path) -> None:
    profile = write()
    (tmp_path / "test.toml").unlink()
    other = other_of(profile)
    assert (other.problem, other.destination) == ("test.toml cannot be read", None)
    refuse_crossing(profile, other)
