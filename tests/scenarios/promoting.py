"""Two worlds with people in them, and a device whose every check somebody has waived: what a promotion needs, at once.

What a device has to prove by its own traffic is shown in `test_evidence`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.promotion.checks import CHECKS
from tests.peers.broker import MODALITY, Environment, commanded
from tests.peers.raw_sender import DataSet, send
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set

SECOND = MODALITY.replace('["US_ROOM2"]', '["US_ROOM2", "US_ROOM2B"]', 1)
"""The device's document as it is changed later: it calls by a further title."""
_EXPLAINED = ("one_device", "trouble")
_PROFILE = """\
{worlds}[[destinations]]
name = "main-pacs"
protocol = "folder"
path = "{name}-pacs"
[[routes]]
to = ["main-pacs"]
"""
_WORLDS = """\
[worlds]
key = {{ file = "site.key" }}
other = "{other}.toml"
"""


@dataclass
class Promoting:
    """Test and Production in a folder; ann configures both, eve approves in Production."""

    folder: Path
    tripwires: bool = False
    test: Environment = field(init=False)
    production: Environment = field(init=False)
    eve: str = field(init=False)

    def __post_init__(self) -> None:
        self.test = self._environment("test", "production", "BROKER_TEST")
        self.production = self._environment("production", "test", "BROKER")
        (self.folder / "site.key").write_text("the key of this site")
        for each in (self.test, self.production):
            each.token = each.add_user("ann", "administrator")
        self.eve = self.production.add_user("eve", "approver")

    def _environment(self, name: str, other: str, title: str) -> Environment:
        worlds = _WORLDS.format(other=other) if self.tripwires else ""
        keys = _PROFILE.format(name=name, worlds=worlds)
        return Environment(self.folder, name, name, title, destinations=keys).write()

    @property
    def sides(self) -> tuple[str, ...]:
        """The device, and from where to where."""
        return ("us-room-2", "--from", str(self.test.profile), "--to", str(self.production.profile))

    def tested(self, document: str, port: int) -> None:
        """Let Test serve a document, and let every check of it be passed or waived; Test has to serve."""
        self.test.register(document)
        self.did(self.test, "modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(port))
        assert send(self.test.dicom, "US_ROOM2", first_image(port)) == 0
        self.test.await_index()
        for check in CHECKS:
            if check not in _EXPLAINED:
                self.did(self.test, "promote", "waive", "us-room-2", check, "--why", "shown in another test")
        # It is live in Production meanwhile, and calls Test: a tripwire that a person explains.
        self.did(self.test, "promote", "state", "us-room-2", "trouble", "--text", "the next document is tested")

    def requested(self, port: int) -> str:
        """Ask for what Test serves, at this port; return the request as the commands take it."""
        place = ("--host", "127.0.0.1", "--port", str(port))
        words = ("promote", "request", *self.sides, *place, "--why", "tested", "--json")
        asked = commanded(words, self.production.token)
        assert asked.returncode == 0, asked.stderr
        return f"{self.production.profile}/{json.loads(asked.stdout)['id'].rpartition('/')[2]}"

    def approved(self, port: int) -> str:
        """Likewise, and let eve approve it."""
        id_ = self.requested(port)
        result = commanded(("promote", "approve", id_), self.eve)
        assert result.returncode == 0, result.stderr
        return id_

    def plan(self) -> dict[str, Any]:
        """The plan as it is now."""
        result = commanded(("promote", "plan", *self.sides, "--json"), self.production.token)
        assert result.returncode in (0, 3), result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def apply(self, id_: str) -> None:
        """Apply a request."""
        result = commanded(("promote", "apply", id_), self.production.token)
        assert result.returncode == 0, result.stderr

    def roll_back(self) -> str:
        """Go back; return what the command says."""
        return self.did(self.production, "promote", "rollback", "us-room-2", "--why", "back to what was")

    def did(self, environment: Environment, *words: str) -> str:
        """Run a command that has to do what it says."""
        result = environment.command(*words)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


def first_study(port: int) -> str:
    """Return the study of the image that a device at this port sends first."""
    return f"1.2.826.0.1.3680043.9.76.{port}"


def first_image(port: int) -> DataSet:
    """Return that image."""
    uid = f"{first_study(port)}.0"
    return DataSet(US_IMAGE, uid, EXPLICIT, data_set(uid, StudyInstanceUID=first_study(port).encode()))
