"""A folder gets each file whole or not at all, wherever the copy ends; who looks into it meanwhile sees none half."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import failpoints
from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.senders import folder
from broker.delivery.senders.outcome import Answered, Outcome, Way
from broker.dimse.requestor import EngineRequestor
from broker.environments.model import Destination, Protocol, World
from broker.errors import Unavailable
from broker.identifiers import AETitle
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance
from tests.unit.spool.datasets import RECEIVED, data_set, facts, pieces

KEPT = Answered(0x0000)


class Desk:
    def __init__(self, root: Path) -> None:
        self.spool = FileSpool(root / "spool")
        self.path = root / "share" / "images"
        self.path.parent.mkdir()
        self.instance = self.keep("1.1")

    def keep(self, uid: str, pixels: int = 3_000_000) -> SpooledInstance:
        return self.spool.keep(pieces(data_set(uid, pixels=pixels), 65536), facts(uid))

    def send(self, *instances: SpooledInstance) -> list[Outcome]:
        destination = Destination("folder", Protocol.FOLDER, World.TEST, path=self.path)
        way = Way(destination, AETitle("BROKER"), EngineRequestor(), self.spool)
        batch = [
            (Delivery(number, each.id, "folder", DeliveryState.SENDING, 0, RECEIVED, RECEIVED, ""), each)
            for number, each in enumerate(instances or (self.instance,), 1)
        ]
        return [outcome for _, outcome in folder.send(batch, way)]

    @property
    def seen(self) -> list[Path]:
        """What a reader sees that looks for files of this kind."""
        return sorted(self.path.glob("*.dcm"))

    def is_whole(self) -> bool:
        (file,) = self.seen
        return file.read_bytes() == self.spool.path_of(self.instance).read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    yield monkeypatch
    monkeypatch.undo()
    failpoints.arm_from_environment()


PLACES = ("folder.write", "folder.sync", "folder.rename", "folder.syncdir")


@pytest.mark.parametrize("action", ["enospc", "eio"])
@pytest.mark.parametrize("place", [f"{place}.{side}" for place in PLACES for side in ("before", "after")])
def test_a_failure_anywhere_leaves_no_half_file_and_the_next_try_a_whole_one(
    desk: Desk, hooks: pytest.MonkeyPatch, place: str, action: str
) -> None:
    hooks.setenv("BROKER_FAIL", f"{place}:1:{action}")
    failpoints.arm_from_environment()
    with pytest.raises(Unavailable, match="the folder does not take the file"):
        desk.send()
    assert desk.seen == [] or desk.is_whole()  # renamed already: whole, and sent once more
    failpoints.disarm()
    assert desk.send() == [KEPT]
    assert desk.is_whole()
    assert [file for file in desk.path.iterdir() if file.suffix != ".dcm"] == []


@pytest.mark.parametrize("place", [f"{place}.{side}" for place in PLACES for side in ("before", "after")])
def test_a_process_that_is_killed_leaves_no_half_file(desk: Desk, hooks: pytest.MonkeyPatch, place: str) -> None:
    hooks.setenv("BROKER_FAIL", f"{place}:1:kill")
    child = os.fork()
    if child == 0:
        failpoints.arm_from_environment()
        desk.send()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert desk.seen == [] or desk.is_whole()
    assert desk.send() == [KEPT]
    assert desk.is_whole()
    assert len(list(desk.path.iterdir())) == 1


def test_a_file_that_is_too_large_for_the_folder_keeps_no_other(desk: Desk) -> None:
    import resource

    small = desk.keep("1.2", pixels=64)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        outcomes = desk.send(desk.instance, small)
        statuses = [outcome.status for outcome in outcomes if isinstance(outcome, Answered)]
        os._exit(0 if statuses == [0x0110, 0x0000] else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert [file.stem for file in desk.seen] == [small.id]


def test_a_spool_that_fails_is_not_taken_for_the_folder(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.spool.path_of(desk.instance)
    monkeypatch.setattr(desk.spool, "verify", lambda _instance: path.write_bytes(path.read_bytes()[:-1]))
    with pytest.raises(Unavailable, match="the spool cannot be read"):
        desk.send()
    assert list(desk.path.iterdir()) == []
