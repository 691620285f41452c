"""Exams to test with: a world of orders and performed steps, and what came, went and was told of them."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from broker.associations import store as association_rows
from broker.associations.model import Association
from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery.state import Delivered
from broker.orders import order_store
from broker.orders.model import StoredOrder
from broker.spool import store as spool
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.worklist import store as worklist
from broker.worklist.model import QueryResult
from tests.conftest import FakeClock

IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"


def instance(number: int, received: datetime, **changes: Any) -> SpooledInstance:
    """An image of the order of `orders.building.new`: series 1.2.3.1, SOP Instance UID 1.2.3.1.<number>."""
    facts = ReceiptFacts(
        association_id="0" * 26,
        calling_ae_title="US1",
        called_ae_title="BROKER",
        device="us-room-1",
        sop_class_uid=IMAGE,
        sop_instance_uid=f"1.2.3.1.{number}",
        transfer_syntax="1.2.840.10008.1.2.1",
        received=received,
    )
    base = SpooledInstance(
        id=f"{number:026}",
        facts=facts,
        sha256=f"{number:064}",
        path="x",
        offset=0,
        length=1,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        patient_id="4711",
        accession_number="A1",
        modality="US",
    )
    return replace(base, **changes)


def receive(
    database: Database, clock: FakeClock, *numbers: int, to: tuple[str, ...] = ("pacs",), **changes: Any
) -> None:
    """Receive images now, each owed to these destinations."""
    with database.write("spool-index") as tx:
        for number in numbers:
            spool.add(tx, instance(number, clock.now(), **changes))
            deliveries.owe(tx, f"{number:026}", to, clock.now())


def deliver(database: Database, clock: FakeClock, destination: str = "pacs", limit: int = 100) -> None:
    """Deliver now what is due to a destination."""
    with database.write("delivery") as tx:
        for delivery, _ in deliveries.lease(tx, destination, clock.now(), limit, token="t", lease_seconds=60):
            deliveries.finish(tx, delivery.id, "t", Delivered(), status=0, now=clock.now())


def association(database: Database, clock: FakeClock, own: str, device: str, calling: str = "US1") -> str:
    """An association of a device; return its id."""
    row = Association(own.rjust(26, "0"), clock.now(), calling, "BROKER", "127.0.0.1", "1.2", "X", (), device, "", "0")
    with database.write("associations") as tx:
        association_rows.add(tx, row)
    return row.id


def answer(database: Database, clock: FakeClock, association_id: str, *items: int) -> None:
    """A query that is answered now with these items."""
    with database.write("associations") as tx:
        worklist.record_query(tx, association_id, clock.now(), QueryResult(0, items=items))


def order(database: Database, order_id: int = 1) -> StoredOrder:
    with database.read() as tx:
        kept = order_store.by_id(tx, order_id)
        assert kept is not None
        return order_store.with_patient(tx, kept)


def items(database: Database, order_id: int = 1) -> list[int]:
    with database.read() as tx:
        return [item.id for item in worklist.of_order(tx, order_id)]
