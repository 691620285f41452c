"""Test and Production side by side in one process, each with its database, spool, listener and folder as its PACS."""

import shutil
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pynetdicom import AE

from broker.alerts import store as alerts
from broker.audit.model import CLOCK
from broker.clock import SystemClock
from broker.commitment.devices import store as commitments
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
from broker.orders.sources import Sources
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
from broker.spool.spool import Spool
from broker.tripwires.model import OTHER_WORLD
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from tests.bench.consoles import Console, Question
from tests.peers.archive import INSTANCE as PUSH_INSTANCE
from tests.peers.archive import PUSH
from tests.peers.broker import MODALITY
from tests.peers.dcmtk import Node
from tests.peers.processes import free_port
from tests.peers.raw_sender import DataSet, send
from tests.peers.steady import steady
from tests.torture import hl7_messages
from tests.unit.procedures import building
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import RawPeer

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
test_patients = [{{ id = "{listed}", issuer = "HOSP" }}]
test_names = ["TEST^*", "*^PHANTOM*"]
[[destinations]]
name = "main-pacs"
protocol = "folder"
path = "{name}-pacs"
[[routes]]
to = ["main-pacs"]
"""
LISTED = "H999"
PROCESSING_ID = "processing-id"
"""Stands for what no row of the table guards: MSH-11, by the profile's `processing_ids`."""


class _Files(FileSpool):
    """A spool of single files, which are indexed before they are answered."""

    def await_index(self, _: float) -> None:
        """Nothing is waited for."""


@dataclass
class Side:
    """One of the two worlds, running."""

    profile: Profile
    port: int
    number: int = 0
    space: str = ""  # keeps the numbers and UIDs of one attempt apart from another's
    database: Database = field(init=False)
    flows: Flows = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.profile.database_url)
        self._serve(_Files(self.profile.spool))

    def restart(self) -> None:
        """Start again as after a power cut, with a spool of segments, which are indexed only when that is asked for."""
        self._server.stop(1.0)
        spool = Spool(self.profile.spool)
        spool.begin()
        self._serve(spool)

    def _serve(self, spool: Any) -> None:
        clock = SystemClock()
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

    def order(self, number: str, *, kind: str = "NW", **values: str) -> str:
        """Send an order, with `study`, `patient`, `name`, `accession` or `msh11`; return how it stands."""
        study, number = self.uid(values.get("study", "")), self.text(number)
        further = (hl7_messages.segment("ZDS", {1: f"{study}^100^Application^DICOM"}),) if study else ()
        raw = hl7_messages.order(
            number,
            control=self._control(),
            msh={11: values.get("msh11", self.processing_id)},
            of_pid=self._patient(values.get("patient", ""), number, values.get("name", "")),
            of_orc={1: kind},
            of_obr={18: self.text(values["accession"])} if "accession" in values else {},
            further=further,
        )
        return self.message(raw)

    def imaging_order(self, number: str, study: str, patient: str = "") -> str:
        """Send an OMI^O23 with the study in its IPC; return how it stands."""
        number = self.text(number)
        ipc = {1: f"A{number}", 2: f"R{number}", 3: self.uid(study), 4: "S1", 5: "US"}
        raw = hl7_messages.encoded(
            hl7_messages.header("OMI^O23^OMI_O23", self._control(), {11: self.processing_id}),
            hl7_messages.pid(number, self._patient(patient, number, "")),
            hl7_messages.orc(number, {7: ""}),
            hl7_messages.segment("TQ1", {1: "1", 7: "20260201093000", 9: "R"}),
            hl7_messages.obr(number, {18: "", 19: "", 20: "", 24: ""}),
            hl7_messages.segment("IPC", ipc),
        )
        return self.message(raw)

    def patient(self, event: str, patient: str, *, merged: str = "", name: str = "") -> str:
        """Send an ADT message about a patient; return how it stands."""
        lines = [
            hl7_messages.header(f"ADT^{event}", self._control(), {11: self.processing_id}),
            hl7_messages.segment("EVN", {1: event, 2: "20260201080000+0100"}),
            hl7_messages.pid("", self._patient(patient, "", name)),
        ]
        if merged:
            lines.append(hl7_messages.segment("MRG", {1: f"{self.text(merged)}^^^HOSP^MR"}))
        return self.message(hl7_messages.encoded(*lines, hl7_messages.segment("PV1", {1: "1", 2: "O"})))

    @property
    def processing_id(self) -> str:
        """MSH-11 of this world."""
        return self.profile.kind.value[0].upper()

    def uid(self, value: str) -> str:
        """Return a UID as it is in this attempt."""
        return f"{value}.{self.space}" if value and self.space else value

    def text(self, value: str) -> str:
        """Return a number or identifier likewise; a patient who is listed is the same in each."""
        return f"{value}N{self.space}" if value and value != LISTED and self.space else value

    def _patient(self, patient: str, number: str, name: str) -> dict[int, str]:
        return {3: f"{self.text(patient) if patient else 'H' + number}^^^HOSP^MR", 5: name or "Doe^Jane"}

    def _control(self) -> str:
        self.number += 1
        return f"C{self.number}"

    def message(self, raw: bytes) -> str:
        """Send a message; return how it stands: taken, held or refused."""
        clock = SystemClock()
        self.flows.take_message(raw, Arrival(clock.now(), "127.0.0.1", 4000), partial(acknowledgement, raw, clock))
        with self.database.read() as tx:
            state = inbox.entries(tx, limit=1)[0].state
        return {EntryState.APPLIED: "taken", EntryState.PERSON: "held"}.get(state, state.value)

    def image(self, uid: str, *, calling: str = DEVICE, padding: str = "", **values: str) -> str:
        """Send an image; return what becomes of it: taken, held or handed over. `padding` follows each value."""
        uid = self.uid(uid)
        named = {key: self.uid(text) if key.endswith("UID") else self.text(text) for key, text in values.items()}
        changes: dict[str, Any] = {key: (text + padding if text else "").encode() for key, text in named.items()}
        content = data_set(uid, **changes)
        title = TITLES[self.profile.name]
        assert send(Node(self.port, title), calling, DataSet(US_IMAGE, uid, EXPLICIT, content)) == 0
        return self._became(uid)

    def became(self, uid: str) -> str:
        """Return what has become of an image that it has."""
        return self._became(self.uid(uid))

    def _became(self, uid: str) -> str:
        owed = self._owed(uid)
        if [one.destination for one in owed] == [OTHER_WORLD]:
            return "handed over"
        return "held" if any(one.state is DeliveryState.HELD for one in owed) else "taken"

    def create(self, uid: str, *, calling: str = DEVICE, patient: str = "HX", further: str = "", **item: str) -> str:
        """Begin a performed step, with a `further` study where one is given; return what becomes of it."""
        stated = {"StudyInstanceUID": "1.2.999", "AccessionNumber": ""} | item
        named = {key: self.uid(text) if key.endswith("UID") else self.text(text) for key, text in stated.items()}
        items = [building.item(**named)]
        if further:
            items.append(building.item(StudyInstanceUID=self.uid(further), AccessionNumber=""))
        content = building.encoded(building.creation(*items, PatientID=self.text(patient)))
        return self._step(received.create(self.uid(uid), content, IMPLICIT_LITTLE_ENDIAN), calling)

    def complete(self, uid: str, *, calling: str = DEVICE, status: str = "COMPLETED") -> str:
        """End a performed step; return the same."""
        content = building.encoded(building.ending(status))
        return self._step(received.set_(self.uid(uid), content, IMPLICIT_LITTLE_ENDIAN), calling)

    def call(self, calling: str = DEVICE) -> str:
        """Associate and verify, as a console does first; return whether that was taken or refused."""
        with RawPeer.connect(self.port) as peer:
            peer.send(raw_peer.rq(calling=calling).replace(b"BROKER".ljust(16), _padded(self.profile), 1))
            if peer.read()[0] != 2:
                return "refused"
            peer.send(raw_peer.echo())
            peer.read()
            peer.send(raw_peer.RELEASE_REQUEST)
        return "taken"

    def query(self) -> str:
        """Ask for the worklist; return whether that was taken."""
        return "taken" if Console(self.port, TITLES[self.profile.name], Question(DEVICE, b"", 0))() >= 0 else ""

    def commit(self, uid: str) -> str:
        """Ask for storage commitment of an image; return whether it is taken, or refused as one that is not here."""
        asked, ae = Dataset(), AE(DEVICE)
        asked.TransactionUID = f"2.25.{self.uid('1').replace('.', '')}{self.number}"
        asked.ReferencedSOPSequence = [building.reference(US_IMAGE, self.uid(uid))]
        ae.add_requested_context(PUSH)
        link = steady(ae.associate("127.0.0.1", self.port, ae_title=TITLES[self.profile.name]))
        assert link.is_established
        assert link.send_n_action(asked, 1, PUSH, PUSH_INSTANCE)[0].Status == 0
        link.release()
        with self.database.read() as tx:
            request = commitments.by_transaction(tx, asked.TransactionUID)[-1]
            known = spool_store.find_by_sop(tx, self.uid(uid))
            assert commitments.lines(tx, request.id)
        return "taken" if known else "refused"

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
        return self._owed(self.uid(uid))

    def _owed(self, uid: str) -> list[Delivery]:
        with self.database.read() as tx:
            found = spool_store.find_by_sop(tx, uid)
            return [one for each in found for one in deliveries.of_instance(tx, each.id)]

    def step_status(self, uid: str) -> str:
        """Return how a performed step stands."""
        with self.database.read() as tx:
            known = steps.find(tx, self.uid(uid))
        return known.step.status.value if known else ""

    def study(self) -> str:
        """Return the Study Instance UID of its newest order."""
        with self.database.read() as tx:
            return orders.orders(tx, 1)[0].order.study_instance_uid

    def switch_off(self, tripwire: str = "") -> None:
        """Switch one tripwire off, or none."""
        self.flows.worlds._off = frozenset({tripwire} if tripwire else ())
        taken = ("P", "T", "D", "") if tripwire == PROCESSING_ID else self.profile.hl7.processing_ids
        default = replace(self.profile.hl7.default, processing_ids=taken)
        hl7 = replace(self.profile.hl7, processing_ids=taken, default=default)
        self.flows._intake._sources = Sources(hl7, self.profile.name)

    def forget_alerts(self) -> None:
        """Let nobody have been told of anything."""
        with self.database.write("alerts") as tx:
            tx.exec_driver_sql("DELETE FROM alert")

    def events(self) -> list[str]:
        """Return the events of which a person is told."""
        with self.database.read() as tx:
            return [one.event for one in alerts.open_alerts(tx)]


class TwoWorlds:
    """Both, in a folder. `template` is a migrated database with the device registered."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._attempts = 0
        (folder / "site.key").write_text("the key of this site")
        ports = {name: free_port() for name in TITLES}
        for name, other in (("test", "production"), ("production", "test")):
            (folder / f"{name}.toml").write_text(
                PROFILE.format(
                    name=name,
                    other=other,
                    port=ports[name],
                    title=TITLES[name],
                    processing_id=name[0].upper(),
                    listed=LISTED,
                )
            )
            (folder / f"{name}-state").mkdir()
            shutil.copyfile(template, folder / f"{name}-state" / "broker.db")
        made = {name: Side(profiles.read(folder / f"{name}.toml"), ports[name]) for name in TITLES}
        self.test, self.production = made["test"], made["production"]

    def of(self, into: str) -> tuple[Side, Side]:
        """Return the world that something leaks into, and the one it began in."""
        return (self.production, self.test) if into == "production" else (self.test, self.production)

    def attempt(self, into: str, without: str = "") -> tuple[Side, Side]:
        """Return the same for the next attempt: nothing of an earlier one is in its way."""
        self._attempts += 1
        for side in (self.test, self.production):
            side.space = f"{self._attempts}"
            side.switch_off(without)
            (side.profile.state / "identifiers").unlink(missing_ok=True)  # an attempt may have spoilt it
            side.flows.write_worlds()
        for side in (self.test, self.production):
            side.flows.worlds.seen(())
            side.flows.worlds.take_problems()
            side.forget_alerts()
        return self.of(into)

    def close(self) -> None:
        """End both."""
        self.test.close()
        self.production.close()


def _padded(profile: Profile) -> bytes:
    return str(profile.dicom.ae_title).ljust(16).encode()


def make_template(folder: Path) -> Path:
    """Return a migrated database with the device registered."""
    (folder / "site.key").write_text("the key")
    file = folder / "test.toml"
    file.write_text(PROFILE.format(name="test", other="none", port=0, title="BROKER", processing_id="T", listed=LISTED))
    profile = profiles.read(file)
    database = open_database(profile)
    content = MODALITY.encode()
    with database.write("registry") as tx:
        registry.apply(tx, document.read(content, "device.toml"), content, CLOCK, SystemClock().now())
    database.close()
    return profile.state / "broker.db"
