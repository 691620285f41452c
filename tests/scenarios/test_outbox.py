"""Status to a RIS that answers badly, or not, and from a broker that is killed: in order, and nothing lost."""

import os
import signal
from itertools import groupby
from pathlib import Path

import pytest
from pydicom import dcmread

from broker.database import Database
from broker.environments.model import OrderEvent
from broker.owed import OwedState
from hl7.message import Message
from tests.conftest import FakeClock
from tests.peers import dcmtk, nursery
from tests.peers.broker import Environment, destination
from tests.peers.processes import wait_for
from tests.peers.raw_sender import read_part10, send
from tests.scenarios.test_main_job import ORDER, images
from tests.unit.outbox.examples import all_messages, order, owed
from tests.unit.outbox.ris import Answer, Ris, hangs_up, nothing, ris, says

EVENTS = (OrderEvent.STARTED, OrderEvent.COMPLETED, OrderEvent.IMAGES_AVAILABLE)
POINTS = [  # with the number of the pass: in the midst of the messages
    f"{place}.{side}:{nth}"
    for place, nth in (("outbox.commit", 1), ("outbox.send", 2), ("outbox-outcome.commit", 2))
    for side in ("before", "after")
]


def sent(database: Database, peer: Ris, **environment: str) -> int:
    """Run the process that sends; return its exit code."""
    url = database.engine.url.render_as_string(hide_password=False)
    with os.fdopen(os.dup(2), "wb") as errors:
        process = nursery.program("tests.scenarios.outbox_process", [url, str(peer.port)], errors, environment)
        assert process.stdout is not None
        with process.stdout:
            process.stdout.read()
        return process.wait(60)


def owe_two_orders(database: Database, clock: FakeClock) -> list[str]:
    """Owe three messages of each of two orders, in turn; return their control IDs."""
    for event in EVENTS:
        for number in (1, 2):
            owed(database, clock, event, of=order(identifier=number))
    return [message.control_id for message in all_messages(database)]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_and_started_again_every_message_arrives_in_order_under_its_own_id(
    database: Database, clock: FakeClock, point: str
) -> None:
    control_ids = owe_two_orders(database, clock)
    with ris() as peer:
        assert sent(database, peer, BROKER_TEST_HOOKS="1", BROKER_FAIL=f"{point}:kill") == -signal.SIGKILL
        assert sent(database, peer) == 0
    assert {message.state for message in all_messages(database)} == {OwedState.DELIVERED}
    runs = [(control_id, len(list(same))) for control_id, same in groupby(peer.control_ids)]
    assert [control_id for control_id, _ in runs] == control_ids
    assert sum(count for _, count in runs) <= len(control_ids) + 1  # the one whose answer was not recorded
    assert set(peer.got) == {message.body for message in all_messages(database)}


def test_a_ris_on_a_bad_day_gets_everything_in_order(database: Database, clock: FakeClock) -> None:
    control_ids = owe_two_orders(database, clock)
    script: list[Answer] = [
        *(says("AA"), says("AR"), says("AA"), nothing, says("AA", to="OTHER"), hangs_up),
        *(says("AA"), says("AE", b"ERR|ORC^1^2^204&Unknown key identifier&HL70357\r"), says("CA")),
    ]
    with ris(*script) as peer:
        assert sent(database, peer) == 0
    assert list(dict.fromkeys(peer.control_ids)) == control_ids
    assert [control_id for control_id, _ in groupby(peer.control_ids)] == control_ids
    states = [message.state for message in all_messages(database)]
    assert states.count(OwedState.PARKED) == 1
    assert states.count(OwedState.DELIVERED) == len(control_ids) - 1


RECEIVER = """
[[receivers]]
name = "ris"
host = "127.0.0.1"
port = {port}
receiving_application = "RIS"
quiet_seconds = 0
"""


@pytest.mark.foreign
@pytest.mark.slow
def test_what_is_performed_and_its_images_are_told_to_the_ris_once_each(tmp_path: Path) -> None:
    first = images()[0]
    study = str(dcmread(first, stop_before_pixels=True).StudyInstanceUID)
    with ris() as peer, dcmtk.storescp(tmp_path / "pacs") as pacs:
        toml = destination("main-pacs", pacs.port) + RECEIVER.format(port=peer.port)
        environment = Environment(tmp_path, destinations=toml).write()
        with environment.serving():
            environment.register()
            file = environment.folder / "order.hl7"
            zds = f"ZDS|{study}^^Application^DICOM\r"
            file.write_bytes((ORDER.format(control="C1", accession="A1", world="T") + zds).encode("latin-1"))
            assert environment.command("order", "send", file).returncode == 0
            for status in ("started", "completed"):
                done = environment.command("order", "status", "A1", status, "--why", "said by the room")
                assert done.returncode == 0, done.stderr
            assert send(environment.dicom, "US_ROOM2", read_part10(first)) == 0
            wait_for("all is told", lambda: len(peer.got) == 3, 30)
            rows = environment.ask("outbox", "list")
            assert [(row["event"], row["state"]) for row in rows] == [
                ("images-available", "delivered"),
                ("completed", "delivered"),
                ("started", "delivered"),
            ]
    told = [Message.read(message) for message in peer.got]
    assert [(m.all("ORC")[0].get(5), m.all("OBR")[0].get(25)) for m in told] == [("IP", "I"), ("CM", ""), ("CM", "R")]
    for message in told:
        (obr,) = message.all("OBR")
        assert [obr.get(n) for n in (2, 3, 18, 19, 20)] == ["P100", "F200", "A1", "RP200", "S1"]
        assert message.all("ORC")[0].raw(2) == "P100^HIS"
        assert message.all("PID")[0].raw(3) == "4711^^^HOSP"
        assert message.all("ZDS")[0].get(1) == study
