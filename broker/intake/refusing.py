"""A message that changes nothing -> the inbox, with why and its answer; one that fails unforeseen is kept raw."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.database import Transaction
from broker.errors import BrokerError
from broker.inbox import store as inbox
from broker.inbox.model import ACCEPTED, FOR_PEOPLE, NO_ANSWER, EntryState
from broker.intake import deciding
from broker.intake.guarding import Guarding
from broker.intake.model import Incoming, Taken, Tripped, Understood, Verdict
from broker.journal import log

_FOR_PERSON = "a message waits for a person: see `broker order inbox`, then replay or dismiss it"
_FAILED = "a message could not be processed for a reason that is ours: it is kept, see `broker order inbox`"


class Refusing(Guarding):
    """Keeping messages, and refusing them."""

    def _refuse(self, incoming: Incoming, understood: Understood, tx: Transaction) -> Taken:
        """Message, refusal and acknowledgement together."""
        if (twin := self._twin(tx, incoming, understood)) is not None:
            return twin
        assert understood.refusal is not None
        state, outcome = deciding.refused(incoming.facts, understood.refusal)
        answered = incoming.answer(outcome, understood.acknowledged_by)
        entry_id = self._keep(tx, incoming, understood.source, Verdict(state, outcome, answered))
        self._tell_person(tx, state, understood.source, _FOR_PERSON)
        if isinstance(understood.refusal, Tripped):
            self._trip(tx, understood.refusal.row)
        return Taken(entry_id, state, outcome, answered)

    def _twin(self, tx: Transaction, incoming: Incoming, understood: Understood) -> Taken | None:
        """Return the stored answer where this very message was accepted before: ours was lost (A.4)."""
        if not incoming.facts.control_id:
            return None
        known = inbox.earlier(tx, incoming.facts)
        twin = next((one for one in known if one.accepted and one.same_payload), None)
        if twin is None:
            if any(not one.same_payload for one in known):
                log.warning("message.control-id-used-again", source=understood.source, entry=known[-1].entry_id)
            return None
        inbox.repeated(tx, twin.entry_id)
        answered = twin.acknowledgement or incoming.answer(ACCEPTED, understood.acknowledged_by)
        return Taken(twin.entry_id, EntryState.APPLIED, ACCEPTED, answered, repeated=True)

    def _keep(self, tx: Transaction, incoming: Incoming, source: str, verdict: Verdict) -> int:
        return inbox.keep(
            tx,
            incoming.arrival,
            incoming.raw,
            incoming.facts,
            state=verdict.state,
            outcome=verdict.outcome,
            acknowledgement=verdict.acknowledgement,
            source=source,
        )

    @contextmanager
    def _kept_when_it_fails(self, incoming: Incoming) -> Iterator[None]:
        """Keep the raw message where processing fails in a way that nobody foresaw; the failure goes on."""
        foreseen = False
        try:
            yield
            foreseen = True
        except BrokerError:
            foreseen = True
            raise
        finally:
            if not foreseen:
                self._database.together("inbox", partial(self._keep_failed, incoming))

    def _keep_failed(self, incoming: Incoming, tx: Transaction) -> None:
        known = inbox.earlier(tx, incoming.facts)
        if known and known[-1].same_payload:
            inbox.repeated(tx, known[-1].entry_id)
            return
        self._keep(tx, incoming, "", Verdict(EntryState.KEPT, NO_ANSWER))
        self._tell_person(tx, EntryState.KEPT, incoming.arrival.address, _FAILED)

    def _tell_person(self, tx: Transaction, state: EntryState, subject: str, text: str) -> None:
        if state in FOR_PEOPLE:
            raise_alert(tx, f"message.{state.value}", subject, Severity.WARNING, text, self._clock.now())
