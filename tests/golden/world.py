"""The product's own flow on a database of its own, for one golden case. Judges nothing."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from broker.audit.model import CLOCK
from broker.database import Database, sqlite_url
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.inbox import store as inbox
from broker.inbox.model import Arrival
from broker.listeners.mllp import acknowledgement
from broker.migrations import open_database
from broker.orders import store as orders
from broker.orders.model import StoredOrder
from broker.pipeline import Flows
from broker.registry import document
from broker.registry import store as registry
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from broker.worklist import find
from broker.worklist.attributes import STEP_SEQUENCE, Entity, answer_entity, step_entity, step_keywords_of
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.viewer import registry_stations
from hl7.header import read_header
from hl7.reply import read_acknowledgement
from tests.conftest import FakeClock
from tests.peers.broker import MODALITY

# What a site may say of its senders, one habit each; "RIS" is nobody's name, and so has the defaults.
PROFILE = """\
name = "golden"
kind = "production"
site = "General Hospital"
timezone = "Europe/Berlin"
state = "state"

[hl7]
host = "127.0.0.1"
port = 0
{hl7}
[dicom]
host = "127.0.0.1"
port = 0
ae_title = "BROKER"

[http]
host = "127.0.0.1"
port = 0
"""
SOURCES = {
    "OLDRIS": 'processing_ids = ["P", ""]',
    "CYRILLIC": 'character_sets = ["8859/5"]\npatient_authority = "HOSP"',
    "ORRRIS": 'acknowledged_by = "order"',
    "LATERIS": 'late = "all"',
    "LISBON": 'timezone = "Europe/Lisbon"',
    "FILLRIS": 'mapping = "filler-number"',
    "IPCRIS": 'mapping = "ipc"',
    "SIURIS": 'appointments = "create"\nmapping = "rooms.toml"',
    "NOSIU": 'appointments = "ignore"',
}
ROOMS = 'base = "ihe-swf"\n[tables.station_modalities]\nUS_ROOM2 = "US"\n'
CT = MODALITY.replace("us-room-2", "ct-1").replace("US_ROOM2", "CT_ROOM1").replace('"US"', '"CT"')


@dataclass(frozen=True)
class Result:
    """What a case's messages came to: answers, what modalities are offered, how the orders stand."""

    acknowledgements: list[dict[str, Any]]
    worklist: list[dict[str, Any]]
    orders: list[dict[str, Any]]


class World:
    """An environment whose database is migrated once, and put back as it was for each case."""

    def __init__(self, folder: Path, devices: Iterable[str] = (MODALITY, CT), hl7: str = "") -> None:
        self._folder = folder
        (folder / "rooms.toml").write_text(ROOMS)
        file = folder / "golden.toml"
        file.write_text(PROFILE.format(hl7=hl7) + "".join(_source(name, habit) for name, habit in SOURCES.items()))
        self.profile: Profile = profiles.read(file)
        self._template, self._file = folder / "template.db", folder / "case.db"
        self._prepare(devices)
        # One engine for all cases: each new one would compile every statement again.
        self.database = Database(sqlite_url(self._file))
        self._clock = FakeClock()
        spool = Spool(folder / "spool")
        self._flows = Flows(self.profile, self.database, RegistryCache(self.database), spool, self._clock)

    def _prepare(self, devices: Iterable[str]) -> None:
        database = open_database(replace(self.profile, database_url=sqlite_url(self._template)))
        with database.write("registry") as tx:
            for content in map(str.encode, devices):
                registry.apply(tx, document.read(content, "device.toml"), content, CLOCK, FakeClock().now())
        database.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def run(self, messages: Iterable[bytes]) -> Result:
        """Take the messages one after the other on an empty database."""
        self.begin()
        answers: list[dict[str, Any]] = []
        for raw in messages:
            answer = self.take(raw)
            answers.append(_answered(answer, answers) | {"state": self._state()})
        return self._result(answers)

    def take(self, raw: bytes) -> bytes | None:
        """Take one message and return its acknowledgement; a second later the next may come."""
        clock = self._clock
        arrival = Arrival(clock.now(), "127.0.0.1", 40000)
        answer = self._flows.take_message(raw, arrival, partial(acknowledgement, raw, clock))
        clock.advance(1.0)
        return answer

    def begin(self) -> None:
        """Put the database and the clock back as they were."""
        self.database.close()  # its connections, not itself
        for left in self._folder.glob(f"{self._file.name}*"):
            left.unlink()
        shutil.copyfile(self._template, self._file)
        self._clock.instant = FakeClock().instant

    def _state(self) -> str:
        with self.database.read() as tx:
            newest = inbox.entries(tx, limit=1)
        return newest[0].state.value if newest else ""

    def _result(self, answers: list[dict[str, Any]]) -> Result:
        with self.database.read() as tx:
            items = find.items(tx, Viewer(), registry_stations(registry.load(tx)))
            known = orders.orders(tx, 100)
        shown = [{key: value for key, value in answer.items() if key != "raw"} for answer in answers]
        return Result(shown, [_flat(item) for item in items], [_order(order) for order in reversed(known)])


def _source(name: str, habit: str) -> str:
    return f'[[hl7.sources]]\nname = "{name.lower()}"\nsending_application = "{name}"\n{habit}\n'


def _answered(answer: bytes | None, before: list[dict[str, Any]]) -> dict[str, Any]:
    if answer is None:
        return {"code": "", "raw": answer}
    said, header = read_acknowledgement(answer), read_header(answer)
    assert header is not None
    kind = "^".join(filter(None, (header.message_code, header.trigger, header.structure)))
    found: dict[str, Any] = {
        "code": said.code,
        "control": said.control_id,
        "type": kind,
        "version": header.version,
        "raw": answer,
    }
    earlier = [number for number, one in enumerate(before) if one["raw"] == answer]
    found |= {"same_as": earlier[0]} if earlier else {}
    found |= {"warning": True} if said.text and said.code in ("AA", "CA") else {}
    if said.errors:
        located = any(line.startswith(b"ERR||") for line in answer.split(b"\r"))
        error = said.errors[0]
        found |= {"error": error.code, "location": error.location, "layout": "ERR-2" if located else "ERR-1"}
    return found


def _flat(item: WorklistItem) -> dict[str, Any]:
    step = _values(step_entity(item)) | {key: value for key, value in step_keywords_of(item).items() if value}
    return {key: value for key, value in (_values(answer_entity(item)) | step).items() if key != STEP_SEQUENCE}


def _values(entity: Entity) -> dict[str, Any]:
    found: dict[str, Any] = {key: "\\".join(values) for key, values in entity.values.items()}
    for key, items in entity.sequences.items():
        found[key] = [["\\".join(values) for values in item.values.values()] for item in items]
    return found


def _order(stored: StoredOrder) -> dict[str, Any]:
    return {
        "AccessionNumber": stored.order.accession_number,
        "canceled": stored.canceled,
        "generation": stored.generation,
        "steps": {step.scheduled_procedure_step_id: step.status.value for step in stored.order.steps},
    }
