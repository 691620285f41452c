"""What the ledger says of copies that were altered."""

from datetime import UTC, datetime, timedelta

from broker.delivery.correction.applying import AGREES
from broker.delivery.correction.model import Applied, Became, Doubt
from broker.exams.altered import altered
from broker.exams.model import Expected, Mark, Recorded, Stage
from broker.orders.model import Order, Patient, StoredOrder

AT = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
STORED = StoredOrder(3, Order(Patient("P1")), 1, False, 0, AT, AT, 7)
NAMED = ("PatientID", "PatientName")


def one(number: int, became: Became = Became.CORRECTED, **more: object) -> Applied:
    values: dict[str, object] = {"order_id": 3, "keywords": NAMED, **more}
    return Applied(f"{number:026}", "pacs", became, AT + timedelta(minutes=number), **values)  # type: ignore[arg-type]


def texts(*found: Applied) -> list[str]:
    return [line.text for line in altered(Recorded(STORED, Expected(3), corrections=found))]


def test_copies_that_were_altered_alike_are_one_line_with_the_attributes() -> None:
    (line,) = altered(Recorded(STORED, Expected(3), corrections=(one(1), one(2))))
    assert line.text == "2 corrected on the way to pacs: PatientID, PatientName"
    assert (line.stage, line.mark, line.about, line.last) == (Stage.DELIVERED, Mark.DONE, "pacs", one(2).at)


def test_what_was_altered_by_another_order_names_it() -> None:
    assert texts(one(1, order_id=4)) == ["1 corrected on the way to pacs by order 4: PatientID, PatientName"]


def test_what_was_not_altered_says_why() -> None:
    doubtful = one(1, Became.AS_RECEIVED, keywords=(), why=str(Doubt.OTHER_PATIENT))
    text = "1 not corrected on the way to pacs, sent as received: it names another patient than its order"
    assert texts(doubtful) == [text]


def test_what_agreed_or_is_held_has_no_line_of_its_own() -> None:
    assert texts(one(1, Became.AS_RECEIVED, why=AGREES), one(2, Became.HELD, why=str(Doubt.SEVERAL))) == []
