"""The inbox keeps every byte, and knows what became of it."""

import hashlib
from dataclasses import replace

from broker.database import Database
from broker.inbox import store
from broker.inbox.model import ACCEPTED, NO_ANSWER, Arrival, EntryState, HeaderFacts, Outcome
from tests.conftest import FakeClock

RAW = b"MSH|^~\\&|RIS|HOSP\r\x00\xff"
FACTS = HeaderFacts(True, False, "RIS", "HOSP", "ORM^O01", "1", payload_sha256="a" * 64)


def kept(database: Database, clock: FakeClock, raw: bytes = RAW, facts: HeaderFacts = FACTS) -> int:
    with database.write("inbox") as tx:
        arrival = Arrival(clock.now(), "127.0.0.1", 4000)
        return store.keep(tx, arrival, raw, facts, state=EntryState.KEPT, outcome=NO_ANSWER, acknowledgement=b"MSA")


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


def test_what_came_before_under_a_control_id_is_known_with_its_answer(database: Database, clock: FakeClock) -> None:
    entry_id = kept(database, clock)
    other = replace(FACTS, payload_sha256="b" * 64)
    with database.write("inbox") as tx:
        assert store.earlier(tx, FACTS) == [store.Earlier(entry_id, True, False, b"MSA")]
        store.finish(tx, entry_id, EntryState.APPLIED, ACCEPTED)
        store.repeated(tx, entry_id)
    with database.read() as tx:
        assert store.earlier(tx, FACTS) == [store.Earlier(entry_id, True, True, b"MSA")]
        assert store.earlier(tx, other) == [store.Earlier(entry_id, False, True, b"MSA")]
        assert store.earlier(tx, replace(FACTS, sending_facility="WARD")) == []
        entry = store.find(tx, entry_id)
    assert entry is not None
    assert entry.repeats == 1


def test_what_a_person_does_leaves_the_answer_as_it_was(database: Database, clock: FakeClock) -> None:
    entry_id = kept(database, clock)
    with database.write("inbox") as tx:
        store.warn(tx, entry_id, EntryState.LATE, "older than what is known", b"MSA2")
        store.note_state(tx, entry_id, EntryState.DISMISSED, "Olga: sent twice")
    with database.read() as tx:
        entry = store.find(tx, entry_id)
    assert entry is not None
    assert (entry.state, entry.note, entry.acknowledgement_code) == (EntryState.DISMISSED, "Olga: sent twice", "AA")
    assert entry.acknowledgement == b"MSA2"


def test_entries_are_found_by_control_id_and_by_age(database: Database, clock: FakeClock) -> None:
    first, second = kept(database, clock), kept(database, clock)
    with database.read() as tx:
        assert [entry.id for entry in store.by_control_id(tx, "1")] == [second, first]
        assert [entry.id for entry in store.newest(tx, 5)] == [first, second]
        assert [entry.id for entry in store.newest(tx, 5, before=second)] == [first]


def test_header_of_any_length_and_repertoire_is_kept(database: Database, clock: FakeClock) -> None:
    facts = HeaderFacts(True, False, "A\0B", "x" * 5000, "ORM", "\udc80")
    entry_id = kept(database, clock, facts=facts)
    with database.read() as tx:
        entry = store.find(tx, entry_id)
    assert entry is not None
    assert (entry.sending_application, entry.control_id, len(entry.sending_facility)) == ("AB", "?", 255)
