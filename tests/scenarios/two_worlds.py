"""Test and Production side by side in one process, each with its database, spool, listener and folder as its PACS."""

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from broker.alerts import store as alerts
from broker.audit.model import CLOCK
from broker.clock import SystemClock
from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery.model import Delivery, DeliveryState
from broker.dimse.acceptor import Server
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import AcceptedAssociation, AssociationRequest
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.inbox import store as inbox
from broker.inbox.model import Arrival, EntryState
from broker.listeners.dicom import Services
from broker.listeners.mllp import acknowledgement
from broker.migrations import open_database
from broker.orders import store as orders
from broker.pipeline import Flows
from broker.procedures import received
from broker.procedures import store as steps
from broker.procedures.forward import store as forward
from broker.procedures.model import Received
from broker.registry import document
from broker.registry import store as registry
from broker.registry.cache import RegistryCache
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.tripwires.model import OTHER_WORLD
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from tests.peers.broker import MODALITY
from tests.peers.dcmtk import Node
from tests.peers.processes import free_port
from tests.peers.raw_sender import DataSet, send
from tests.torture import hl7_messages
from tests.unit.procedures import building
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set

DEVICE = "US_ROOM2"
TITLES = {"test": "BROKER_TEST", "production": "BROKER"}
PROFILE = """\
name = "{name}"
kind = "{name}"
site = "General Hospital"
timezone = "Europe/Berlin"
state = "{name}-state"
[hl7]
host = "127.0.0.1"
port = 0
processing_ids = ["{processing_id}"]
[dicom]
host = "127.0.0.1"
port = {port}
ae_title = "{title}"
[http]
host = "127.0.0.1"
port = 0
[worlds]
key = {{ file = "site.key" }}
other = "{other}.toml"
test_patients = [{{ id = "H999", issuer = "HOSP" }}]
test_names = ["TEST^*", "*^PHANTOM*"]
[[destinations]]
name = "main-pacs"
protocol = "folder"
path = "{name}-pacs"
[[routes]]
to = ["main-pacs"]
"""


@dataclass
class Side:
    """One of the two worlds, running."""

    profile: Profile
    port: int
    number: int = 0
    database: Database = field(init=False)
    flows: Flows = field(init=False)

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.database = Database(self.profile.database_url)
        spool = FileSpool(self.profile.spool)
        self.flows = Flows(self.profile, self.database, RegistryCache(self.database), spool, clock)
        self.flows.write_worlds()
        self.flows.watch_worlds()
        self._server = Server("127.0.0.1", self.port, Services(self.flows), clock)
        self._server.start()

    def close(self) -> None:
        """End it."""
        self._server.stop(1.0)
        self.database.close()

    # --- what is sent to it ------------------------------------------------------------------------------------------

    def order(
        self, number: str, *, study: str = "", patient: str = "", name: str = "", accession: str = "", kind: str = "NW"
    ) -> str:
        """Send an order; return how it stands."""
        self.number += 1
        further = (hl7_messages.segment("ZDS", {1: f"{study}^100^Application^DICOM"}),) if study else ()
        of_pid = {3: f"{patient or 'H' + number}^^^HOSP^MR", 5: name or "Doe^Jane"}
        raw = hl7_messages.order(
            number,
            control=f"C{self.number}",
            msh={11: self.profile.kind.value[0].upper()},
            of_pid=of_pid,
            of_orc={1: kind},
            of_obr={18: accession} if accession else {},
            further=further,
        )
        return self.message(raw)

    def message(self, raw: bytes) -> str:
        """Send a message; return how it stands: taken, held or refused."""
        clock = SystemClock()
        self.flows.take_message(raw, Arrival(clock.now(), "127.0.0.1", 4000), partial(acknowledgement, raw, clock))
        with self.database.read() as tx:
            state = inbox.entries(tx, limit=1)[0].state
        return {EntryState.APPLIED: "taken", EntryState.PERSON: "held"}.get(state, state.value)

    def image(self, uid: str, *, calling: str = DEVICE, **values: str) -> str:
        """Send an image; return what becomes of it: taken, held or handed over."""
        changes: dict[str, Any] = {keyword: value.encode() for keyword, value in values.items()}
        content = data_set(uid, **changes)
        title = TITLES[self.profile.name]
        assert send(Node(self.port, title), calling, DataSet(US_IMAGE, uid, EXPLICIT, content)) == 0
        return self.became(uid)

    def became(self, uid: str) -> str:
        """Return what becomes of an image that it has."""
        owed = self.owed(uid)
        if [one.destination for one in owed] == [OTHER_WORLD]:
            return "handed over"
        return "held" if any(one.state is DeliveryState.HELD for one in owed) else "taken"

    def create(self, uid: str, *, calling: str = DEVICE, patient: str = "HX", **item: str) -> str:
        """Begin a performed step; return what becomes of it: taken or handed over."""
        items = building.item(**({"StudyInstanceUID": "1.2.999", "AccessionNumber": ""} | item))
        content = building.encoded(building.creation(items, PatientID=patient))
        return self._step(received.create(uid, content, IMPLICIT_LITTLE_ENDIAN), calling)

    def complete(self, uid: str, *, calling: str = DEVICE) -> str:
        """End a performed step; return the same."""
        return self._step(received.set_(uid, building.encoded(building.ending()), IMPLICIT_LITTLE_ENDIAN), calling)

    def _step(self, request: Received, calling: str) -> str:
        self.number += 1
        title = TITLES[self.profile.name]
        asked = AssociationRequest(calling, title, "127.0.0.1", 104, "1.2.3", "PEER", ())
        association = AcceptedAssociation(f"{self.number:026}", asked, ())
        self.flows.begin(association)
        self.flows.perform_step(association, request)
        with self.database.read() as tx:
            known = steps.find(tx, request.sop_instance_uid)
            assert known is not None
            owed = forward.of_step(tx, known.id)
        return "handed over" if owed and owed[-1].destination == OTHER_WORLD else "taken"

    def hand_over(self) -> None:
        """Send what is owed to the other world."""
        destination = self.flows.worlds.destination
        assert destination is not None
        self.flows.deliver(destination, EngineRequestor())
        self.flows.pass_on(destination, EngineRequestor())

    # --- what came of it ---------------------------------------------------------------------------------------------

    def owed(self, uid: str) -> list[Delivery]:
        """Return what is owed of an image."""
        with self.database.read() as tx:
            found = spool_store.find_by_sop(tx, uid)
            return [one for each in found for one in deliveries.of_instance(tx, each.id)]

    def step_status(self, uid: str) -> str:
        """Return how a performed step stands."""
        with self.database.read() as tx:
            known = steps.find(tx, uid)
        return known.step.status.value if known else ""

    def study(self) -> str:
        """Return the Study Instance UID of its newest order."""
        with self.database.read() as tx:
            return orders.orders(tx, 1)[0].order.study_instance_uid

    def events(self) -> list[str]:
        """Return the events of which a person is told."""
        with self.database.read() as tx:
            return [one.event for one in alerts.open_alerts(tx)]


class TwoWorlds:
    """Both, in a folder. `template` is a migrated database with the device registered."""

    def __init__(self, folder: Path, template: Path) -> None:
        (folder / "site.key").write_text("the key of this site")
        ports = {name: free_port() for name in TITLES}
        for name, other in (("test", "production"), ("production", "test")):
            (folder / f"{name}.toml").write_text(
                PROFILE.format(
                    name=name, other=other, port=ports[name], title=TITLES[name], processing_id=name[0].upper()
                )
            )
            (folder / f"{name}-state").mkdir()
            shutil.copyfile(template, folder / f"{name}-state" / "broker.db")
        made = {name: Side(profiles.read(folder / f"{name}.toml"), ports[name]) for name in TITLES}
        self.test, self.production = made["test"], made["production"]

    def of(self, into: str) -> tuple[Side, Side]:
        """Return the world that something leaks into, and the one it began in."""
        return (self.production, self.test) if into == "production" else (self.test, self.production)

    def close(self) -> None:
        """End both."""
        self.test.close()
        self.production.close()


def make_template(folder: Path) -> Path:
    """Return a migrated database with the device registered."""
    (folder / "site.key").write_text("the key")
    file = folder / "test.toml"
    file.write_text(PROFILE.format(name="test", other="none", port=0, title="BROKER", processing_id="T"))
    profile = profiles.read(file)
    database = open_database(profile)
    content = MODALITY.encode()
    with database.write("registry") as tx:
        registry.apply(tx, document.read(content, "device.toml"), content, CLOCK, SystemClock().now())
    database.close()
    return profile.state / "broker.db"
