"""What is damaged in the spool never arrives, however much of it has left; the others do."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.senders import dimse
from broker.delivery.senders.outcome import Answered, Batch, Damaged, Outcome, Way
from broker.dimse.kept import KeptAssociations
from broker.dimse.requestor import EngineRequestor
from broker.environments.model import Destination, Protocol, World
from broker.errors import Unavailable
from broker.identifiers import AETitle
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance
from tests.peers import dcmtk
from tests.peers.dcmtk import Node
from tests.peers.orthanc import orthanc
from tests.peers.processes import accepts, free_port, program, running, wait_for
from tests.unit.spool.datasets import RECEIVED, data_set, facts

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("orthanc")]

LARGE = 3 * 2**20  # several rounds of the upper layer
SMALL = 2**16  # one
_TRIES = 3
Damage = Callable[[bytearray], bytes]
DAMAGES: dict[str, Damage] = {
    "first byte of the pixels": lambda content: _flipped(content, 400),
    "last byte": lambda content: _flipped(content, len(content) - 1),
    "cut": lambda content: bytes(content[: len(content) * 2 // 3]),
}
Count = Callable[[], int]


def _flipped(content: bytearray, at: int) -> bytes:
    content[at] ^= 1
    return bytes(content)


@contextmanager
def _storescp(folder: Path) -> Iterator[tuple[Node, Count]]:
    """Run one that reads each data set into memory before it writes it."""
    kept, port = folder / "kept", free_port()
    kept.mkdir(parents=True)
    command = [program("storescp", "dcmtk"), "-od", kept, str(port)]
    with running(command, folder / "log", {"TCP_NODELAY": "1"}) as process:
        wait_for("storescp listens", lambda: process.poll() is None and accepts(port))
        yield Node(port, "PACS"), lambda: len(list(kept.iterdir()))


@contextmanager
def _streaming(folder: Path) -> Iterator[tuple[Node, Count]]:
    """Run one that writes each data set as it comes."""
    with dcmtk.storescp(folder / "kept") as node:
        yield node, lambda: len(list((folder / "kept").iterdir()))


@contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[Node, Count]]:
    with orthanc(folder) as server:
        yield Node(server.port, server.ae_title), lambda: int(server.statistics()["CountInstances"])


def _spooled(spool: FileSpool, number: int, pixels: int) -> tuple[Delivery, SpooledInstance]:
    uid = f"1.2.{number}"
    instance = spool.keep([memoryview(data_set(uid, pixels=pixels))], facts(uid))
    at = RECEIVED + timedelta(seconds=number)
    return Delivery(number, instance.id, "pacs", DeliveryState.SENDING, 0, at, at, ""), instance


def _damage(spool: FileSpool, instance: SpooledInstance, how: Damage) -> None:
    path = spool.path_of(instance)
    content = path.read_bytes()
    path.write_bytes(content[: instance.offset] + how(bytearray(content[instance.offset :])))


def _sent(spool: FileSpool, batch: Batch, node: Node) -> dict[int, Outcome]:
    """Return what became of each; where the receiver hangs up on a new association the rest goes again, as always."""
    destination = Destination("pacs", Protocol.DIMSE, World.TEST, "127.0.0.1", node.port, AETitle(node.ae_title))
    associations = KeptAssociations(EngineRequestor())
    way = Way(destination, AETitle("BROKER"), associations, spool)
    outcomes: dict[int, Outcome] = {}
    for _ in range(_TRIES):
        left = [(delivery, instance) for delivery, instance in batch if delivery.id not in outcomes]
        with suppress(Unavailable):
            for delivery, outcome in dimse.send(left, way):
                outcomes[delivery.id] = outcome
            break
    associations.close()
    return outcomes


@pytest.mark.parametrize("receiver", [_storescp, _streaming, _orthanc])
def test_nothing_of_a_damaged_instance_is_kept_and_the_others_arrive(
    tmp_path: Path, receiver: Callable[[Path], AbstractContextManager[tuple[Node, Count]]]
) -> None:
    spool = FileSpool(tmp_path / "spool")
    batch: list[tuple[Delivery, SpooledInstance]] = []
    bad = set()
    for pixels in (LARGE, SMALL):
        for how in DAMAGES.values():
            batch.append(_spooled(spool, len(batch) + 1, pixels))
            batch.append(_spooled(spool, len(batch) + 1, pixels))
            _damage(spool, batch[-1][1], how)
            bad.add(batch[-1][0].id)
    batch.append(_spooled(spool, len(batch) + 1, SMALL))
    with receiver(tmp_path / "peer") as (node, count):
        outcomes = _sent(spool, batch, node)
        assert list(outcomes) == [delivery.id for delivery, _ in batch]
        assert {number for number, outcome in outcomes.items() if isinstance(outcome, Damaged)} == bad
        assert all(outcomes[delivery.id] == Answered(0) for delivery, _ in batch if delivery.id not in bad)
        assert count() == len(batch) - len(bad)
