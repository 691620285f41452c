"""An order as the store gives it, and a receiver, for the tests of this room."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from broker.database import Database
from broker.environments.model import OrderEvent, Receiver, World
from broker.orders.model import Code, Order, Origin, Patient, ScheduledStep, StepStatus, StoredOrder
from broker.outbox import store
from broker.outbox.model import OutboxMessage
from tests.conftest import FakeClock

STUDY = "1.2.3.4.200"
RIS = Receiver("ris", "127.0.0.1", 2575, World.TEST, receiving_application="RIS", receiving_facility="HOSP")


def step(identifier: str = "S1", status: StepStatus = StepStatus.STARTED, code: str = "USLIV") -> ScheduledStep:
    return ScheduledStep(
        scheduled_procedure_step_id=identifier,
        modality="US",
        scheduled_procedure_step_start_date="20260201",
        scheduled_procedure_step_start_time="093000",
        scheduled_procedure_step_description="Liver",
        scheduled_protocol_codes=(Code(code, "L", "Liver"),),
        status=status,
    )


def order(*steps: ScheduledStep, identifier: int = 1, **changed: Any) -> StoredOrder:
    """The worked example of an order in two steps, or in these."""
    whole = Order(
        patient=Patient("4711", "HOSP", "Muster^Eva^M^Dr^Jr", "19800229", "F"),
        placer_order_number="P100",
        filler_order_number="F200",
        accession_number="A200",
        requested_procedure_id="RP200",
        study_instance_uid=STUDY,
        requested_procedure_description="Abdomen US",
        requested_procedure_code=Code("USABD", "L", "Abdomen US"),
        steps=steps or (step("S1"), step("S2", StepStatus.SCHEDULED, "USKID")),
        timezone="Europe/Berlin",
        visit={"AdmissionID": "V123"},
    )
    now = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
    return StoredOrder(
        identifier, replace(whole, **changed), 1, False, 0, now, now, 1, {}, placer_issuer="HIS", filler_issuer="1.2.40"
    )


def origins(**places: str) -> dict[tuple[str, str], Origin]:
    """Where values of the order came from, by keyword."""
    return {("", keyword): Origin(source) for keyword, source in places.items()}


def owed(
    database: Database,
    clock: FakeClock,
    event: OrderEvent = OrderEvent.STARTED,
    *step_ids: str,
    of: StoredOrder | None = None,
    receiver: Receiver = RIS,
) -> int:
    with database.write("orders") as tx:
        return store.owe(tx, (receiver,), of or order(), event, step_ids, clock.now())


def all_messages(database: Database) -> list[OutboxMessage]:
    """Every message, oldest first."""
    with database.read() as tx:
        return store.messages_of(tx)[::-1]


Chance = Callable[[], float]
