"""The inbox keeps every byte, and knows what became of it."""

import hashlib

from broker.database import Database
from broker.inbox import store
from broker.inbox.model import ACCEPTED, Arrival, EntryState, HeaderFacts, Outcome
from tests.conftest import FakeClock

RAW = b"MSH|^~\\&|RIS|HOSP\r\x00\xff"
FACTS = HeaderFacts(True, False, "RIS", "HOSP", "ORM^O01", "1")


def kept(database: Database, clock: FakeClock, raw: bytes = RAW, facts: HeaderFacts = FACTS) -> int:
    with database.write("inbox") as tx:
        return store.keep(tx, Arrival(clock.now(), "127.0.0.1", 4000), raw, facts)


def test_message_is_kept_byte_for_byte(database: Database, clock: FakeClock) -> None:
    entry_id = kept(database, clock)
    with database.read() as tx:
        entry = store.find(tx, entry_id)
    assert entry is not None
    assert (entry.raw, entry.sha256) == (RAW, hashlib.sha256(RAW).hexdigest())
    assert (entry.state, entry.control_id, entry.arrival.received) == (EntryState.KEPT, "1", clock.now())


def test_outcome_is_recorded(database: Database, clock: FakeClock) -> None:
    entry_id = kept(database, clock)
    with database.write("inbox") as tx:
        store.finish(tx, entry_id, EntryState.REFUSED, Outcome("AE", "PID^1^3", "101", "PatientID is missing"))
    with database.read() as tx:
        entry = store.find(tx, entry_id)
    assert entry is not None
    assert (entry.state, entry.acknowledgement_code) == (EntryState.REFUSED, "AE")
    assert (entry.error_location, entry.error_code) == ("PID^1^3", "101")


def test_entries_are_listed_newest_first_and_by_state(database: Database, clock: FakeClock) -> None:
    first, second = kept(database, clock), kept(database, clock)
    with database.write("inbox") as tx:
        store.finish(tx, first, EntryState.APPLIED, ACCEPTED)
    with database.read() as tx:
        assert [entry.id for entry in store.entries(tx)] == [second, first]
        assert [entry.id for entry in store.entries(tx, [EntryState.APPLIED])] == [first]
        assert [entry.id for entry in store.entries(tx, limit=1)] == [second]


def test_only_the_same_bytes_that_were_applied_count_as_sent_before(database: Database, clock: FakeClock) -> None:
    entry_id = kept(database, clock)
    with database.write("inbox") as tx:
        assert store.applied_before(tx, FACTS, RAW) is None
        store.finish(tx, entry_id, EntryState.APPLIED, ACCEPTED)
    with database.read() as tx:
        before = store.applied_before(tx, FACTS, RAW)
        assert before is not None
        assert before.id == entry_id
        assert store.applied_before(tx, FACTS, RAW + b"x") is None


def test_header_of_any_length_and_repertoire_is_kept(database: Database, clock: FakeClock) -> None:
    facts = HeaderFacts(True, False, "A\0B", "x" * 5000, "ORM", "\udc80")
    entry_id = kept(database, clock, facts=facts)
    with database.read() as tx:
        entry = store.find(tx, entry_id)
    assert entry is not None
    assert (entry.sending_application, entry.control_id, len(entry.sending_facility)) == ("AB", "?", 255)
