"""A device goes live and comes back while the hospital goes on; wherever that is cut: old or new, never a mixture."""

import hashlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from broker.failpoints import PLACES
from tests.peers.broker import MODALITY
from tests.peers.commands_process import Commands, commands
from tests.peers.processes import wait_for
from tests.peers.raw_sender import read_part10
from tests.scenarios.kills import tried
from tests.scenarios.load import Load
from tests.scenarios.promoting import SECOND, Promoting, first_image, first_study
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import RawPeer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("promotion"), pytest.mark.timeout(600)]

NEIGHBOUR, IN_TEST = (
    MODALITY.replace("us-room-2", f"us-room-{room}").replace("US_ROOM2", f"US_ROOM{room}") for room in (1, 3)
)
SECONDS = 5.0  # that an apply or a rollback may take
OLD_PORT, NEW_PORT = 104, 105
OLD = (("US_ROOM2",), OLD_PORT, False)
NEW = (("US_ROOM2", "US_ROOM2B"), NEW_PORT, True)
Point = tuple[str, int]
"""A failpoint, and which time it is passed."""
COMMITTED: Point = ("promotion.commit.after", 1)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Promoting]:
    """Both worlds serve; Production the device's first document, and Test has shown the second."""
    made = Promoting(tmp_path_factory.mktemp("worlds"), tripwires=True)
    made.production.register(NEIGHBOUR)
    made.test.register(IN_TEST)
    with made.test.serving(), made.production.serving():
        made.tested(MODALITY, OLD_PORT)
        made.apply(made.approved(OLD_PORT))
        made.tested(SECOND, NEW_PORT)
        yield made


# --- beside everything else that goes on -----------------------------------------------------------------------


@contextmanager
def loaded(worlds: Promoting) -> Iterator[Load]:
    """Everything that goes on beside a promotion: of the device, of its neighbour, and in Test."""
    load = Load()
    live = worlds.production
    load.begin("its images", lambda: load.image(live, "US_ROOM2", "1.2.30", "production"))
    load.begin("its neighbour's images", lambda: load.image(live, "US_ROOM1", "1.2.10", "production"))
    load.begin("its neighbour's queries", lambda: load.query(live, "US_ROOM1"))
    load.begin("orders", lambda: load.order(live))
    load.begin("images in Test", lambda: load.image(worlds.test, "US_ROOM3", "1.2.20", "test"))
    # Its console was moved in the middle of an exam that began in Test.
    load.begin("its images astray", lambda: load.image(live, "US_ROOM2", first_study(NEW_PORT), "test"))
    try:
        yield load
    finally:
        load.end()


def timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def stored(folder: Path) -> Counter[str]:
    """What a PACS has, by the bytes of the data sets."""
    return Counter(hashlib.sha256(read_part10(file).data).hexdigest() for file in folder.glob("*.dcm"))


def is_whole(worlds: Promoting, load: Load) -> bool:
    return all(
        sum(1 for _ in (worlds.folder / f"{name}-pacs").glob("*.dcm")) >= (sent + before(name)).total()
        for name, sent in load.sent.items()
    )


def test_nobody_is_refused_and_nothing_is_lost_while_a_device_goes_live_and_comes_back(worlds: Promoting) -> None:
    live, took = worlds.production, {}
    id_ = worlds.approved(NEW_PORT)
    with loaded(worlds) as load:
        load.passed()
        took["apply"] = timed(lambda: worlds.apply(id_))
        load.begin("its further title", lambda: load.image(live, "US_ROOM2B", "1.2.31", "production"))
        load.passed()
        load.end("its further title")
        took["rollback"] = timed(worlds.roll_back)
        load.passed()
    wait_for("all of it in either PACS", lambda: is_whole(worlds, load), 60.0)
    rejected = [each.ask("rejection", "list") for each in (worlds.test, live)]
    assert (load.failures, rejected) == ([], [[], []])
    for name, sent in load.sent.items():
        assert stored(worlds.folder / f"{name}-pacs") == sent + before(name)
    assert {what: seconds for what, seconds in took.items() if seconds > SECONDS} == {}


def before(world: str) -> Counter[str]:
    """What was stored before: in Test an image for each document that was tested."""
    images = [first_image(port).data for port in (OLD_PORT, NEW_PORT)] if world == "test" else []
    return Counter(hashlib.sha256(image).hexdigest() for image in images)


# --- wherever it is cut ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """What Production serves, by all that one can ask of it."""

    what: tuple[tuple[str, ...], int, bool]  # titles, port, whether a call by the further title is taken
    revision: str
    last: str  # what the history says happened last


class Hospital:
    """The worlds, with commands as processes of their own."""

    def __init__(self, worlds: Promoting, run: Commands, folder: Path) -> None:
        self.worlds, self._run, self._folder = worlds, run, folder
        self._request = ""

    def served(self) -> Served:
        """What Production serves now."""
        live = self.worlds.production
        shown: dict[str, Any] = live.ask("modality", "show", "us-room-2")
        history = live.ask("promote", "history", "us-room-2")
        assert is_taken(live.ports["dicom"], "US_ROOM2")
        what = (tuple(shown["ae_titles"]), shown["port"], is_taken(live.ports["dicom"], "US_ROOM2B"))
        return Served(what, shown["revision"], history[0]["what"])

    def prepare(self) -> None:
        """Have a request approved."""
        self._request = self.worlds.approved(NEW_PORT)

    def apply(self, **variables: str) -> int:
        """Run `promote apply` as a process; return how it ended."""
        return self._as_ann("promote", "apply", self._request, **variables)

    def roll_back(self, **variables: str) -> int:
        """Run `promote rollback` likewise."""
        profile = str(self.worlds.production.profile)
        return self._as_ann("promote", "rollback", "us-room-2", "--env", profile, "--why", "back", **variables)

    def passed(self, act: str) -> list[Point]:
        """Return every failpoint that one of the two passes, and which time."""
        trace = self._folder / f"{act}.trace"
        assert getattr(self, act)(BROKER_TEST_HOOKS="1", BROKER_FAIL_TRACE=str(trace)) == 0
        counted: Counter[str] = Counter()
        found = []
        for name in trace.read_text().split():
            counted[name] += 1
            found.append((name, counted[name]))
        return found

    def _as_ann(self, *words: str, **variables: str) -> int:
        return self._run.run(*words, BROKER_TOKEN=self.worlds.production.token, **variables).returncode


def is_taken(port: int, calling: str) -> bool:
    """Tell whether an association by this title is accepted."""
    with RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq(calling=calling))
        return peer.read()[0] == 2


def killed(act: str, hospital: Hospital, point: Point) -> None:
    name, nth = point
    code = getattr(hospital, act)(BROKER_TEST_HOOKS="1", BROKER_FAIL=f"{name}:{nth}:kill")
    assert code == -signal.SIGKILL, point


@pytest.fixture
def hospital(worlds: Promoting, tmp_path: Path) -> Iterator[Hospital]:
    with commands(tmp_path / "commands.log") as run:
        yield Hospital(worlds, run, tmp_path)


def test_an_apply_or_rollback_that_is_killed_leaves_old_or_new(hospital: Hospital) -> None:
    hospital.prepare()
    first = hospital.served()
    of_applies = hospital.passed("apply")
    new = hospital.served()
    of_rollbacks = hospital.passed("roll_back")
    old = hospital.served()
    assert (old.what, new.what, first.what) == (OLD, NEW, OLD)
    places = {f"{place}.{side}" for place in PLACES if place.startswith("promotion.") for side in ("before", "after")}
    assert places <= {name for name, _ in of_applies}
    for of_apply, of_rollback in zip_longest(some(of_applies), some(of_rollbacks)):
        hospital.prepare()
        if of_apply is not None:
            killed("apply", hospital, of_apply)
            assert hospital.served() == (new if of_apply == COMMITTED else old), of_apply
        if hospital.served() == old:
            assert hospital.apply() == 0
        assert hospital.served() == new
        assert hospital.worlds.plan()["differences"] == []
        if of_rollback is not None:
            killed("roll_back", hospital, of_rollback)
            assert hospital.served() == (old if of_rollback == COMMITTED else new), of_rollback
        if hospital.served() == new:
            assert hospital.roll_back() == 0
        assert hospital.served() == old


def some(points: list[Point]) -> list[Point]:
    """Some of them, and always the one after which it is done."""
    return list(dict.fromkeys([*tried(points, 40), COMMITTED]))
