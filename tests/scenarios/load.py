"""What goes on in a hospital without a pause: images, orders, worklist queries; each counted, each failure kept."""

import hashlib
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.bench.consoles import Console, Question
from tests.peers.broker import Environment
from tests.peers.processes import wait_for
from tests.peers.raw_sender import DataSet, send
from tests.torture import hl7_messages
from tests.torture.hl7_exchange import frames
from tests.unit.spool.datasets import EXPLICIT, IMPLICIT, US_IMAGE, data_set, element

ANY_ITEM = element(0x00080050, "SH", b"", syntax=IMPLICIT)
PAUSE = 0.1  # between two of one sender: the machine has two cores, and the product shall have most of them


@dataclass
class Load:
    """What is sent without a pause, and what came of it."""

    sent: dict[str, Counter[str]] = field(default_factory=lambda: {"test": Counter(), "production": Counter()})
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _running: dict[str, tuple[threading.Thread, threading.Event]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def begin(self, what: str, act: Callable[[], None]) -> None:
        """Do it again and again, each time counted, until its end."""
        stop = threading.Event()
        thread = threading.Thread(target=self._again, args=(what, act, stop))
        self._running[what] = thread, stop
        thread.start()

    def _again(self, what: str, act: Callable[[], None], stop: threading.Event) -> None:
        while not stop.wait(PAUSE):
            try:
                act()
            except (AssertionError, OSError) as error:
                self.failures.append(f"{what}: {error!r}")
            self.done[what] += 1

    def passed(self, count: int = 5) -> None:
        """Wait until each was done so many times more."""
        before = {what: self.done[what] for what in self._running}
        wait_for("the load goes on", lambda: all(self.done[each] - before[each] >= count for each in before), 30.0)

    def end(self, *whats: str) -> None:
        """End these, or all."""
        ended = [self._running.pop(what) for what in whats or tuple(self._running)]
        for _, stop in ended:
            stop.set()
        for thread, _ in ended:
            thread.join(30.0)

    def image(self, into: Environment, calling: str, study: str, home: str) -> None:
        """Store one image of a study that began in the world `home`."""
        uid = f"{study}.{next(self._numbers)}"
        content = data_set(uid, StudyInstanceUID=study.encode(), PatientID=b"", AccessionNumber=b"", pixels=20_000)
        assert send(into.dicom, calling, DataSet(US_IMAGE, uid, EXPLICIT, content)) == 0
        self.sent[home][hashlib.sha256(content).hexdigest()] += 1

    def order(self, into: Environment) -> None:
        """Order an examination."""
        raw = hl7_messages.order(f"{next(self._numbers)}", msh={11: into.name[0].upper()})
        with closing(socket.create_connection(("127.0.0.1", into.ports["hl7"]), 20)) as peer:
            peer.sendall(frame(raw))
            assert next(read_acknowledgement(payload).code for payload in frames(peer)) == "AA"

    def query(self, of: Environment, calling: str) -> None:
        """Ask for the worklist."""
        Console(of.ports["dicom"], of.ae_title, Question(calling, ANY_ITEM, 0))()
