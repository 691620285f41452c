"""A message that came -> inbox, orders and worklist in one commit, with its acknowledgement."""

from dataclasses import replace
from functools import partial

from broker.database import Transaction
from broker.inbox import store as inbox
from broker.inbox.model import ACCEPTED, Arrival, EntryState
from broker.intake import deciding
from broker.intake.changing import Changing
from broker.intake.model import Answer, Incoming, Taken, Understood, Verdict
from broker.intake.refusing import Refusing
from broker.orders import messages
from broker.orders.model import Refusal


class Taking(Changing, Refusing):
    """Taking what senders send."""

    def take(self, raw: bytes, arrival: Arrival, answer: Answer) -> Taken:
        """Process one message that came; when this returns, message, effect and acknowledgement are durable.

        Raises Unavailable when nothing could be made durable: then nothing may be acknowledged.
        """
        incoming = Incoming(raw, arrival, messages.header_facts(raw), answer)
        with self._kept_when_it_fails(incoming):
            understood = self._understood(raw, incoming.facts, arrival.address)
            if understood.refusal is None:
                try:
                    taken = self._database.together("orders", partial(self._apply, incoming, understood))
                    self._worlds.began(deciding.begun(understood.changes, taken.applied))
                    return taken
                except Refusal as refusal:
                    understood = replace(understood, refusal=refusal)
            return self._database.together("inbox", partial(self._refuse, incoming, understood))

    def sends_again_after_reject(self, raw: bytes) -> bool:
        """Tell whether the sender of a message is known to send again what is answered AR."""
        facts = messages.header_facts(raw)
        try:
            return facts.readable and not facts.acknowledgement and self._sources.of(facts).retries_on_reject
        except Refusal:
            return False

    def _apply(self, incoming: Incoming, understood: Understood, tx: Transaction) -> Taken:
        """Message, effect and acknowledgement together, or none."""
        if (twin := self._twin(tx, incoming, understood)) is not None:
            return twin
        answered = incoming.answer(ACCEPTED, understood.acknowledged_by)
        entry_id = self._keep(tx, incoming, understood.source, Verdict(EntryState.APPLIED, ACCEPTED, answered))
        sender = inbox.application_of(incoming.facts.sending_application)
        applied = self._changed(tx, understood, entry_id, sending_application=sender)
        state, outcome = deciding.taken(applied)
        if outcome != ACCEPTED:
            answered = incoming.answer(outcome, understood.acknowledged_by)
            inbox.warn(tx, entry_id, state, outcome.text, answered)
        return Taken(entry_id, state, outcome, answered, applied=applied)
