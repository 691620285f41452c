"""A spool, a destination by STOW-RS and a server of the tests' own, without a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.senders import stow
from broker.delivery.senders.outcome import Outcome, Way
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.requestor import EngineRequestor
from broker.environments.model import CallTls, Destination, Protocol, World
from broker.environments.stow import StowSettings
from broker.identifiers import AETitle
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance
from tests.peers.web import Web, web
from tests.unit.spool.datasets import RECEIVED, data_set, facts, pieces


@dataclass
class Desk:
    spool: FileSpool
    web: Web
    settings: StowSettings = field(default_factory=lambda: StowSettings(timeout_seconds=5))
    url: str = ""
    tls: CallTls | None = None
    batch: list[tuple[Delivery, SpooledInstance]] = field(default_factory=list)
    peers: list[StowPeer] = field(default_factory=list)

    @property
    def way(self) -> Way:
        destination = Destination(
            "pacs", Protocol.STOW, World.TEST, url=self.url or self.web.url, tls=self.tls, stow=self.settings
        )
        self.peers.append(StowPeer(destination))
        return Way(destination, AETitle("BROKER"), EngineRequestor(), self.spool, self.peers[-1])

    def owe(self, uid: str, **options: int) -> SpooledInstance:
        instance = self.spool.keep(pieces(data_set(uid, **options), 65536), facts(uid))
        number = len(self.batch) + 1
        delivery = Delivery(number, instance.id, "pacs", DeliveryState.SENDING, 0, RECEIVED, RECEIVED, "")
        self.batch.append((delivery, instance))
        return instance

    def owe_all(self, *uids: str) -> None:
        for uid in uids:
            self.owe(uid)

    def send(self, **settings: int) -> dict[str, Outcome]:
        """Send all that is owed; return the outcome of each SOP Instance UID, in the order in which they came."""
        self.settings = replace(self.settings, **settings)
        uids = {delivery.id: instance.facts.sop_instance_uid for delivery, instance in self.batch}
        return {uids[delivery.id]: outcome for delivery, outcome in stow.send(self.batch, self.way)}


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    with web() as server:
        made = Desk(FileSpool(folder / "spool"), server)
        try:
            yield made
        finally:
            for peer in made.peers:
                peer.close()
