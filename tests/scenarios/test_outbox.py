"""Status to a RIS that answers badly, or not, and from a broker that is killed: in order, and nothing lost."""

import os
import signal
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from broker.database import Database
from broker.environments.model import OrderEvent
from broker.outbox.model import OutboxState
from tests.conftest import FakeClock
from tests.unit.outbox.examples import all_messages, order, owed
from tests.unit.outbox.ris import Answer, Ris, hangs_up, nothing, ris, says

ROOT = Path(__file__).parents[2]
EVENTS = (OrderEvent.STARTED, OrderEvent.COMPLETED, OrderEvent.IMAGES_AVAILABLE)
POINTS = [  # with the number of the pass: in the midst of the messages
    f"{place}.{side}:{nth}"
    for place, nth in (("outbox.commit", 1), ("outbox.send", 2), ("outbox-outcome.commit", 2))
    for side in ("before", "after")
]


def sent(database: Database, peer: Ris, **environment: str) -> int:
    """Run the process that sends; return its exit code."""
    url = database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.scenarios.outbox_process", url, str(peer.port)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, timeout=60, check=False).returncode


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
    assert {message.state for message in all_messages(database)} == {OutboxState.DELIVERED}
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
    assert states.count(OutboxState.PARKED) == 1
    assert states.count(OutboxState.DELIVERED) == len(control_ids) - 1
