"""Profiles by which something would cross between Test and Production, or by which it did: no test of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.tripwires.file import Header
from tests.unit.tripwires.profiles import FOLDER, MPPS, PACS, RECEIVER, STOW, write_both

Write = Callable[[Path], Profile]


@dataclass(frozen=True)
class StartAttempt:
    """What somebody has written, and the tripwire. `write` returns the profile that is then started."""

    name: str
    tripwire: str
    write: Write


def _of(test: str, production: str) -> Write:
    return lambda folder: write_both(folder, test, production)


def _linked_folder(folder: Path) -> Profile:
    (folder / "drop").mkdir()
    (folder / "link").symlink_to(folder / "drop")
    return write_both(folder, FOLDER.format("p", "drop"), FOLDER.format("q", "link"))


def _database(folder: Path) -> Profile:
    table = '[database]\nurl = "postgresql+psycopg://broker@db/broker"\n'
    return write_both(folder, table, table)


def _own_file_as_the_other_s(folder: Path) -> Profile:
    file = write_both(folder).file
    file.write_text(file.read_text() + 'other_file = "production-state/identifiers"\n')
    return profiles.read(file)


def _copied_state(folder: Path) -> Profile:
    profile = write_both(folder)
    profile.state.mkdir()
    (profile.state / "identifiers").write_bytes(Header("test", "0123456789abcdef").line())
    return profile


def _alias(folder: Path) -> Profile:
    file = write_both(folder).file
    file.write_text(file.read_text().replace('title = "BROKER"', 'title = "BROKER"\naliases = ["BROKER_TEST"]'))
    return profiles.read(file)


DESTINATION = "destination-of-other"
START_ATTEMPTS = (
    StartAttempt(
        "PACS with the address of the other world's",
        DESTINATION,
        _of(PACS.format("p", "10.1.1.1", 104, "TP"), PACS.format("q", "10.1.1.1", 104, "PP")),
    ),
    StartAttempt(
        "PACS with its AE title elsewhere",
        DESTINATION,
        _of(PACS.format("p", "10.1.1.1", 104, "PACS"), PACS.format("q", "10.1.1.2", 105, "PACS")),
    ),
    StartAttempt(
        "its PACS by another name of this machine",
        DESTINATION,
        _of(PACS.format("p", "127.0.0.1", 104, "TP"), PACS.format("q", "localhost", 104, "PP")),
    ),
    StartAttempt(
        "its PACS by another loopback address",
        DESTINATION,
        _of(PACS.format("p", "127.0.0.1", 104, "TP"), PACS.format("q", "127.0.0.2", 104, "PP")),
    ),
    StartAttempt(
        "its PACS by the loopback address of IPv6",
        DESTINATION,
        _of(PACS.format("p", "127.0.0.1", 104, "TP"), PACS.format("q", "::1", 104, "PP")),
    ),
    StartAttempt(
        "its PACS in other letters, with a dot at the end",
        DESTINATION,
        _of(PACS.format("p", "PACS.hospital", 104, "TP"), PACS.format("q", "pacs.hospital.", 104, "PP")),
    ),
    StartAttempt(
        "STOW-RS server of the other world",
        DESTINATION,
        _of(STOW.format("p", "https://pacs/dicom-web"), STOW.format("q", "https://PACS/dicom-web")),
    ),
    StartAttempt(
        "its STOW-RS server with the port stated",
        DESTINATION,
        _of(STOW.format("p", "https://pacs/dicom-web"), STOW.format("q", "https://pacs:443/dicom-web/")),
    ),
    StartAttempt(
        "its folder by a roundabout way",
        DESTINATION,
        _of(FOLDER.format("p", "drop"), FOLDER.format("q", "./x/../drop")),
    ),
    StartAttempt("its folder by a link", DESTINATION, _linked_folder),
    StartAttempt(
        "its PACS as receiver of our MPPS",
        DESTINATION,
        _of(PACS.format("p", "10.1.1.1", 104, "TP"), MPPS.format("q", "10.1.1.1", 104, "PP")),
    ),
    StartAttempt(
        "its MPPS provider as ours",
        DESTINATION,
        _of(MPPS.format("p", "10.1.1.1", 104, "TP"), MPPS.format("q", "10.1.1.1", 104, "PP")),
    ),
    StartAttempt(
        "its own listener as PACS, by address", DESTINATION, _of("", PACS.format("q", "127.0.0.1", 11112, "X"))
    ),
    StartAttempt(
        "its own listener as PACS, by AE title", DESTINATION, _of("", PACS.format("q", "10.1.1.9", 104, "BROKER_TEST"))
    ),
    StartAttempt("its HL7 listener as receiver", DESTINATION, _of("", RECEIVER.format("q", "127.0.0.1", 2575))),
    StartAttempt(
        "its RIS as receiver",
        DESTINATION,
        _of(RECEIVER.format("p", "ris", 2000), RECEIVER.format("q", "RIS", 2000)),
    ),
    StartAttempt("profile copied with its name", "same-name", lambda folder: write_both(folder, name="production")),
    StartAttempt(
        "another Production as the other world", "same-kind", lambda folder: write_both(folder, kind="production")
    ),
    StartAttempt(
        "profile copied with its state", "same-state", lambda folder: write_both(folder, state="production-state")
    ),
    StartAttempt("one database for both", "same-state", _database),
    StartAttempt("our own file as the other world's", "same-state", _own_file_as_the_other_s),
    StartAttempt("state folder copied from the other world", "state-of-other", _copied_state),
    StartAttempt("alias that is the other world's AE title", "same-title", _alias),
)
