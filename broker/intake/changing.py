"""What a message asks for -> orders and patients -> the worklist, in the caller's transaction."""

from broker.database import Transaction
from broker.inbox import store as inbox
from broker.intake import deciding
from broker.intake.guarding import Guarding
from broker.intake.model import Understood
from broker.orders import store as orders
from broker.orders.model import Applied, Applying, Did
from broker.worklist import plan
from broker.worklist import store as worklist
from broker.worklist.viewer import known_stations


class Changing(Guarding):
    """The effect of a message."""

    def change(self, tx: Transaction, applied: Applied, sending_application: str | None = None) -> None:
        """Plan anew the items of every order that a change concerned; the application is that of the change's message.

        Of an order that it created, the message is the one that ordered, and the worklist has nothing yet.
        """
        stations = self._known_stations(tx)
        created = applied.orders[0] if applied.did is Did.CREATED and applied.orders else None  # a patient alone: none
        for stored in applied.orders:
            is_new = stored is created
            sender = sending_application if is_new else None
            if sender is None:
                sender = inbox.sending_application(tx, deciding.ordered_by(stored))
            items = plan.plan(stored.order, stored.id, stations, stored.origins, sender)
            worklist.replace(tx, stored.id, items, is_new=is_new)

    def _changed(
        self,
        tx: Transaction,
        understood: Understood,
        entry_id: int,
        *,
        decided: bool = False,
        sending_application: str | None = None,
    ) -> tuple[Applied, ...]:
        """Do everything that a message asks for. Raises Refusal; then nothing of it may stay."""
        assert understood.context is not None
        late = understood.context.source.late
        here = Applying(self._environment, entry_id, self._clock.now(), late, decided)
        done = []
        for change in understood.changes:
            self._watch_patient(tx, change, decided)
            applied = orders.apply(tx, change, here)
            self._watch_orders(tx, change, applied, decided)
            self.change(tx, applied, sending_application)
            done.append(applied)
        return tuple(done)

    def _known_stations(self, tx: Transaction) -> frozenset[str]:
        registry = self._registry.within(tx)
        known = self._stations
        if known is None or known[0] is not registry:
            known = self._stations = registry, known_stations(registry)
        return known[1]
