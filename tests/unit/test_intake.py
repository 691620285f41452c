"""One message's way: kept with its effect and its acknowledgement, answered again, replayed, or only tried."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from broker.alerts import store as alerts
from broker.database import Database
from broker.environments import profile as profiles
from broker.environments.model import AcknowledgedBy, Profile, Source
from broker.errors import NotFound, Refused
from broker.inbox import store as inbox
from broker.inbox.model import Arrival, EntryState, InboxEntry, Outcome
from broker.intake import Intake
from broker.orders import messages
from broker.orders import store as orders
from broker.orders.model import Did
from broker.registry.cache import RegistryCache
from broker.worklist import store as worklist
from tests.conftest import FakeClock
from tests.unit.environments.test_profile import WHOLE
from tests.unit.hl7.orders import ORDER

ORDER_OF_TEST = ORDER.replace(b"|P|2.3.1", b"|T|2.3.1")
CANCEL = (
    b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131112233+0100||ORM^O01|MSG0002|T|2.3.1||||||8859/1\r"
    b"ORC|CA|P100^HIS|F200^RIS||CA\r"
)
UNMAPPED = ORDER_OF_TEST.replace(b"ORC|NW|", b"ORC|PY|")


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE, encoding="utf-8")
    return profiles.read(file)


@pytest.fixture
def intake(profile: Profile, database: Database, clock: FakeClock) -> Intake:
    return Intake(profile, database, RegistryCache(database), clock)


@pytest.fixture
def take(intake: Intake, clock: FakeClock) -> Callable[[bytes], bytes | None]:
    numbers = iter(range(1000))

    def answer(outcome: Outcome, _by: AcknowledgedBy) -> bytes | None:
        return f"{outcome.code} {next(numbers)} {outcome.text}".encode() if outcome.code else None

    return lambda raw: intake.take(raw, Arrival(clock.now(), "127.0.0.1", 4000), answer).acknowledgement


Take = Callable[[bytes], bytes | None]


def entries(database: Database) -> list[InboxEntry]:
    with database.read() as tx:
        return inbox.entries(tx)[::-1]


def statuses(database: Database) -> list[str]:
    with database.read() as tx:
        (order,) = orders.orders(tx)
        return [item.status.value for item in worklist.of_order(tx, order.id)]


def test_a_message_is_kept_with_its_effect_and_its_acknowledgement(take: Take, database: Database) -> None:
    answer = take(ORDER_OF_TEST)
    (entry,) = entries(database)
    assert (entry.raw, entry.state, entry.acknowledgement) == (ORDER_OF_TEST, EntryState.APPLIED, answer)
    assert entry.source == "default"
    assert statuses(database) == ["SCHEDULED", "SCHEDULED"]


def test_a_message_sent_again_gets_the_stored_answer_and_changes_nothing(take: Take, database: Database) -> None:
    first = take(ORDER_OF_TEST)
    later = ORDER_OF_TEST.replace(b"20260131102233+0100", b"20260131102299+0100")
    assert take(later) == first
    (entry,) = entries(database)
    assert entry.repeats == 1


def test_a_control_id_used_for_other_bytes_is_another_message(take: Take, database: Database) -> None:
    take(ORDER_OF_TEST)
    take(CANCEL.replace(b"MSG0002", b"MSG0001"))
    assert statuses(database) == ["CANCELED", "CANCELED"]
    assert len(entries(database)) == 2


def test_what_was_refused_is_processed_anew_when_it_is_sent_again(take: Take, database: Database) -> None:
    change = ORDER_OF_TEST.replace(b"ORC|NW", b"ORC|XO").replace(b"MSG0001", b"MSG0009").replace(b"|US||||||WALK", b"|")
    without_modality = change.replace(b"S2||||US", b"S2")
    refused = take(without_modality)
    assert refused is not None
    assert refused.startswith(b"AE")
    take(ORDER_OF_TEST)
    again = take(without_modality)
    assert again is not None
    assert again.startswith(b"AA")


def test_an_unmapped_order_control_waits_for_a_person(take: Take, database: Database) -> None:
    answer = take(UNMAPPED)
    assert answer is not None
    assert answer.startswith(b"AE")
    (entry,) = entries(database)
    assert (entry.state, entry.error_code, entry.error_location) == (EntryState.PERSON, "103", "ORC^1^1")
    with database.read() as tx:
        assert [alert.event for alert in alerts.open_alerts(tx)] == ["message.person"]


def test_a_replayed_message_is_applied_and_says_by_whom(
    take: Take, profile: Profile, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    take(UNMAPPED)
    table = tmp_path / "order-control.toml"
    table.write_text('base = "built-in"\n[control]\nPY = "new"\n', encoding="utf-8")
    default = replace(profile.hl7.default, order_control=str(table))
    mended = replace(profile, hl7=replace(profile.hl7, default=default))
    taken = Intake(mended, database, RegistryCache(database), clock).replay(1, "Olga")
    assert (taken.state, taken.outcome.code) == (EntryState.APPLIED, "AA")
    (entry,) = entries(database)
    assert entry.note == "replayed by Olga"
    assert entry.acknowledgement.startswith(b"AE")  # as it was sent
    assert statuses(database) == ["SCHEDULED", "SCHEDULED"]


def test_what_was_applied_is_not_replayed(take: Take, intake: Intake) -> None:
    take(ORDER_OF_TEST)
    with pytest.raises(Refused, match="message 1 is applied"):
        intake.replay(1, "Olga")
    with pytest.raises(NotFound):
        intake.replay(2, "Olga")


def test_trying_a_message_does_nothing_and_shows_what_it_would_do(
    take: Take, intake: Intake, database: Database
) -> None:
    new = intake.attempt(ORDER_OF_TEST, "127.0.0.1")
    assert new.outcome.code == "AA"
    assert (new.did, new.before, len(new.after)) == ((Did.CREATED,), (), 2)
    with database.read() as tx:
        assert orders.orders(tx) == []
    take(ORDER_OF_TEST)
    canceled = intake.attempt(CANCEL, "127.0.0.1")
    assert canceled.did == (Did.CANCELED,)
    assert [item.status.value for item in canceled.before] == ["SCHEDULED", "SCHEDULED"]
    assert [item.status.value for item in canceled.after] == ["CANCELED", "CANCELED"]
    assert statuses(database) == ["SCHEDULED", "SCHEDULED"]
    assert intake.attempt(UNMAPPED, "127.0.0.1").outcome.code == "AE"


def test_a_failure_nobody_foresaw_keeps_the_message_once_and_answers_nothing(
    take: Take, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_raw: bytes, _context: messages.Context) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(messages, "translate", broken)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            take(ORDER_OF_TEST)
    (entry,) = entries(database)
    assert (entry.state, entry.raw, entry.repeats) == (EntryState.KEPT, ORDER_OF_TEST, 1)
    assert entry.acknowledgement == b""


def test_noise_and_acknowledgements_are_kept_and_not_answered(take: Take, database: Database) -> None:
    assert take(b"hello") is None
    assert take(re.sub(rb"ORM\^O01", b"ACK^O01", ORDER_OF_TEST)) is None
    assert [entry.state for entry in entries(database)] == [EntryState.UNREADABLE, EntryState.IGNORED]


def test_a_patient_whom_nobody_ordered_for_is_taken(take: Take, database: Database) -> None:
    lines = (
        b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131112233+0100||ADT^A04|MSG0009|T|2.3.1",
        b"EVN|A04|20260131112233",
        b"PID|||4799^^^HOSP||Neu^Eva||19700101|F",
        b"PV1||O",
    )
    assert (take(b"\r".join(lines) + b"\r") or b"").startswith(b"AA")
    assert [entry.state for entry in entries(database)] == [EntryState.APPLIED]


def test_a_late_message_says_so(take: Take, database: Database) -> None:
    take(CANCEL)
    answer = take(ORDER_OF_TEST)
    assert answer is not None
    assert answer.startswith(b"AA")
    assert [entry.state for entry in entries(database)] == [EntryState.APPLIED, EntryState.LATE]
    assert entries(database)[1].error_text


def test_every_attribute_of_an_item_says_where_it_comes_from(take: Take, database: Database) -> None:
    take(ORDER_OF_TEST)
    with database.read() as tx:
        item = worklist.of_order(tx, 1)[0]
    assert item.provenance["AccessionNumber"].source == "OBR-18"
    assert item.provenance["AccessionNumber"].entry_id == 1
    assert item.provenance["PatientName"].source == "PID-5"
    assert item.provenance["ScheduledProcedureStepID"].source == "OBR-20"
    assert item.provenance["StudyInstanceUID"].source == "ZDS-1"


def test_an_item_knows_who_ordered_it_whoever_changes_the_patient_later(take: Take, database: Database) -> None:
    take(ORDER_OF_TEST)
    change = ORDER_OF_TEST.replace(b"MSG0001", b"MSG0009").replace(b"|RIS|", b"|HIS|").replace(b"ORC|NW|", b"ORC|XO|")
    assert (take(change) or b"").startswith(b"AA")
    with database.read() as tx:
        (order,) = orders.orders(tx)
        assert {item.sending_application for item in worklist.of_order(tx, order.id)} == {"RIS"}


def test_only_a_source_that_says_so_is_rejected_in_an_outage(
    profile: Profile, database: Database, clock: FakeClock
) -> None:
    source = Source(
        "ris",
        sending_application="RIS",
        processing_ids=("T",),
        timezone=ZoneInfo("Europe/Berlin"),
        retries_on_reject=True,
    )
    told = replace(profile, hl7=replace(profile.hl7, sources=(source,)))
    intake = Intake(told, database, RegistryCache(database), clock)
    assert intake.sends_again_after_reject(ORDER_OF_TEST)
    assert not intake.sends_again_after_reject(ORDER_OF_TEST.replace(b"|RIS|", b"|HIS|"))
    assert not intake.sends_again_after_reject(b"hello")
