"""A message -> what it would do, and nothing is done: the transaction is undone."""

from collections.abc import Sequence
from contextlib import suppress

from broker.database import Transaction
from broker.errors import BrokerError
from broker.intake import deciding
from broker.intake.changing import Changing
from broker.intake.model import Attempt, Understood
from broker.orders import messages
from broker.orders import store as orders
from broker.orders.model import Applied, Applying, Refusal
from broker.worklist import store as worklist
from broker.worklist.model import WorklistItem


class Trying(Changing):
    """Trying without doing."""

    def attempt(self, raw: bytes, address: str) -> Attempt:
        """Return what a message would do now, and do nothing."""
        return self.attempts((raw,), address)[0]

    def attempts(self, raws: Sequence[bytes], address: str) -> tuple[Attempt, ...]:
        """Return what messages would do one after the other, and do nothing. Who writes orders waits meanwhile."""
        found: list[Attempt] = []

        def tried(tx: Transaction) -> None:
            found[:] = [self._attempted(tx, raw, address) for raw in raws]
            raise _NotMeant

        with suppress(_NotMeant):
            self._database.together("orders", tried)
        return tuple(found)

    def _attempted(self, tx: Transaction, raw: bytes, address: str) -> Attempt:
        facts = messages.header_facts(raw)
        understood = self._understood(raw, facts, address)
        refusal = understood.refusal
        if refusal is None:
            tx.exec_driver_sql("SAVEPOINT attempt")
            try:
                return self._tried(tx, understood)
            except Refusal as found:
                tx.exec_driver_sql("ROLLBACK TO SAVEPOINT attempt")
                refusal = found
        return Attempt(deciding.refused(facts, refusal)[1])

    def _tried(self, tx: Transaction, understood: Understood) -> Attempt:
        applied: list[Applied] = []
        before: dict[int, tuple[WorklistItem, ...]] = {}
        assert understood.context is not None
        here = Applying(self._environment, 0, self._clock.now(), understood.context.source.late)
        for change in understood.changes:
            self._watch_patient(tx, change, decided=False)
            one = orders.apply(tx, change, here)
            self._watch_orders(tx, change, one, decided=False)
            for stored in one.orders:
                before.setdefault(stored.id, tuple(worklist.of_order(tx, stored.id)))
            self.change(tx, one)
            applied.append(one)
        after = tuple(item for order_id in before for item in worklist.of_order(tx, order_id))
        did = tuple(one.did for one in applied)
        return Attempt(
            deciding.taken(applied)[1], did, tuple(item for items in before.values() for item in items), after
        )


class _NotMeant(BrokerError):
    """Undoes what was only tried."""
