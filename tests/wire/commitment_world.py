"""The product's flows over real sockets, driven step by step: a PACS that commits as told, a console that asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF

from broker.alerts import store as alerts
from broker.audit.model import Actor, ActorKind
from broker.commitment.devices import store as requests
from broker.commitment.devices.model import DeviceRequest
from broker.commitment.proof import store as proofs
from broker.commitment.proof.model import Proof
from broker.commitment.proof.worker import Callers
from broker.database import METADATA, Database, sqlite_url
from broker.delivery import store as deliveries
from broker.delivery.model import Delivery
from broker.dimse.acceptor import Server
from broker.dimse.limits import Limits
from broker.dimse.requestor import EngineRequestor
from broker.environments import profile as profiles
from broker.environments.model import Destination
from broker.listeners.dicom import Services
from broker.pipeline import Flows
from broker.registry import store as registry
from broker.registry.cache import RegistryCache
from broker.registry.document import read
from broker.registry.model import Binding
from broker.spool import store as spool_index
from broker.spool.spool import Spool
from tests.conftest import FakeClock
from tests.peers.archive import INSTANCE, PUSH, Archive
from tests.peers.dcmtk import Node
from tests.peers.processes import wait_for
from tests.peers.raw_sender import DataSet, send
from tests.peers.steady import steady
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set

QUICK = Limits(connect=6.0, associate=6.0, send=6.0, response=10.0, answer=2.0, artim=0.5)
ACTOR = Actor(ActorKind.OS_USER, "ada")
TITLE = "US1"

PROFILE = """
name = "test"
kind = "test"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 0
[dicom]
host = "127.0.0.1"
port = 0
ae_title = "BROKER"
aliases = ["OLD_PACS"]
[http]
host = "127.0.0.1"
port = 0
{keys}
"""
DESTINATION = """
[[destinations]]
name = "{name}"
protocol = "dimse"
host = "127.0.0.1"
port = {port}
ae_title = "{title}"
{keys}
"""
COMMITMENT = "[commitment]\nwait_seconds = 1\n"


def destination(pacs: Archive, keys: str = 'proof = "commitment"', name: str = "pacs") -> str:
    """Return the TOML of a destination."""
    return DESTINATION.format(name=name, port=pacs.port, title=pacs.ae_title, keys=keys)


def routed(*names: str) -> str:
    """Return the TOML of a route to all of them."""
    return f"[[routes]]\nto = [{', '.join(repr(name) for name in names)}]\n"


@dataclass
class World:
    """The flows of one environment, a listener, and a clock that moves when told to."""

    folder: Path
    keys: str
    clock: FakeClock = field(default_factory=FakeClock)
    mode: str = "proxy"
    report: str = "either"

    def __post_init__(self) -> None:
        file = self.folder / "test.toml"
        file.write_text(PROFILE.format(keys=COMMITMENT + self.keys))
        self.profile = profiles.read(file)
        self.profile.state.mkdir()
        self.database = Database(sqlite_url(self.folder / "broker.db"))
        METADATA.create_all(self.database.engine)
        self.spool = Spool(self.profile.spool)
        self.flows = Flows(self.profile, self.database, RegistryCache(self.database), self.spool, self.clock)
        self.server = Server("127.0.0.1", 0, Services(self.flows), self.clock)
        self.port = self.server.start()
        self._apply()

    def _apply(self) -> None:
        content = (
            f'name = "us-1"\nmodality = "US"\nae_titles = ["{TITLE}"]\n'
            f'[commitment]\nmode = "{self.mode}"\nreport = "{self.report}"\n'
        ).encode()
        with self.database.write("registry") as tx:
            registry.apply(tx, read(content, "us-1.toml"), content, ACTOR, self.clock.now())

    def bind(self, port: int) -> None:
        with self.database.write("registry") as tx:
            registry.bind(tx, "us-1", Binding("127.0.0.1", port), ACTOR, self.clock.now())

    def close(self) -> None:
        self.server.stop(2.0)
        self.database.close()

    # --- what the processes do by the clock --------------------------------------------------------------------------

    def store(self, *uids: str, calling: str = TITLE) -> None:
        for uid in uids:
            item = DataSet(US_IMAGE, uid, EXPLICIT, data_set(uid))
            assert send(Node(self.port, "BROKER"), calling, item) == 0

    def deliver(self) -> None:
        for each in self.profile.destinations:
            self.flows.deliver(each, EngineRequestor(QUICK))

    def prove(self, after: float = 6.0) -> None:
        """Ask every destination for what is due after so many seconds."""
        self.clock.advance(after)
        for each in self.profile.destinations:
            self.flows.commitment.prove(each, Callers(EngineRequestor(QUICK)), lambda: False)

    def send_reports(self) -> None:
        self.flows.report_here(self.server.notify)
        self.flows.commitment.report_anew(EngineRequestor(QUICK))

    # --- what there is ---------------------------------------------------------------------------------------------

    def destination(self, name: str = "pacs") -> Destination:
        found = self.profile.destination(name)
        assert found is not None
        return found

    def proofs(self) -> list[Proof]:
        with self.database.read() as tx:
            return list(proofs.of_deliveries(tx, [each.id for each in deliveries.deliveries(tx)]).values())

    def states(self) -> dict[str, str]:
        return {proof.reference.sop_instance_uid: proof.state.value for proof in self.proofs()}

    def deliveries(self) -> list[Delivery]:
        with self.database.read() as tx:
            return deliveries.deliveries(tx)

    def requests(self) -> list[DeviceRequest]:
        with self.database.read() as tx:
            return requests.requests(tx)

    def held(self) -> int:
        with self.database.read() as tx:
            count = spool_index.counts(tx).instances
        assert count == len(list(self.spool.directory.rglob("*.dcm")))
        return count

    def alerts(self) -> dict[str, str]:
        with self.database.read() as tx:
            return {alert.event: alert.text for alert in alerts.open_alerts(tx)}


@contextmanager
def world(folder: Path, keys: str, **settings: Any) -> Iterator[World]:
    """Run a world in `folder`; `keys` are its destinations and routes."""
    made = World(folder, keys, **settings)
    try:
        yield made
    finally:
        made.close()


# --- a console -----------------------------------------------------------------------------------------------------


@dataclass
class Console:
    """A modality made of pynetdicom: asks for commitment, and takes reports wherever they come."""

    title: str = TITLE
    port: int = 0
    status: int = 0x0000  # its answer to reports
    reports: list[tuple[str, int, Dataset]] = field(default_factory=list)  # called by, event type, information
    callers: list[str] = field(default_factory=list)  # who called it
    _answered: int = 0  # of the reports

    def handle(self, event: evt.Event) -> tuple[int, None]:
        acceptor_is_us = event.assoc.is_acceptor
        peer = event.assoc.requestor if acceptor_is_us else event.assoc.acceptor
        self.reports.append((peer.ae_title.strip(), event.request.EventTypeID, event.event_information))
        return self.status, None

    def note_sent(self, event: evt.Event) -> None:
        """Take note that an answer to a report is on its way: pynetdicom fails where a release overtakes it."""
        if isinstance(event.pdu, P_DATA_TF):
            self._answered = len(self.reports)

    @contextmanager
    def calling(self, port: int, called: str = "BROKER") -> Iterator[Association]:
        entity = AE(self.title)
        entity.acse_timeout = entity.dimse_timeout = 10
        entity.add_requested_context(PUSH)
        association = steady(entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=self._handlers()))
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def ask(self, association: Association, transaction: str, *uids: str, sop_class: str = US_IMAGE) -> int:
        status, _ = association.send_n_action(action(transaction, *uids, sop_class=sop_class), 1, PUSH, INSTANCE)
        return int(status.Status)

    @contextmanager
    def listening(self, *, roles: bool = True) -> Iterator[int]:
        """Listen for reports on associations of the broker's."""
        entity = AE(self.title)
        entity.require_called_aet = True
        if roles:
            entity.add_supported_context(PUSH, scu_role=True, scp_role=True)
        else:
            entity.add_supported_context(PUSH)
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=self._handlers())
        self.port = server.socket.getsockname()[1]
        try:
            yield self.port
        finally:
            server.shutdown()

    def wait(self, count: int = 1) -> None:
        wait_for("the report came and is answered", lambda: min(len(self.reports), self._answered) >= count, 10)

    def _handlers(self) -> list[tuple[Any, Any]]:
        return [(evt.EVT_N_EVENT_REPORT, self.handle), (evt.EVT_PDU_SENT, self.note_sent)]


def action(transaction: str, *uids: str, sop_class: str = US_IMAGE) -> Dataset:
    """Return the information of an N-ACTION."""
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = Sequence([])
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def committed(information: Dataset) -> set[str]:
    """Return the instances that a report says are kept."""
    return {str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence", [])}


def failed(information: Dataset) -> dict[str, int]:
    """Return those that it says are not, and why."""
    items = information.get("FailedSOPSequence", [])
    return {str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in items}
