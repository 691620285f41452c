"""A query from its bytes to its answers, without a socket."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from broker.database import Database
from broker.dimse.service import FindAnswer, FindRequest
from broker.worklist import find, store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.find import answers
from broker.worklist.model import QueryResult, Viewer
from broker.worklist.plan import plan
from tests.conftest import FakeClock
from tests.unit.worklist.building import ANYBODY, ORDER, PATIENT, STATIONS, US1, decoded, identifier


class ImpatientClock(FakeClock):
    """A second passes whenever it is asked."""

    def monotonic(self) -> float:
        self.advance(1)
        return super().monotonic()


@pytest.fixture
def filled(database: Database) -> Database:
    names = ("Muster^Eva", "Beispiel^Bert", "Łukasz^Jan")
    with database.write("orders") as tx:
        for number, name in enumerate(names, 1):
            patient = replace(PATIENT, patient_name=name, patient_id=f"P{number}")
            order = replace(ORDER, patient=patient, study_instance_uid=f"1.2.{number}")
            store.replace(tx, number, plan(order, number))
    return database


def request(data: bytes, is_cancelled: Callable[[], bool] = lambda: False) -> FindRequest:
    return FindRequest(1, "1.2.840.10008.5.1.4.31", IMPLICIT_LITTLE_ENDIAN, data, is_cancelled)


def ask(
    database: Database, asked: FindRequest, viewer: Viewer = US1, clock: FakeClock | None = None
) -> tuple[list[FindAnswer], QueryResult]:
    result: list[QueryResult] = []

    def run() -> Iterator[FindAnswer]:
        result.append((yield from answers(database, asked, viewer, STATIONS, clock or FakeClock())))

    return list(run()), result[0]


def test_one_pending_answer_an_item_then_success(filled: Database) -> None:
    found, result = ask(filled, request(identifier({"ScheduledProcedureStepID": "S1"}, PatientName="")))
    assert [answer.status for answer in found] == [0xFF00] * 3 + [0x0000]
    names = [str(decoded(answer.identifier).PatientName) for answer in found if answer.identifier]
    assert names == ["Beispiel^Bert", "Muster^Eva", "Łukasz^Jan"]
    assert result.matched == len(result.items) == 3
    assert result.keys == ("ScheduledProcedureStepID",)


def test_no_match_is_success_alone(filled: Database) -> None:
    found, result = ask(filled, request(identifier(PatientID="none")))
    assert found == [FindAnswer(0x0000)]
    assert result.matched == 0


def test_a_cancel_ends_with_fe00_and_nothing_after_it(filled: Database) -> None:
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) == 3  # once only, as some engines tell it

    found, result = ask(filled, request(identifier({}), cancelled))
    assert [answer.status for answer in found] == [0xFF00, 0xFF00, 0xFE00]
    assert found[-1].identifier is None
    assert (result.status, len(result.items), result.matched) == (0xFE00, 2, 6)


def test_a_bad_query_gets_its_status_comment_and_elements(filled: Database) -> None:
    found, result = ask(filled, request(identifier(PatientBirthDate="x")))
    (answer,) = found
    assert (answer.status, answer.identifier, answer.offending_element) == (0xA900, None, (0x00100030,))
    assert answer.error_comment == result.comment == "PatientBirthDate is no DA nor a range"
    found, _ = ask(filled, request(b"\x08"))
    assert [answer.status for answer in found] == [0xC000]


def test_an_unavailable_database_is_a700(tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = Database(f"sqlite:///{tmp_path_factory.mktemp('x') / 'no' / 'such.db'}")
    found, result = ask(broken, request(identifier({})))
    assert [answer.status for answer in found] == [0xA700]
    assert result.status == 0xA700
    broken.close()


def test_a_query_that_takes_too_long_is_a700(filled: Database) -> None:
    found, _ = ask(filled, request(identifier({})), clock=ImpatientClock())
    assert [answer.status for answer in found] == [0xA700]
    assert "add a key" in found[0].error_comment


def test_no_transaction_is_open_while_answers_leave(filled: Database) -> None:
    running = answers(filled, request(identifier({})), US1, STATIONS, FakeClock())
    assert next(running).status == 0xFF00
    with filled.write("orders") as tx:  # would wait for a reader on neither database
        store.replace(tx, 1, ())
    assert [answer.status for answer in running] == [0xFF00] * 5 + [0x0000]


def test_more_matches_than_the_most_are_cut_to_the_soonest(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MAXIMUM_ANSWERS", 4)
    found, result = ask(filled, request(identifier({"ScheduledProcedureStepID": ""})), ANYBODY)
    ids = [
        decoded(answer.identifier).ScheduledProcedureStepSequence[0].ScheduledProcedureStepID
        for answer in found
        if answer.identifier
    ]
    assert ids == ["S1", "S1", "S1", "S2"]
    assert found[-1].status == 0x0000
    assert result.truncated


def test_the_result_s_facts_hold_no_patient(filled: Database) -> None:
    _, result = ask(filled, request(identifier({}, PatientName="Muster", PatientID="P1", Manufacturer="")))
    assert result.facts() == {
        "status": "0000",
        "keys": ["PatientName", "PatientID"],
        "matched": 2,
        "answered": 2,
        "truncated": False,
        "all_supported": False,
        "transliterated": 0,
        "why": "",
    }
    limited = replace(US1, character_sets=("ISO_IR 100",))
    _, result = ask(filled, request(identifier({}, PatientName="lukasz")), limited)
    assert result.transliterated == 2
