"""Test and Production as an operator runs them: an image that went astray reaches the PACS of the world it began in."""

from pathlib import Path

import pytest

from tests.peers.broker import Environment
from tests.peers.processes import free_port, wait_for
from tests.peers.raw_sender import DataSet, send
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set

pytestmark = pytest.mark.slow
WORLDS = """\
[worlds]
key = {{ file = "site.key" }}
other = "{other}.toml"
[[destinations]]
name = "main-pacs"
protocol = "folder"
path = "{name}-pacs"
[[routes]]
to = ["main-pacs"]
"""


def environment(folder: Path, name: str, other: str, title: str) -> Environment:
    made = Environment(folder, name, name, title, destinations=WORLDS.format(name=name, other=other))
    made.ports = {noun: free_port() for noun in ("hl7", "dicom", "http")}
    return made.write()


def store(into: Environment, uid: str) -> int | None:
    return send(into.dicom, "US_ROOM2", DataSet(US_IMAGE, uid, EXPLICIT, data_set(uid, StudyInstanceUID=b"1.2.3.77")))


def stored(folder: Path) -> int:
    return sum(1 for file in folder.rglob("*.dcm")) if folder.exists() else 0


@pytest.mark.parametrize(("began", "astray"), [("test", "production"), ("production", "test")])
def test_an_image_that_went_astray_reaches_the_pacs_of_its_own_world(tmp_path: Path, began: str, astray: str) -> None:
    (tmp_path / "site.key").write_text("the key of this site")
    both = {
        "test": environment(tmp_path, "test", "production", "BROKER_TEST"),
        "production": environment(tmp_path, "production", "test", "BROKER"),
    }
    for each in both.values():
        each.register()
    with both["test"].serving(), both["production"].serving():
        assert store(both[began], "1.2.3.77.1") == 0
        wait_for("its study has begun there", lambda: stored(tmp_path / f"{began}-pacs") == 1)
        assert store(both[astray], "1.2.3.77.2") == 0
        wait_for("both images", lambda: stored(tmp_path / f"{began}-pacs") == 2)
        assert stored(tmp_path / f"{astray}-pacs") == 0
        events = [one["event"] for one in both[astray].ask("alert", "list")]
        assert "tripwire.image-of-other" in events
