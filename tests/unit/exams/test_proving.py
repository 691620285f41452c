"""What the ledger says of proofs."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from broker.commitment.model import Reference
from broker.commitment.proof.model import Proof, ProofState
from broker.delivery.model import DeliveryState
from broker.environments.model import ExamSettings
from broker.exams.limits import Limits
from broker.exams.model import Expected, Line, Mark, Recorded, Sent
from broker.exams.proving import proven
from broker.orders.model import Order, Patient, StoredOrder

AT = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
STORED = StoredOrder(3, Order(Patient("P1")), 1, False, 0, AT, AT, 7)
LIMITS = Limits(ExamSettings(), ZoneInfo("UTC"), AT)
PROVEN, ASKED, FAILED, NOT_ASKED = ProofState.PROVEN, ProofState.ASKED, ProofState.FAILED, ProofState.NOT_ASKED


def proof(state: ProofState, reason: str = "", destination: str = "pacs") -> Proof:
    finished = AT if state is PROVEN else None
    return Proof(1, 1, "01", destination, Reference("1", "2"), state, 1, False, AT, AT, "1.2", reason, finished)


def lines(*proofs: Proof, owed: int = 0, provers: frozenset[str] = frozenset({"pacs"})) -> list[Line]:
    sent = tuple(Sent("pacs", DeliveryState.WAITING, AT, None, "") for _ in range(owed))
    return proven(Recorded(STORED, Expected(3), sent=sent, proofs=proofs, provers=provers), LIMITS)


def test_all_proven_is_done_with_the_time_of_the_last() -> None:
    (line,) = lines(proof(PROVEN), proof(PROVEN))
    assert (line.mark, line.text, line.at, line.about) == (Mark.DONE, "2 of 2 proven", AT, "pacs")
    assert (line.count, line.of) == (2, 2)


def test_what_is_still_to_be_delivered_counts_as_still_to_be_proven() -> None:
    (line,) = lines(proof(PROVEN), proof(ASKED), owed=3)
    assert (line.mark, line.text, line.count, line.of) == (Mark.PARTLY, "1 of 5 proven; 1 asked for", 1, 5)
    (line,) = lines(owed=2)
    assert (line.mark, line.text) == (Mark.NOT_YET, "0 of 2 proven")


def test_what_is_not_kept_there_waits_for_a_person_with_the_reason() -> None:
    (line,) = lines(proof(PROVEN), proof(FAILED, "it does not have it"), owed=1)
    assert (line.mark, line.of) == (Mark.PERSON, 2)
    assert line.text == "1 of 2 proven; 1 not kept there: it does not have it"


def test_nobody_is_asked_where_no_destination_proves() -> None:
    (line,) = lines(owed=2, provers=frozenset())
    assert (line.mark, line.about) == (Mark.NOT_ASKED, "")
    (line,) = lines(proof(NOT_ASKED, "the destination does not prove: why"))
    assert (line.mark, line.text) == (Mark.NOT_ASKED, "the destination does not prove: why")


def test_each_destination_has_its_line() -> None:
    found = lines(proof(PROVEN), proof(ASKED, destination="archive"))
    assert [(line.about, line.mark) for line in found] == [("archive", Mark.PARTLY), ("pacs", Mark.DONE)]
