"""F04: killed at every failpoint of N-CREATE and N-SET, and started again: nothing is half there, nothing goes back."""

import os
import random
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.audit.model import CLOCK
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.registry import store as registry
from broker.registry.document import read
from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.peers.broker import MODALITY, Environment
from tests.scenarios import mpps_exams
from tests.scenarios.kills import tried
from tests.scenarios.mpps_exams import Exam, State
from tests.scenarios.ports_process import Ports
from tests.torture.hl7_exchange import frames
from tests.torture.hl7_messages import order
from tests.wire.worklist_golden import NOW

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mpps-kills"), pytest.mark.timeout(600)]

DUPLICATE, MAY_NO_LONGER_BE_UPDATED, A710 = 0x0111, 0x0110, 0xA710
EXAMS = 64  # with the points of each, over 1,000 kills
OF_A_SAMPLE = 4  # exams, and kills of each
OWED_TO = """\
[[mpps.destinations]]
name = "ris-mpps"
host = "127.0.0.1"
port = 1
ae_title = "RIS_MPPS"
[[receivers]]
name = "ris"
host = "127.0.0.1"
port = 1
"""
Point = tuple[str, int]
"""A failpoint, and which time it is passed."""


class Hospital:
    """One database, orders by number, and the ports that come and go before it."""

    def __init__(self, folder: Path) -> None:
        environment = Environment(folder, destinations=OWED_TO, ae_title="BROKER").write()
        profile = profiles.read(environment.profile)
        database = open_database(profile)
        with database.write("registry") as tx:
            content = MODALITY.encode()
            registry.apply(tx, read(content, "us-room-2.toml"), content, CLOCK, NOW)
        database.close()
        self._file = profile.state / "broker.db"
        self._folder = folder
        self._number = 0
        self.ports = Ports(environment.profile)

    def close(self) -> None:
        """End what runs."""
        self.ports.close()

    def order(self, count: int) -> list[int]:
        """Order so many examinations over HL7; return their numbers."""
        serving = self.ports.start()
        numbers = list(range(self._number + 1, self._number + count + 1))
        self._number += count
        for number in numbers:
            with closing(socket.create_connection(("127.0.0.1", serving.hl7), 20)) as peer:
                peer.sendall(frame(order(str(number))))
                assert next(read_acknowledgement(payload).code for payload in frames(peer)) == "AA"
        self.ports.kill()
        return numbers

    def state(self, number: int) -> State:
        """What is known of an exam, as it stands in the database."""
        with closing(sqlite3.connect(self._file)) as tx:
            known = (mpps_exams.uid(number),)
            (worklist,) = tx.execute("SELECT status FROM worklist_item WHERE accession_number = ?", (f"A{number}",))
            step = tx.execute("SELECT status FROM performed_step WHERE sop_instance_uid = ?", known).fetchone()
            return State(
                performed=step[0] if step else "",
                worklist=worklist[0],
                messages=tx.execute(_COUNT.format("performed_message"), known).fetchone()[0],
                owed=tx.execute(_COUNT.format("mpps_delivery"), known).fetchone()[0],
                told=tuple(event for (event,) in tx.execute(_TOLD, (f"A{number}",))),
            )

    def study(self, number: int) -> str:
        """The study of an order, which a console has from the worklist."""
        with closing(sqlite3.connect(self._file)) as tx:
            asked = "SELECT study_instance_uid FROM worklist_item WHERE accession_number = ?"
            return str(tx.execute(asked, (f"A{number}",)).fetchone()[0])

    def passed(self, exam: Exam, number: int) -> list[Point]:
        """Perform an exam to its end; return the failpoints that it passed."""
        trace = self._folder / "trace"
        trace.unlink(missing_ok=True)
        serving = self.ports.start(trace=trace)
        assert self.perform(serving.dicom, exam, number) == len(exam.requests(number, "1"))
        self.ports.kill()
        counted: Counter[str] = Counter()
        found: list[Point] = []
        for name in trace.read_text().split():
            counted[name] += 1
            found.append((name, counted[name]))
        return found

    def perform(self, port: int, exam: Exam, number: int, first: int = 0) -> int:
        """Tell of an exam from its `first` request on; return how many were answered 0000."""
        requests = exam.requests(number, self.study(number))[first:]
        answers = mpps_exams.say(port, requests, exam.apart)
        assert {answer.status for answer in answers} <= {mpps_exams.SUCCESS}
        return len(answers)

    def repeat(self, port: int, exam: Exam, number: int, unanswered: int, was_applied: bool) -> None:
        """Send again what got no answer, as a console does, and all that follows."""
        requests = exam.requests(number, self.study(number))[unanswered:]
        if not requests:
            return
        first, *others = mpps_exams.say(port, requests, exam.apart)
        assert len(others) == len(requests) - 1
        is_create = unanswered == 0
        is_end = bool(exam.end) and len(requests) == 1
        if was_applied and (is_create or is_end):
            assert first.status == (DUPLICATE if is_create else MAY_NO_LONGER_BE_UPDATED)
        else:
            assert first.status == mpps_exams.SUCCESS
        assert {answer.status for answer in others} <= {mpps_exams.SUCCESS}

    def refuses_more(self, port: int, number: int) -> None:
        """What is over may not be changed (PS3.4 F.7.2.2)."""
        (answer,) = mpps_exams.say(port, [mpps_exams.once_more(number)])
        assert (answer.status, answer.error_id) == (MAY_NO_LONGER_BE_UPDATED, A710)


_COUNT = "SELECT count(*) FROM {0} JOIN performed_step s ON s.id = {0}.performed_step WHERE s.sop_instance_uid = ?"
_TOLD = (
    "SELECT event FROM outbox_message o JOIN worklist_item w ON w.order_id = o.order_id "
    "WHERE w.accession_number = ? ORDER BY o.id"
)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with closing(Hospital(tmp_path_factory.mktemp("kills"))) as made:
        yield made


@pytest.mark.parametrize("seed", tried(range(EXAMS), EXAMS // OF_A_SAMPLE + 1))
def test_killed_at_any_failpoint_an_exam_is_whole_and_what_is_over_stays_over(hospital: Hospital, seed: int) -> None:
    exam = mpps_exams.exam(seed)
    points = hospital.passed(exam, *hospital.order(1))
    if os.environ.get("BROKER_ALL_KILLS") != "1":
        points = random.Random(seed).sample(points, OF_A_SAMPLE)
    numbers = hospital.order(len(points))
    for number, point in zip(numbers, points, strict=True):
        _end_and_go_on(hospital, exam, number, point)
    serving = hospital.ports.start()
    for number in numbers:
        before = hospital.state(number)
        assert before.performed == (exam.end or "IN PROGRESS")
        if exam.end:
            hospital.refuses_more(serving.dicom, number)
        assert hospital.state(number) == before
    hospital.ports.kill()
    print(f"{exam}: {len(points)} kills")


def _end_and_go_on(hospital: Hospital, exam: Exam, number: int, point: Point) -> None:
    name, nth = point
    serving = hospital.ports.start(f"{name}:{nth}:kill")
    answered = hospital.perform(serving.dicom, exam, number)
    assert hospital.ports.ended() == -signal.SIGKILL, point
    found = hospital.state(number)
    # What was answered is there, of what was not all or nothing.
    assert found in (exam.after(answered), exam.after(answered + 1)), point
    was_applied = found != exam.after(answered)
    serving = hospital.ports.start()
    hospital.repeat(serving.dicom, exam, number, answered, was_applied)
    whole = exam.after(len(exam.requests(number, "1")))
    after = hospital.state(number)
    assert (after.performed, after.worklist, after.told) == (whole.performed, whole.worklist, whole.told), point
    assert after.messages == after.owed <= whole.messages + 1  # an N-SET in progress that was sent twice
    if exam.end:
        hospital.refuses_more(serving.dicom, number)
        assert hospital.state(number) == after, point
    hospital.ports.kill()
