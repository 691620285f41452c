"""A test environment with one device, and its traffic as other stages record it. Every patient is invented."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from broker import __version__
from broker.associations import store as association_rows
from broker.associations.model import Association, Context
from broker.audit.model import Actor, ActorKind
from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery.state import Delivered
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.promotion import facts
from broker.promotion.recorded import noting
from broker.promotion.recorded import store as recorded
from broker.promotion.recorded.model import Echo, Way
from broker.promotion.seen import Facts
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding, Modality
from broker.spool import store as spool
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.worklist import store as worklist
from broker.worklist.model import QueryResult
from tests.conftest import FakeClock

ANN = Actor(ActorKind.PERSON, "ann")
DOCUMENT = b'name = "us-room-2"\nmodality = "US"\nae_titles = ["US2"]\n'
HOST = "10.0.0.9"
MADE = {"Manufacturer": "Maker", "ManufacturerModelName": "Model", "DeviceSerialNumber": "S1"}
_PROFILE = """\
name = "test"
kind = "test"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 2575
{hl7}
[dicom]
host = "127.0.0.1"
port = 11112
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 8081
{more}
[[destinations]]
name = "pacs"
protocol = "dimse"
host = "127.0.0.1"
port = 4242
ae_title = "ORTHANC"
[[routes]]
to = ["pacs"]
"""


class World:
    """One environment. What is done, is done at the clock's instant, a minute each."""

    def __init__(self, database: Database, clock: FakeClock, folder: Path) -> None:
        self.database, self.clock, self.folder = database, clock, folder
        self.profile = self.configured()
        self._number = 0
        self.apply()
        self.bind()

    def configured(self, more: str = "", hl7: str = "") -> Profile:
        """Serve with these further lines in the profile, from now on."""
        file = self.folder / "test.toml"
        file.write_text(_PROFILE.format(more=more, hl7=hl7))
        self.profile = profiles.read(file)
        noting.note(self.database, self.profile, self.clock)
        return self.profile

    def apply(self, content: bytes = DOCUMENT) -> None:
        with self.database.write("registry") as tx:
            registry.apply(tx, documents.read(content, "us"), content, ANN, self.clock.now())
        self._tick()

    def bind(self, host: str = HOST, port: int = 104) -> None:
        with self.database.write("registry") as tx:
            registry.bind(tx, "us-room-2", Binding(host, port), ANN, self.clock.now())
        self._tick()

    @property
    def device(self) -> Modality:
        with self.database.read() as tx:
            return registry.modality(tx, "us-room-2")

    def call(self, address: str = HOST, **changes: Any) -> str:
        """An association under the device's title; return its id."""
        self._number += 1
        row = Association(
            id=f"{self._number:026}",
            started=self.clock.now(),
            calling_ae_title="US2",
            called_ae_title="BROKER",
            address=address,
            implementation_class_uid="1.2.3",
            implementation_version_name="STACK_1",
            contexts=(Context("1.2.840.10008.1.1", "1.2.840.10008.1.2"),),
            device="us-room-2",
            revision=self.device.revision,
            software=__version__,
        )
        with self.database.write("associations") as tx:
            association_rows.add(tx, replace(row, **changes))
        self._tick()
        return row.id

    def echo(self, address: str = HOST, **changes: Any) -> None:
        association = self.call(address, **changes)
        echo = Echo("us-room-2", self.clock.now(), Way.RECEIVED, association)
        with self.database.write("associations") as tx:
            recorded.add_echo(tx, echo)

    def query(self, *items: int, address: str = HOST, **changes: Any) -> None:
        association = self.call(address, **changes)
        with self.database.write("associations") as tx:
            worklist.record_query(tx, association, self.clock.now(), QueryResult(0, items=items))

    def image(self, address: str = HOST, attributes: Mapping[str, str] | None = None, **changes: Any) -> str:
        """An image that is delivered; return its id."""
        association = self.call(address, **changes)
        received = ReceiptFacts(
            association, "US2", "BROKER", "us-room-2", "1.2.840.10008.5.1.4.1.1.6.1", f"1.5.{self._number}",
            "1.2.840.10008.1.2.1", self.clock.now(),
        )  # fmt: skip
        instance = SpooledInstance(
            id=f"{self._number:026}",
            facts=received,
            sha256=f"{self._number:064}",
            path="x",
            offset=0,
            length=1000,
            study_instance_uid="1.2.3",
            series_instance_uid="1.2.3.1",
            patient_id="P1",
            accession_number="A1",
            modality="US",
            attributes=dict(MADE if attributes is None else attributes),
        )
        with self.database.write("spool-index") as tx:
            spool.add(tx, instance)
            deliveries.owe(tx, instance.id, ("pacs",), self.clock.now())
        with self.database.write("delivery") as tx:
            for delivery, _ in deliveries.lease(tx, "pacs", self.clock.now(), 1, token="t", lease_seconds=60):
                deliveries.finish(tx, delivery.id, "t", Delivered(), status=0, now=self.clock.now())
        self._tick()
        return instance.id

    def facts(self) -> Facts:
        with self.database.read() as tx:
            return facts.read(tx, self.profile, self.device, self.clock.now())

    def _tick(self) -> None:
        self.clock.advance(timedelta(minutes=1).total_seconds())
