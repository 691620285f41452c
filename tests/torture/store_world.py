"""Storage and forwarding of the product in one process, its clock in our hand, and what must hold whatever happens.

The invariants are those of a store gateway: what was answered 0000 reaches every destination whole and unaltered (I1,
I2), once where its answer came (I3), never in part (I4); it stays in the spool until then (I5); nothing is parked
silently (I12).
"""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.alerts import store as alerts
from broker.clock import SystemClock
from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse import workers
from broker.dimse.acceptor import Server
from broker.dimse.limits import Limits
from broker.dimse.requestor import EngineRequestor
from broker.environments import profile as profiles
from broker.environments.model import Destination, Profile, Protocol
from broker.journal import configure
from broker.listeners.dicom import Services
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool import store as spool_store
from broker.spool.errors import DamagedInstance
from broker.spool.spool import Spool
from tests.conftest import FakeClock
from tests.peers.dcmtk import Node
from tests.peers.raw_sender import DataSet, send
from tests.torture.crashing import arrival, looked_at
from tests.torture.judge import Seen, print_of, violations, violations_at_the_end
from tests.torture.pacs import Pacs
from tests.torture.usage import Use, rested, used, uses
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set

_PROFILE = """\
name = "torture"
kind = "test"
site = "General Hospital"
timezone = "Europe/Berlin"
state = "state"
{database}
[hl7]
host = "127.0.0.1"
port = 0
[dicom]
host = "127.0.0.1"
port = 0
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 0
[policy]
unknown_callers = "accept"
{destinations}
[[routes]]
to = [{names}]
"""
_DESTINATION = """\
[[destinations]]
name = "{name}"
protocol = "dimse"
host = "127.0.0.1"
port = {port}
ae_title = "PACS"
proof = "none"
"""
QUICK = Limits(connect=2.0, associate=2.0, send=2.0, response=1.0, answer=2.0, artim=0.5, pdu=2.0, message=5.0)
_STEP = 700.0  # seconds: more than the longest wait between two tries
_IDLE = 1.0  # seconds that a free thread waits for work; the product's are 30
_OURS = "the product and its test"
_FINAL = (DeliveryState.DELIVERED, DeliveryState.PARKED)


@dataclass
class World:
    """The product, its PACS, and every instance that it has answered 0000."""

    folder: Path
    pacs: dict[str, Pacs]
    clock: FakeClock = field(default_factory=FakeClock)
    block: str = _DESTINATION  # of a destination in the profile
    database_url: str = ""  # where it is not the embedded one
    taken: dict[str, bytes] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        file = self.folder / "torture.toml"
        blocks = "".join(self.block.format(name=name, port=one.port) for name, one in self.pacs.items())
        names = ", ".join(f'"{name}"' for name in self.pacs)
        url = f'[database]\nurl = "{self.database_url}"' if self.database_url else ""
        file.write_text(_PROFILE.format(destinations=blocks, names=names, database=url))
        configure("torture", level=logging.CRITICAL)  # what is refused and parked here is what we want
        self.profile: Profile = profiles.read(file)
        self.database: Database = open_database(self.profile)
        self.spool = Spool(self.profile.spool)
        self.spool.begin()
        self.flows = Flows(self.profile, self.database, RegistryCache(self.database), self.spool, self.clock)
        self._server = Server("127.0.0.1", 0, Services(self.flows), SystemClock())
        self.port = self._server.start()
        self._requestor = EngineRequestor(QUICK)
        self._stow: dict[str, StowPeer] = {}
        self._idle, workers._IDLE = workers._IDLE, _IDLE
        self._base = self._uses()

    def close(self) -> None:
        """End everything."""
        self.leave()
        for peer in self._stow.values():
            peer.close()
        for one in self.pacs.values():
            one.close()

    def leave(self) -> None:
        """End the product; may be repeated."""
        workers._IDLE = self._idle
        self._server.stop(1.0)
        self.spool.end()
        self.database.close()

    def rest(self) -> None:
        """Demand that nothing was kept of what has ended: memory but for what we hold, files, threads (I10)."""
        found = rested(lambda: used(self._base, self._uses(), associations=0, parts=2))
        bad = violations(Seen((), {}, {}, used=found))
        assert not bad, bad[0]

    def _uses(self) -> dict[str, Use]:
        held = sum(map(len, self.taken.values())) + sum(
            len(one.content) for each in self.pacs.values() for one in each.kept
        )
        return {name: replace(use, peak=use.memory - held) for name, use in uses({_OURS: os.getpid()}).items()}

    def take(self, count: int, *, pixels: int = 64) -> list[str]:
        """Send so many new instances in; return their SOP Instance UIDs. Each is answered 0000."""
        uids = []
        for _ in range(count):
            uid = self.next_uid()
            content = data_set(uid, pixels=pixels)
            item = DataSet(US_IMAGE, uid, EXPLICIT, content)
            assert send(Node(self.port, "BROKER"), "US1", item) == 0
            self.taken[uid] = content
            uids.append(uid)
        self.flows.index_instances()
        return uids

    def try_to_take(self, count: int) -> list[str]:
        """Send new instances in, whatever comes back; return the UIDs of those that were answered 0000."""
        uids = []
        for _ in range(count):
            uid = self.next_uid()
            content = data_set(uid)
            with suppress(OSError, AssertionError):
                if send(Node(self.port, "BROKER"), "US1", DataSet(US_IMAGE, uid, EXPLICIT, content)) == 0:
                    self.taken[uid] = content
                    uids.append(uid)
        return uids

    def told(self) -> set[str]:
        """Return what open alerts are about."""
        with self.database.read() as tx:
            return {alert.subject for alert in alerts.open_alerts(tx)}

    def next_uid(self) -> str:
        """Return a SOP Instance UID that nothing has."""
        self._number += 1
        return f"1.2.826.0.1.7.{self._number}"

    def forget(self, uid: str) -> None:
        """Do not look at what the PACS keep of this any more: it has several contents."""
        for one in self.pacs.values():
            one.kept = [each for each in one.kept if each.sop_instance_uid != uid]

    def retry(self, delivery_ids: Sequence[int]) -> None:
        """Be the person who has these sent again."""
        with self.database.write("delivery") as tx:
            deliveries.retry(tx, delivery_ids, self.clock.now())

    def damage(self, uid: str, other: str, how: str) -> None:
        """Damage what is kept of an instance, behind the product's back."""
        self.flows.index_instances()
        with self.database.read() as tx:
            (own,), (others,) = spool_store.find_by_sop(tx, uid), spool_store.find_by_sop(tx, other)
        path, offset, length = self.spool.path_of(own), own.offset, own.length
        if how == "gone":
            path.unlink()
            return
        content = bytearray(path.read_bytes())
        place = {"flipped first": offset, "flipped middle": offset + length // 2, "flipped last": offset + length - 1}
        if how in place:
            content[place[how]] ^= 0x10
        elif how == "another's":
            content[offset : offset + length] = self.spool.path_of(others).read_bytes()[others.offset :][:length]
        elif how == "zeroed":
            content[offset : offset + length] = bytes(length)
        else:
            content = {"cut": content[: offset + length // 2], "emptied": bytearray()}[how]
        path.write_bytes(bytes(content))

    def intact(self, uids: Iterable[str]) -> list[str]:
        """Return of which of these the spool still gives what was received."""
        found = []
        for uid in uids:
            with self.database.read() as tx:
                (each,) = spool_store.find_by_sop(tx, uid)
            with suppress(DamagedInstance):
                self.spool.verify(each)
                found.append(uid)
        return found

    def deliver(self, names: Iterable[str] = ()) -> None:
        """Let each destination have its turn once."""
        self.flows.index_instances()
        for name in names or self.pacs:
            self.deliver_to(name)

    def deliver_to(self, name: str) -> None:
        """Let one destination have its turn, beside others; nothing is indexed."""
        destination = self._destination(name)
        stow = None
        if destination.protocol is Protocol.STOW:
            stow = self._stow.setdefault(name, StowPeer(destination))
        self.flows.deliver(destination, self._requestor, stow)

    def settle(self, uids: Sequence[str], rounds: int = 60) -> None:
        """Let time pass until everything owed of these is delivered or parked."""
        for _ in range(rounds):
            self.deliver()
            if all(one.state in _FINAL for one in self.deliveries(uids)):
                return
            self.clock.advance(_STEP)
        states = Counter((one.destination, one.state.value, one.reason) for one in self.deliveries(uids))
        raise AssertionError(f"not settled after {rounds} rounds: {states}")

    def deliveries(self, uids: Iterable[str]) -> list[Delivery]:
        """Return every delivery of these instances."""
        self.flows.index_instances()
        with self.database.read() as tx:
            found = [spool_store.find_by_sop(tx, uid) for uid in uids]
            return [one for versions in found for each in versions for one in deliveries.of_instance(tx, each.id)]

    def demand_delivered(self, uids: Sequence[str]) -> None:
        """Every destination has these, and nothing is missing or too much."""
        bad = [(one.destination, one.state.value, one.reason) for one in self.deliveries(uids)]
        bad = [one for one in bad if one[1] != DeliveryState.DELIVERED.value]
        assert not bad, f"not delivered: {bad[0]}"
        found = violations_at_the_end(self.seen(uids))
        assert not found, f"{len(found)} violations, the first: {found[0]}"

    def demand_parked(self, uids: Sequence[str], destination: str = "") -> None:
        """These are parked with a reason, kept in the spool, and a person was told (I5, I12)."""
        found = [one for one in self.deliveries(uids) if destination in ("", one.destination)]
        assert found, "nothing was owed"
        for one in found:
            assert one.state is DeliveryState.PARKED, f"{one.state.value}, not parked: {one.reason}"
            assert one.reason, "parked without a reason"
        self._demand_kept(uids)
        silent = {one.destination for one in found} - self.told()
        assert not silent, f"parked silently: {silent}"

    def demand_invariants(self, uids: Sequence[str]) -> None:
        """What holds at every moment: nothing half, nothing altered, nothing twice without need, nothing gone."""
        found = violations(self.seen(uids))
        assert not found, f"{len(found)} violations, the first: {found[0]}"

    def seen(self, uids: Sequence[str]) -> Seen:
        """Gather what there is of these, and what has arrived that nobody has sent."""
        self.flows.index_instances()
        sent = {uid: {print_of(self.taken[uid])} for uid in uids if uid in self.taken}
        arrived = [
            arrival(name, each)
            for name, one in self.pacs.items()
            for each in one.kept
            if each.sop_instance_uid in sent or each.sop_instance_uid not in self.taken
        ]
        return looked_at(self.database, self.spool, list(self.pacs), sent, sent, arrived)

    def _demand_kept(self, uids: Sequence[str]) -> None:
        with self.database.read() as tx:
            versions = [each for uid in uids for each in spool_store.find_by_sop(tx, uid)]
        for each in versions:
            self.spool.verify(each)

    def _destination(self, name: str) -> Destination:
        found = self.profile.destination(name)
        assert found is not None
        return found
