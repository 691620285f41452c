"""What nobody else records: in both databases."""

from dataclasses import replace

from broker.database import Database
from broker.promotion.model import Hashes
from broker.promotion.recorded import store
from broker.promotion.recorded.model import Echo, InForce, Way
from tests.conftest import FakeClock


def test_an_echo_comes_back_as_it_was_newest_first(database: Database, clock: FakeClock) -> None:
    received = Echo("us", clock.now(), Way.RECEIVED, "0" * 26, "r1", "10.0.0.9")
    sent = Echo("us", clock.now(), Way.SENT, "", "r1", "10.0.0.9", 104, "1.0", "no answer")
    with database.write("promotion") as tx:
        numbers = [store.add_echo(tx, each) for each in (received, sent, replace(received, device="other"))]
    with database.read() as tx:
        assert store.echoes(tx, "us") == [replace(sent, id=numbers[1]), replace(received, id=numbers[0])]


def test_settings_are_noted_where_they_change(database: Database, clock: FakeClock) -> None:
    first = InForce(clock.now(), Hashes("d", "r", "p", "m"), "1.0")
    second = replace(first, hashes=Hashes("d", "r", "p", "x"))
    third = replace(second, software="1.1")
    with database.write("promotion") as tx:
        assert [store.take_note(tx, each) for each in (first, first, second, third, third)] == [
            True, False, True, True, False,
        ]  # fmt: skip
        assert store.in_force(tx) == [first, second, third]
