"""HL7 intake: one message's way from bytes to its acknowledgement, whether sent, replayed or only tried.

Knows no socket and builds no acknowledgement: the caller gives what builds it, so that it is kept with its message.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.environments.model import AcknowledgedBy, Profile
from broker.errors import BrokerError, NotFound, Refused
from broker.inbox import store as inbox
from broker.inbox.model import (
    ACCEPTED,
    FOR_PEOPLE,
    NO_ANSWER,
    Arrival,
    EntryState,
    HeaderFacts,
    InboxEntry,
    Outcome,
)
from broker.journal import log
from broker.orders import messages
from broker.orders import store as orders
from broker.orders.messages.context import Context
from broker.orders.model import (
    Applied,
    Applying,
    Change,
    Did,
    MergeChange,
    OrderChange,
    Patient,
    PatientChange,
    Refusal,
    StoredOrder,
)
from broker.orders.sources import Sources
from broker.registry.cache import RegistryCache
from broker.registry.model import Registry
from broker.tripwires.model import Identifier, identifiers
from broker.tripwires.table import Response, Tripwire
from broker.tripwires.worlds import Worlds
from broker.worklist import plan
from broker.worklist import store as worklist
from broker.worklist.model import WorklistItem
from broker.worklist.viewer import known_stations

Answer = Callable[[Outcome, AcknowledgedBy], bytes | None]
"""Builds the acknowledgement of one message; None where it gets none."""

Beside = Callable[[Transaction], None]
"""What is written in the same commit, such as the audit of a person's act."""

_FOR_PERSON = "a message waits for a person: see `broker order inbox`, then replay or dismiss it"
_FAILED = "a message could not be processed for a reason that is ours: it is kept, see `broker order inbox`"

_APPLICATION_ERROR = "207"  # of table 0357
_NUMBERS = frozenset(
    {"PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest", "AccessionNumber"}
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one message."""

    entry_id: int
    state: EntryState
    outcome: Outcome
    acknowledgement: bytes | None = None
    repeated: bool = False  # answered as before, and not processed again
    applied: tuple[Applied, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a message would do: the answer, what happens to each order, and the items before and after."""

    outcome: Outcome
    did: tuple[Did, ...] = ()
    before: tuple[WorklistItem, ...] = ()
    after: tuple[WorklistItem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Incoming:
    raw: bytes
    arrival: Arrival
    facts: HeaderFacts
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a message stands, and how it is answered."""

    state: EntryState
    outcome: Outcome
    acknowledgement: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Understood:
    """What a message asks for, or why nothing of it is done."""

    context: Context | None = None
    changes: tuple[Change, ...] = ()
    refusal: Refusal | None = None

    @property
    def source(self) -> str:
        return self.context.source.name if self.context else ""

    @property
    def acknowledged_by(self) -> AcknowledgedBy:
        return self.context.source.acknowledged_by if self.context else AcknowledgedBy.ACK


class Intake:
    """The intake of one environment. Every method may be called from many threads at once."""

    def __init__(
        self,
        profile: Profile,
        database: Database,
        registry: RegistryCache,
        clock: Clock,
        worlds: Worlds | None = None,
    ) -> None:
        self._worlds = worlds or Worlds(profile)
        self._environment = profile.name
        self._sources = Sources(profile.hl7, profile.name)
        self._database = database
        self._registry = registry
        self._clock = clock
        self._stations: tuple[Registry, frozenset[str]] | None = None  # of the registry as it was last

    def take(self, raw: bytes, arrival: Arrival, answer: Answer) -> Taken:
        """Process one message that came; when this returns, message, effect and acknowledgement are durable.

        Raises Unavailable when nothing could be made durable: then nothing may be acknowledged.
        """
        incoming = _Incoming(raw, arrival, messages.header_facts(raw), answer)
        with self._kept_when_it_fails(incoming):
            understood = self._understood(raw, incoming.facts, arrival.address)
            if understood.refusal is None:
                try:
                    taken = self._database.together("orders", partial(self._apply, incoming, understood))
                    self._worlds.began(_begun(understood.changes, taken.applied))
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

    def replay(self, entry_id: int, by: str, *, decided: bool = False, beside: Beside = lambda tx: None) -> Taken:
        """Process a kept message anew, as a person asks; `decided` overrides what was left to a person.

        Raises NotFound for an unknown entry, Refused for one that has been applied or cannot be read.
        """
        with self._database.read() as tx:
            entry = inbox.find(tx, entry_id)
        if entry is None:
            raise NotFound(f"the inbox has no message {entry_id}")
        if not entry.raw:
            raise Refused(f"message {entry_id} is older than the profile's retention: its text was purged")
        if entry.state not in FOR_PEOPLE | {EntryState.REFUSED, EntryState.DISMISSED}:
            raise Refused(f"message {entry_id} is {entry.state.value}: there is nothing to replay")
        understood = self._understood(entry.raw, messages.header_facts(entry.raw), entry.arrival.address)
        note = f"replayed by {by}"
        if understood.refusal is None:
            try:
                work = partial(self._apply_again, entry, understood, note, decided)
                taken = self._database.together("orders", partial(_both, work, beside))
                self._worlds.began(_begun(understood.changes, taken.applied))
                return taken
            except Refusal as refusal:
                understood = replace(understood, refusal=refusal)
        work = partial(self._refuse_again, entry, understood, note)
        return self._database.together("inbox", partial(_both, work, beside))

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
                sender = inbox.sending_application(tx, _ordered_by(stored))
            items = plan.plan(stored.order, stored.id, stations, stored.origins, sender)
            worklist.replace(tx, stored.id, items, is_new=is_new)

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _understood(self, raw: bytes, facts: HeaderFacts, address: str) -> _Understood:
        context: Context | None = None
        try:
            context = self._sources.context(facts, address, self._clock.now())
            return _Understood(context, messages.translate(raw, context))
        except Refusal as refusal:
            return _Understood(context, refusal=refusal)

    def _apply(self, incoming: _Incoming, understood: _Understood, tx: Transaction) -> Taken:
        """Message, effect and acknowledgement together, or none."""
        if (twin := self._twin(tx, incoming, understood)) is not None:
            return twin
        answered = incoming.answer(ACCEPTED, understood.acknowledged_by)
        entry_id = self._keep(tx, incoming, understood.source, _Verdict(EntryState.APPLIED, ACCEPTED, answered))
        sender = inbox.application_of(incoming.facts.sending_application)
        applied = self._changed(tx, understood, entry_id, sending_application=sender)
        state, outcome = _taken(applied)
        if outcome != ACCEPTED:
            answered = incoming.answer(outcome, understood.acknowledged_by)
            inbox.warn(tx, entry_id, state, outcome.text, answered)
        return Taken(entry_id, state, outcome, answered, applied=applied)

    def _refuse(self, incoming: _Incoming, understood: _Understood, tx: Transaction) -> Taken:
        if (twin := self._twin(tx, incoming, understood)) is not None:
            return twin
        assert understood.refusal is not None
        state, outcome = _refused(incoming.facts, understood.refusal)
        answered = incoming.answer(outcome, understood.acknowledged_by)
        entry_id = self._keep(tx, incoming, understood.source, _Verdict(state, outcome, answered))
        self._tell_person(tx, state, understood.source, _FOR_PERSON)
        if isinstance(understood.refusal, Tripped):
            self._trip(tx, understood.refusal.row)
        return Taken(entry_id, state, outcome, answered)

    def _twin(self, tx: Transaction, incoming: _Incoming, understood: _Understood) -> Taken | None:
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

    def _changed(
        self,
        tx: Transaction,
        understood: _Understood,
        entry_id: int,
        *,
        decided: bool = False,
        sending_application: str | None = None,
    ) -> tuple[Applied, ...]:
        """Do everything that a message asks for."""
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

    # --- the other world -------------------------------------------------------------------------------------------

    def _watch_patient(self, tx: Transaction, change: Change, decided: bool) -> None:
        """Hold a message about a patient who is none, unless a person has decided. Raises Tripped."""
        for patient in _patients_of(change):
            rows = self._worlds.patient(patient.patient_id, patient.issuer_of_patient_id, patient.patient_name)
            self._answer(tx, rows, change, decided)

    def _watch_orders(self, tx: Transaction, change: Change, applied: Applied, decided: bool) -> None:
        """Hold or tell of orders that the other world knows. Raises Tripped."""
        if not self._worlds.watches:
            return
        own = [_identifiers(stored) for stored in applied.orders]
        patients = _patients_of(change)[1:] if own else _patients_of(change)
        own += [identifiers(patient=(each.patient_id, each.issuer_of_patient_id)) for each in patients]
        for each in own:
            self._answer(tx, self._worlds.order(self._worlds.seen(each)), change, decided)

    def _answer(self, tx: Transaction, rows: Sequence[Tripwire], change: Change, decided: bool) -> None:
        for row in rows:
            if row.response is Response.HELD and not decided:
                raise Tripped(row, change.location)
            self._trip(tx, row)

    def _trip(self, tx: Transaction, row: Tripwire) -> None:
        raise_alert(tx, row.event, self._environment, Severity.URGENT, row.text, self._clock.now())

    def _apply_again(
        self, entry: InboxEntry, understood: _Understood, note: str, decided: bool, tx: Transaction
    ) -> Taken:
        applied = self._changed(tx, understood, entry.id, decided=decided)
        state, outcome = _taken(applied)
        inbox.finish(tx, entry.id, state, outcome, note=note)
        return Taken(entry.id, state, outcome, applied=applied)

    def _refuse_again(self, entry: InboxEntry, understood: _Understood, note: str, tx: Transaction) -> Taken:
        assert understood.refusal is not None
        state, outcome = _refused(messages.header_facts(entry.raw), understood.refusal)
        inbox.finish(tx, entry.id, state, outcome, note=note)
        return Taken(entry.id, state, outcome)

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
        return Attempt(_refused(facts, refusal)[1])

    def _tried(self, tx: Transaction, understood: _Understood) -> Attempt:
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
        return Attempt(_taken(applied)[1], did, tuple(item for items in before.values() for item in items), after)

    def _keep(self, tx: Transaction, incoming: _Incoming, source: str, verdict: _Verdict) -> int:
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
    def _kept_when_it_fails(self, incoming: _Incoming) -> Iterator[None]:
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

    def _keep_failed(self, incoming: _Incoming, tx: Transaction) -> None:
        known = inbox.earlier(tx, incoming.facts)
        if known and known[-1].same_payload:
            inbox.repeated(tx, known[-1].entry_id)
            return
        self._keep(tx, incoming, "", _Verdict(EntryState.KEPT, NO_ANSWER))
        self._tell_person(tx, EntryState.KEPT, incoming.arrival.address, _FAILED)

    def _tell_person(self, tx: Transaction, state: EntryState, subject: str, text: str) -> None:
        if state in FOR_PEOPLE:
            raise_alert(tx, f"message.{state.value}", subject, Severity.WARNING, text, self._clock.now())


def _both(work: Callable[[Transaction], Taken], beside: Beside, tx: Transaction) -> Taken:
    beside(tx)
    return work(tx)


class Tripped(Refusal):
    """A message that a tripwire holds until a person has decided."""

    def __init__(self, row: Tripwire, location: str) -> None:
        super().__init__("AE", location, _APPLICATION_ERROR, row.text, for_person=True)
        self.row = row


def _patients_of(change: Change) -> tuple[Patient, ...]:
    """Return whom a change is about; of a merge the surviving one first, then the one who is no more."""
    if isinstance(change, MergeChange) and change.old_patient_id:
        return (change.surviving, Patient(change.old_patient_id, change.old_issuer))
    return (_patient_of(change),)


def _patient_of(change: Change) -> Patient:
    return change.order.patient if isinstance(change, OrderChange) else _stated(change)


def _stated(change: PatientChange | MergeChange) -> Patient:
    return change.surviving if isinstance(change, MergeChange) else change.patient


def _identifiers(stored: StoredOrder) -> tuple[Identifier, ...]:
    patient = stored.order.patient
    return identifiers(
        patient=(patient.patient_id, patient.issuer_of_patient_id),
        accession=stored.order.accession_number,
        study=stored.order.study_instance_uid,
    )


def _begun(changes: Iterable[Change], applied: Iterable[Applied]) -> Iterator[Identifier]:
    """Yield what is known here since these were applied."""
    for change in changes:
        patient = _patient_of(change)
        yield from identifiers(patient=(patient.patient_id, patient.issuer_of_patient_id))
    for one in applied:
        for stored in one.orders:
            yield from _identifiers(stored)


class _NotMeant(BrokerError):
    """Undoes what was only tried."""


def _ordered_by(stored: StoredOrder) -> int:
    """Return the inbox entry of the message that ordered: its numbers come from it, whatever came later."""
    numbers = ((place, origin) for place, origin in stored.origins.items() if place[1] in _NUMBERS)
    return next((origin.entry_id for _, origin in numbers if origin.entry_id), stored.entry_id)


def _taken(applied: tuple[Applied, ...] | list[Applied]) -> tuple[EntryState, Outcome]:
    """Decide how a message that was taken stands: late where nothing of it counted, warned where something is odd."""
    warnings = "; ".join(dict.fromkeys(one.warning for one in applied if one.warning))
    late = bool(applied) and all(one.did is Did.LATE for one in applied)
    outcome = replace(ACCEPTED, text=warnings) if warnings else ACCEPTED
    return (EntryState.LATE if late else EntryState.APPLIED), outcome


def _refused(facts: HeaderFacts, refusal: Refusal) -> tuple[EntryState, Outcome]:
    """Decide what becomes of a message that changes nothing: an acknowledgement and noise get no answer (A.3)."""
    if not facts.readable:
        return EntryState.UNREADABLE, NO_ANSWER
    if facts.acknowledgement:
        return EntryState.IGNORED, NO_ANSWER
    state = EntryState.PERSON if refusal.for_person else EntryState.REFUSED
    return state, Outcome(refusal.answer, refusal.location, refusal.code, refusal.text)
