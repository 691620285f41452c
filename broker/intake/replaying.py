"""A kept message -> processed anew, as a person asks; its acknowledgement stays as it was sent."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from broker.database import Transaction
from broker.errors import NotFound, Refused
from broker.inbox import store as inbox
from broker.inbox.model import FOR_PEOPLE, EntryState, InboxEntry
from broker.intake import deciding
from broker.intake.changing import Changing
from broker.intake.model import Beside, Taken, Understood
from broker.orders import messages
from broker.orders.model import Refusal

_REPLAYABLE = FOR_PEOPLE | {EntryState.REFUSED, EntryState.DISMISSED}


class Replaying(Changing):
    """Replaying what was kept."""

    def replay(self, entry_id: int, by: str, *, decided: bool = False, beside: Beside = lambda tx: None) -> Taken:
        """Process a kept message anew, as a person asks; `decided` overrides what was left to a person.

        Raises NotFound for an unknown entry, Refused for one that has been applied or cannot be read.
        """
        entry = self._replayable(entry_id)
        understood = self._understood(entry.raw, messages.header_facts(entry.raw), entry.arrival.address)
        note = f"replayed by {by}"
        if understood.refusal is None:
            try:
                work = partial(self._apply_again, entry, understood, note, decided)
                taken = self._database.together("orders", partial(_both, work, beside))
                self._worlds.began(deciding.begun(understood.changes, taken.applied))
                return taken
            except Refusal as refusal:
                understood = replace(understood, refusal=refusal)
        work = partial(self._refuse_again, entry, understood, note)
        return self._database.together("inbox", partial(_both, work, beside))

    def _replayable(self, entry_id: int) -> InboxEntry:
        with self._database.read() as tx:
            entry = inbox.find(tx, entry_id)
        if entry is None:
            raise NotFound(f"the inbox has no message {entry_id}")
        if not entry.raw:
            raise Refused(f"message {entry_id} is older than the profile's retention: its text was purged")
        if entry.state not in _REPLAYABLE:
            raise Refused(f"message {entry_id} is {entry.state.value}: there is nothing to replay")
        return entry

    def _apply_again(
        self, entry: InboxEntry, understood: Understood, note: str, decided: bool, tx: Transaction
    ) -> Taken:
        applied = self._changed(tx, understood, entry.id, decided=decided)
        state, outcome = deciding.taken(applied)
        inbox.finish(tx, entry.id, state, outcome, note=note)
        return Taken(entry.id, state, outcome, applied=applied)

    def _refuse_again(self, entry: InboxEntry, understood: Understood, note: str, tx: Transaction) -> Taken:
        assert understood.refusal is not None
        state, outcome = deciding.refused(messages.header_facts(entry.raw), understood.refusal)
        inbox.finish(tx, entry.id, state, outcome, note=note)
        return Taken(entry.id, state, outcome)


def _both(work: Callable[[Transaction], Taken], beside: Beside, tx: Transaction) -> Taken:
    beside(tx)
    return work(tx)
