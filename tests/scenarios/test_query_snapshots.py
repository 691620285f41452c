"""F34: queries while messages change what they ask for: each answer is a state that existed."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from broker.audit.model import CLOCK
from broker.dimse.requestor import EngineRequestor, OpenAssociation
from broker.dimse.service import Peer
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.registry import store as registry
from broker.registry.document import read
from broker.worklist import elements
from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.peers.broker import MODALITY, Environment
from tests.scenarios.changing_orders import Row, Writer, by_accession, filling, writers
from tests.scenarios.kills import tried
from tests.scenarios.ports_process import Serving, ports
from tests.torture.hl7_exchange import frames
from tests.unit.worklist.building import identifier
from tests.wire.worklist_golden import MODALITY_WORKLIST, NOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMPLICIT = "1.2.840.10008.1.2"
IN_ALL, AS_A_SAMPLE = 500, 20  # queries, by both askers
ASKED = identifier(
    {"ScheduledProcedureStepStartDate": ""},
    AccessionNumber="",
    PatientID="",
    PatientName="",
    RequestedProcedureDescription="",
)


@pytest.fixture(autouse=True)
def _quick_turns() -> Iterator[None]:
    """Let no thread of ours starve another: app.py has it of the product's."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.parametrize("others", tried([150, 20, 900], 3))  # all within a page
def test_each_answer_is_a_state_that_existed(tmp_path: Path, database_url: str, others: int) -> None:
    count = IN_ALL if os.environ.get("BROKER_ALL_KILLS") == "1" else AS_A_SAMPLE
    with _serving(tmp_path, database_url) as serving:
        changing = writers()
        _send(serving.hl7, [*filling(others), *(message for writer in changing for message in writer.first)])
        stop = threading.Event()
        with ThreadPoolExecutor(len(changing) + 2) as threads:
            running = [threads.submit(writer.run, serving.hl7, stop) for writer in changing]
            try:
                askers = [threads.submit(_ask, serving.dicom, changing, count // 2, others) for _ in range(2)]
                seen = [asker.result() for asker in askers]
            finally:
                stop.set()
            assert [one.result() for one in running] == [None] * len(changing)
    assert [writer.refused for writer in changing] == [[]] * len(changing)
    print(
        f"{count} queries, beside {', '.join(f'{w.name}: {w.acknowledged}' for w in changing)}; versions seen: {seen}"
    )


def _ask(port: int, changing: list[Writer], count: int, others: int) -> int:
    """Query so many times; return how many versions were seen. Raises AssertionError for what never was so."""
    last = dict.fromkeys((writer.name for writer in changing), 0)
    versions = set()
    peer = Peer("127.0.0.1", port, "BROKER_TEST", "US_ROOM2")
    with EngineRequestor().associate(peer, [(MODALITY_WORKLIST, IMPLICIT)]) as association:
        for _ in range(count):
            before = {writer.name: writer.acknowledged for writer in changing}
            rows = by_accession(_rows(association))
            assert sum(accession.startswith("AFILL") for accession in rows) == others
            for writer in changing:
                version = writer.seen(rows)
                # Acknowledged before: it shows (I6). Never older than what was shown before.
                assert max(before[writer.name], last[writer.name]) <= version <= writer.sent, writer.name
                last[writer.name] = version
                versions.add((writer.name, version))
    return len(versions)


def _rows(association: OpenAssociation) -> list[Row]:
    answers = list(association.find(MODALITY_WORKLIST, IMPLICIT, ASKED))
    assert answers[-1].status == 0x0000
    return [_row(answer.identifier) for answer in answers if answer.identifier]


def _row(data: bytes) -> Row:
    # In the order of their tags. pydicom would take the time of the writers, who share the processor.
    accession, name, patient, description, step = elements.read(data, IMPLICIT)
    values = (each.value.decode().strip() for each in (accession, patient, name, description, step.items[0][0]))
    return Row(*values)


def _send(port: int, messages: list[bytes]) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), 20)) as peer:
        for message in messages:
            peer.sendall(frame(message))
            assert read_acknowledgement(next(frames(peer))).code == "AA"


@contextmanager
def _serving(folder: Path, database_url: str) -> Iterator[Serving]:
    """Serve an empty worklist of one room."""
    environment = Environment(folder, database_url=database_url).write()
    database = open_database(profiles.read(environment.profile))
    with database.write("registry") as tx:
        content = MODALITY.encode()
        registry.apply(tx, read(content, "us-room-2.toml"), content, CLOCK, NOW)
    database.close()
    with ports(environment.profile) as started:
        yield started.start()
        started.kill()
