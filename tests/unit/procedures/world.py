"""Orders, a worklist and what is performed of them: the flow of a performed step as the product wires it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydicom.dataset import Dataset

from broker.associations import store as association_rows
from broker.associations.model import Association
from broker.associations.open import accepted
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.dimse.service import AcceptedAssociation, AssociationRequest, NormalizedRequest
from broker.environments.model import Receiver
from broker.orders import store as orders
from broker.orders.model import Applied, ScheduledStep, StepStatus
from broker.procedures import flow, received, store
from broker.procedures.flow import Taken, Taking
from broker.procedures.model import Event, Received, StoredStep
from broker.worklist import plan
from broker.worklist import store as worklist
from tests.unit.orders.building import HERE, STATED, new, step
from tests.unit.procedures.building import UID, creation, encoded, ending

CALLER = AssociationRequest("US1", "BROKER", "127.0.0.1", 4000, "1.2", "X", ())
ASSOCIATION = AcceptedAssociation("0" * 26, CALLER, ())
IMPLICIT = "1.2.840.10008.1.2"


def stated(number: int, **changes: str) -> dict[str, str]:
    """Return the keys of another order of the same patient."""
    return {
        **STATED,
        "study_instance_uid": f"1.2.3.{number}",
        "filler_order_number": f"F{number}",
        "placer_order_number": f"P{number}",
        "accession_number": f"A{number}",
        "requested_procedure_id": f"RP{number}",
        **changes,
    }


@dataclass
class World:
    """Takes what a modality sends, and tells what became of it."""

    database: Database
    clock: Clock
    receivers: tuple[Receiver, ...] = ()
    destinations: tuple[str, ...] = ()
    events: list[Event] = field(default_factory=list)
    written: set[str] = field(default_factory=set)

    def order(self, keys: Mapping[str, str] = STATED, steps: Sequence[ScheduledStep] = (step(),), **more: Any) -> int:
        """Order something; return our id of it."""
        with self.database.write("orders") as tx:
            applied = orders.apply(tx, new(stated=keys, steps=tuple(steps), **more), HERE)
            self.change(tx, applied)
        return applied.orders[0].id

    def perform_step(self, association: AcceptedAssociation, request: Received) -> Taken:
        return self.database.together("orders", partial(self._performed, association, request))

    def performed_step(self, request: NormalizedRequest) -> bytes:
        with self.database.read() as tx:
            return flow.retrieved(tx, request.sop_instance_uid, request.attributes, request.transfer_syntax)

    def _performed(self, association: AcceptedAssociation, request: Received, tx: Transaction) -> Taken:
        self.know(tx, association)
        taken = flow.take(tx, request, self.here(association))
        for applied in taken.applied:
            self.change(tx, applied)
        self.events.extend(taken.events)
        return taken

    def know(self, tx: Transaction, association: AcceptedAssociation = ASSOCIATION) -> None:
        """Write the association's row once."""
        if association_rows.find(tx, association.id) is None:
            row: Association = accepted(association, "us-room-1", "", self.clock.now())
            association_rows.add(tx, row)

    def here(self, association: AcceptedAssociation = ASSOCIATION) -> Taking:
        title = association.request.calling_ae_title
        return Taking(association.id, title, "us-room-1", self.clock.now(), self.receivers, self.destinations)

    def change(self, tx: Transaction, applied: Applied) -> None:
        for stored in applied.orders:
            worklist.replace(tx, stored.id, plan.plan(stored.order, stored.id, None, stored.origins))

    # --- what a modality does ------------------------------------------------------------------------------------

    def create(self, made: Dataset | None = None, uid: str = UID, syntax: str = IMPLICIT) -> Taken:
        data = encoded(made if made is not None else creation(), syntax)
        return self.perform_step(ASSOCIATION, received.create(uid, data, syntax))

    def set(self, made: Dataset | None = None, uid: str = UID, syntax: str = IMPLICIT) -> Taken:
        data = encoded(made if made is not None else ending(), syntax)
        return self.perform_step(ASSOCIATION, received.set_(uid, data, syntax))

    # --- how things stand ----------------------------------------------------------------------------------------

    def statuses(self, order_id: int = 1) -> list[StepStatus]:
        """How the steps of an order stand, by the worklist; the order says the same."""
        with self.database.read() as tx:
            seen = [item.status for item in worklist.of_order(tx, order_id)]
            assert seen == [one.status for one in orders.order(tx, order_id).order.steps]
        return seen

    def stored(self, uid: str = UID) -> StoredStep:
        with self.database.read() as tx:
            found = store.find(tx, uid)
        assert found is not None
        return found

    def told(self) -> list[str]:
        """The names of the events that people see."""
        return [event.name for event in self.events]
