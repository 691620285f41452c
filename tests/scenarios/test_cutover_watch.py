"""The morning of a cutover in a running Production: a wrong title is named, the first exam ticks the rest."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from broker.audit.model import CLOCK
from broker.database import Database, sqlite_url
from broker.promotion import store
from broker.promotion.model import Life
from broker.promotion.store import Served
from broker.registry import store as registry
from tests.peers.broker import Environment, destination
from tests.peers.processes import wait_for
from tests.scenarios.test_evidence import DOCUMENT, ECHO, Bench, _message, _pacs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
NAME = "us-room-2"


class Morning(Bench):
    """A device in front of Production."""

    def __init__(self, folder: Path, pacs: int) -> None:
        super().__init__(folder, pacs)
        keys = 'proof = "none"\n'
        self.environment = Environment(
            folder, "production", "production", "BROKER", destinations=destination("main-pacs", pacs, keys=keys)
        ).write()

    def cut_over(self) -> None:
        """Apply, as a promotion does; what leads there is told elsewhere."""
        database = Database(sqlite_url(self.environment.folder / "state-production" / "broker.db"))
        now = datetime.now(UTC)
        with database.write("promotion") as tx:
            device = registry.modality(tx, NAME)
            line = Served(0, NAME, now, str(CLOCK), "applied", "", device.revision, device.binding, Life.WATCHED, None)
            store.record(tx, line)
            store.set_life(tx, NAME, Life.WATCHED, now)
        database.close()

    def life(self) -> Life | None:
        """Where the device stands."""
        database = Database(sqlite_url(self.environment.folder / "state-production" / "broker.db"))
        with database.read() as tx:
            found = store.life(tx, NAME)
        database.close()
        return found

    def order_today(self, number: int) -> None:
        """An order of Production."""
        file = self.environment.folder / f"{number}.hl7"
        file.write_bytes(_message(number, self.day).replace("|T|2.3.1", "|P|2.3.1").encode())
        self.do("order", "send", str(file))

    def misspelt(self) -> None:
        """Somebody mistypes the title at the console."""
        ae = AE("US_ROM2")
        ae.add_requested_context(ECHO)
        node = self.environment.dicom
        assert not ae.associate("127.0.0.1", node.port, ae_title=node.ae_title).is_established

    def watch(self) -> tuple[int, dict[str, Any]]:
        """How it stands, and the exit code."""
        result = self.environment.command("promote", "watch", NAME, "--json")
        return result.returncode, json.loads(result.stdout)


def test_a_cutover_is_watched_until_its_first_exam_is_whole(tmp_path: Path) -> None:
    with _pacs() as pacs:
        morning = Morning(tmp_path, pacs)
        morning.day = f"{datetime.now(UTC):%Y%m%d}"
        with morning.environment.serving():
            morning.environment.register(DOCUMENT)
            glass = ("--break-glass", "--why", "test of the product")
            morning.do("modality", "bind", NAME, "--host", "127.0.0.1", "--port", "104", *glass)
            morning.order_today(1)
            morning.cut_over()
            morning.misspelt()
            code, found = morning.watch()
            assert (code, found["life"]) == (1, "watched")
            assert found["troubles"][0]["text"].startswith('refused: "US_ROM2" comes from 127.0.0.1, which is bound to')
            morning.time = f"{datetime.now(UTC):%H%M%S}"
            morning.exam(1)
            wait_for("it is live", lambda: morning.life() is Life.LIVE, seconds=40)
            code, found = morning.watch()
            assert (code, found["good"], found["exams"]) == (0, True, 1)
            assert [each["first"] for each in found["firsts"] if each["needed"] and each["at"] is None] == []
            assert [each["open"] for each in found["troubles"] if "refused" in each["text"]] == [False]
            history = morning.environment.command("promote", "history", NAME, "--json").stdout
            assert [line["what"] for line in json.loads(history)] == ["settled", "applied"]
            shown = morning.environment.command("promote", "watch", NAME, "--once").stdout
            assert "LIVE: us-room-2 has shown what is asked for" in shown
