"""A database of orders that changes are sent to straight, each in a transaction of its own."""

from dataclasses import replace

import pytest

from broker.database import Database
from broker.orders import store
from broker.orders.history import HistoryEntry
from broker.orders.model import Applied, Applying, Change, Did, Refusal, StepStatus, StoredOrder
from tests.unit.orders.building import HERE


class Desk:
    """Where changes are applied and orders are looked at."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.here: Applying = HERE

    def send(self, change: Change, **here: object) -> Applied:
        with self.database.write("orders") as tx:
            return store.apply(tx, change, replace(self.here, **here))  # type: ignore[arg-type]

    def refused(self, change: Change, **here: object) -> Refusal:
        with pytest.raises(Refusal) as caught:
            self.send(change, **here)
        return caught.value

    def order(self, key: str = "F1") -> StoredOrder:
        (stored,) = self.named(key)
        return stored

    def named(self, key: str) -> list[StoredOrder]:
        with self.database.read() as tx:
            return store.order_detail(tx, key)

    def all(self) -> list[StoredOrder]:
        with self.database.read() as tx:
            return store.orders(tx)

    def statuses(self, key: str = "F1") -> dict[str, StepStatus]:
        return {step.scheduled_procedure_step_id: step.status for step in self.order(key).order.steps}

    def history(self, order_id: int) -> list[HistoryEntry]:
        with self.database.read() as tx:
            return store.history(tx, order_id)

    def did(self, order_id: int) -> list[Did]:
        return [entry.did for entry in self.history(order_id)]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)
