"""RIS -> worklist, and what becomes of the orders -> RIS."""

import random

from broker.database import Transaction
from broker.delivery import studies as delivered_studies
from broker.environments.model import Receiver
from broker.inbox.model import Arrival
from broker.intake import Answer, Beside
from broker.journal import log
from broker.orders import store as orders
from broker.orders.model import Applied, Did, StepStatus, StoredOrder
from broker.outbox import available
from broker.outbox import store as outbox
from broker.outbox import worker as telling
from broker.outbox.connection import Sender
from broker.outbox.model import EVENT_OF_STATUS
from broker.pipeline.here import Here
from broker.procedures.unlinked import store as unlinks


class Messages(Here):
    """HL7 in both directions."""

    def take_message(self, raw: bytes, arrival: Arrival, answer: Answer) -> bytes | None:
        """HL7 message -> inbox, orders and worklist in one commit -> its acknowledgement, which is kept too.

        Raises Unavailable when nothing could be made durable: then nothing may be acknowledged.
        """
        taken = self._intake.take(raw, arrival, answer)
        outcome = taken.outcome
        log.info(
            "message.answered",
            entry=taken.entry_id,
            state=taken.state.value,
            address=arrival.address,
            code=outcome.code,
            location=outcome.location,
            why=outcome.text,
            repeated=taken.repeated,
        )
        return taken.acknowledgement

    def rejects_when_unavailable(self, raw: bytes) -> bool:
        """Tell whether a message may be answered AR when nothing can be made durable: its sender is known to retry."""
        return self._intake.sends_again_after_reject(raw)

    def perform(
        self, order_id: int, step_ids: tuple[str, ...], status: StepStatus, beside: Beside = lambda tx: None
    ) -> Applied:
        """What was performed of an order -> its steps -> worklist, and the receivers are owed word of it."""
        now = self._clock.now()
        with self._database.write("orders") as tx:
            applied = orders.perform(tx, order_id, step_ids, status, now)
            self._intake.change(tx, applied)
            if applied.did is not Did.NOTHING:
                self._owe_word(tx, applied, step_ids, status)
            beside(tx)
        return applied

    def _owe_word(self, tx: Transaction, applied: Applied, step_ids: tuple[str, ...], status: StepStatus) -> None:
        if (event := EVENT_OF_STATUS.get(status)) is None:
            return
        for stored in applied.orders:
            outbox.owe(tx, self._profile.receivers, stored, event, step_ids, self._clock.now())

    def tell(self, receiver: Receiver, sender: Sender) -> None:
        """What is due to one receiver -> its MLLP port, in order, until nothing is due or it needs time."""
        if self._crosses(receiver.world, receiver.name):
            return
        while telling.send_batch(self._database, receiver, sender, self._clock, random.random, self._alert):
            pass

    def note_available_images(self) -> None:
        """Studies of which everything is delivered, and that are quiet -> receivers are owed word of it."""
        wanting = available.wanting(self._profile.receivers)
        with self._database.write("outbox") as tx:
            delivered_studies.note_studies(tx, [receiver.name for receiver in wanting])
        for receiver in wanting:
            while self._tell_of_settled(receiver):
                pass

    def _tell_of_settled(self, receiver: Receiver) -> bool:
        now = self._clock.now()
        with self._database.write("outbox") as tx:
            quiet = available.quiet_since(receiver, now)
            studies = delivered_studies.settled_studies(tx, receiver.name, quiet, now, available.BATCH)
            available.tell(tx, receiver, studies, _with_images, now)
        return len(studies) == available.BATCH


def _with_images(tx: Transaction, study_instance_uid: str) -> list[StoredOrder]:
    """Return the orders of a study whose images may be theirs."""
    found = orders.order_detail(tx, study_instance_uid)
    return [each for each in found if not unlinks.has_nothing_left(tx, each.id)]
