"""A query from its bytes to its answers, without a socket."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from broker.database import Database, Transaction
from broker.dimse.service import FindAnswer, FindRequest
from broker.errors import Unavailable
from broker.orders.model import StepStatus
from broker.registry.model import Habits, ListOrder
from broker.worklist import find, store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.find import answers
from broker.worklist.model import QueryResult, Viewer, WorklistItem
from broker.worklist.plan import plan
from tests.conftest import FakeClock
from tests.unit.worklist.building import ANYBODY, ORDER, PATIENT, STATIONS, STEP, US1, decoded, identifier


class ImpatientClock(FakeClock):
    """Seconds pass whenever it is asked."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def monotonic(self) -> float:
        self.advance(self._seconds)
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


def test_who_leaves_before_the_last_answer_was_shown_what_came_until_then(filled: Database) -> None:
    left: list[QueryResult] = []
    asked = request(identifier({}, PatientName=""))
    running = answers(filled, asked, US1, STATIONS, FakeClock(), left=left.append)
    assert [next(running).status for _ in range(2)] == [0xFF00, 0xFF00]
    running.close()
    (result,) = left
    assert (result.status, len(result.items), result.comment) == (0xFE00, 2, "the device left before the last answer")


def test_who_is_seen_to_be_gone_before_an_answer_has_left_too(filled: Database) -> None:
    left: list[QueryResult] = []

    def gone() -> NoReturn:
        raise Unavailable("the peer has gone")

    running = answers(filled, request(identifier({}), gone), US1, STATIONS, FakeClock(), left=left.append)
    with pytest.raises(Unavailable):
        next(running)
    assert [(result.status, result.items) for result in left] == [(0xFE00, ())]


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


def test_a_query_that_finds_nothing_for_too_long_is_a700(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "FIRST_PAGE", 1)
    monkeypatch.setattr(find, "PAGE", 1)
    found, _ = ask(filled, request(identifier({}, PatientID="*none*")), clock=ImpatientClock(find.LOOKING_SECONDS / 3))
    assert [answer.status for answer in found] == [0xA700]
    assert "add a key" in found[0].error_comment


def test_what_was_found_is_answered_however_long_that_takes(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "FIRST_PAGE", 1)
    monkeypatch.setattr(find, "PAGE", 1)
    found, result = ask(filled, request(identifier({}, PatientID="*2")), clock=ImpatientClock(60))
    assert [answer.status for answer in found] == [0xFF00] * 2 + [0x0000]
    assert len(set(result.items)) == 2


def test_a_cancel_is_heard_while_nothing_is_found(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "FIRST_PAGE", 1)
    monkeypatch.setattr(find, "PAGE", 1)
    found, result = ask(filled, request(identifier({}, PatientID="*none*"), lambda: True))
    assert [answer.status for answer in found] == [0xFE00]
    assert (result.status, result.explanation) == (0xFE00, ())


def test_no_transaction_is_open_while_answers_leave(filled: Database) -> None:
    running = answers(filled, request(identifier({})), US1, STATIONS, FakeClock())
    assert next(running).status == 0xFF00
    with filled.write("orders") as tx:  # would wait for a reader on neither database
        store.replace(tx, 1, ())
    assert [answer.status for answer in running] == [0xFF00] * 5 + [0x0000]


def test_a_device_s_limit_cuts_to_the_soonest(filled: Database) -> None:
    limited = replace(ANYBODY, habits=Habits(limit=4))
    found, result = ask(filled, request(identifier({"ScheduledProcedureStepID": ""})), limited)
    ids = [
        decoded(answer.identifier).ScheduledProcedureStepSequence[0].ScheduledProcedureStepID
        for answer in found
        if answer.identifier
    ]
    assert ids == ["S1", "S1", "S1", "S2"]
    assert found[-1].status == 0x0000
    assert (result.truncated, result.matched) == (True, 4)


@pytest.mark.parametrize("limit", [6, 7, 0])
def test_a_limit_that_nothing_exceeds_truncates_nothing(filled: Database, limit: int) -> None:
    found, result = ask(filled, request(identifier({})), replace(ANYBODY, habits=Habits(limit=limit)))
    assert (len(found), result.truncated, result.matched) == (7, False, 6)


def test_a_long_list_leaves_in_pages_each_in_a_transaction_of_its_own(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = ask(filled, request(identifier({}, PatientName="")))
    for first, next_ in ((1, 1), (2, 1), (1, 4), (6, 6), (3, 3)):
        monkeypatch.setattr(find, "FIRST_PAGE", first)
        monkeypatch.setattr(find, "PAGE", next_)
        found, result = ask(filled, request(identifier({}, PatientName="")))
        assert found == whole
        assert (result.matched, result.truncated) == (6, False)
        limited, result = ask(filled, request(identifier({}, PatientName="")), replace(US1, habits=Habits(limit=5)))
        assert limited == [*whole[:5], whole[-1]]
        assert (result.matched, result.truncated) == (5, True)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (ListOrder.SOONEST, ["Beispiel", "Muster", "Łukasz", "Beispiel"]),
        (ListOrder.LATEST, ["Beispiel", "Łukasz", "Muster", "Beispiel"]),
        (ListOrder.NAME, ["Beispiel", "Beispiel", "Łukasz", "Muster"]),
    ],
)
def test_the_soonest_are_listed_in_the_device_s_order(filled: Database, order: ListOrder, names: list[str]) -> None:
    viewer = replace(US1, habits=Habits(limit=4, order=order), character_sets=("ISO_IR 192",))
    found, _ = ask(filled, request(identifier(PatientName="")), viewer)
    shown = [str(decoded(answer.identifier).PatientName).split("^")[0] for answer in found if answer.identifier]
    assert shown == names


def test_what_is_not_supported_is_a_warning_or_left_out_where_a_device_wants_that(filled: Database) -> None:
    asked = identifier({}, Manufacturer="", PatientID="P1")
    for habits, statuses, is_there in (
        (Habits(), {0xFF00}, True),
        (Habits(warns_of_unsupported=True), {0xFF01}, True),
        (Habits(unsupported_as_empty=False), {0xFF00}, False),
    ):
        found, _ = ask(filled, request(asked), replace(US1, habits=habits))
        assert {answer.status for answer in found[:-1]} == statuses
        assert ("Manufacturer" in decoded(found[0].identifier or b"")) is is_there
    found, _ = ask(
        filled, request(identifier({}, PatientID="P1")), replace(US1, habits=Habits(warns_of_unsupported=True))
    )
    assert {answer.status for answer in found[:-1]} == {0xFF00}


def test_a_started_step_is_hidden_as_the_later_stage_says(filled: Database) -> None:
    started = replace(ORDER, study_instance_uid="1.2.9", steps=(replace(STEP, status=StepStatus.STARTED),))
    with filled.write("orders") as tx:
        store.replace(tx, 9, plan(started, 9))
    asked: list[int] = []

    def hides(_tx: Transaction, items: Sequence[WorklistItem]) -> frozenset[int]:
        asked.extend(item.id for item in items)
        return frozenset(item.id for item in items)

    whole = list(answers(filled, request(identifier({})), US1, STATIONS, FakeClock()))
    less = list(answers(filled, request(identifier({})), US1, STATIONS, FakeClock(), hides))
    assert (len(whole), len(less), len(asked)) == (8, 7, 1)


def test_a_suspended_device_is_shown_what_it_has_begun_and_nothing_new(filled: Database) -> None:
    suspended = replace(US1, is_suspended=True)
    found, result = ask(filled, request(identifier({})), suspended)
    assert found == [FindAnswer(0x0000)]
    assert result.explanation[-1] == {"key": "suspended", "remain": 0}
    started = replace(ORDER, study_instance_uid="1.2.9", steps=(replace(STEP, status=StepStatus.STARTED),))
    with filled.write("orders") as tx:
        store.replace(tx, 9, plan(started, 9))
    found, _ = ask(filled, request(identifier({}, StudyInstanceUID="")), suspended)
    assert [str(decoded(answer.identifier).StudyInstanceUID) for answer in found if answer.identifier] == ["1.2.9"]


def test_a_database_that_goes_away_between_pages_ends_with_a700(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "FIRST_PAGE", 2)
    running = answers(filled, request(identifier({})), US1, STATIONS, FakeClock())
    assert [next(running).status for _ in range(2)] == [0xFF00, 0xFF00]

    def gone() -> NoReturn:
        raise Unavailable("gone")

    monkeypatch.setattr(filled, "read", gone)
    assert [answer.status for answer in running] == [0xA700]


def test_a_query_that_found_nothing_says_where(filled: Database) -> None:
    step = {"ScheduledProcedureStepStartDate": "20260201", "Modality": "US", "ScheduledStationAETitle": "US_1"}
    _, result = ask(filled, request(identifier(step, PatientName="Muster^Eva")))
    assert result.facts()["explanation"] == [
        {"key": "ScheduledProcedureStepStartDate", "remain": 6},
        {"key": "Modality", "remain": 6},
        {"key": "device", "remain": 6},
        {"key": "ScheduledStationAETitle", "remain": 0, "nearest": "US1"},
    ]
    assert "Muster" not in str(result.facts())


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
