"""A rehearsal: all that applying does is done in Production, looked at, gone back from, and undone; nothing is served.

What the network has to say is asked before; the trial itself is one transaction that is never committed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from broker.database import Database, Transaction
from broker.delivery import routing
from broker.environments.model import Destination, Profile, Protocol
from broker.errors import Misconfigured, NotFound, Refused
from broker.identifiers import AETitle
from broker.promotion import flow, gate, readiness, store
from broker.promotion.flow import By
from broker.promotion.gate import Prepared
from broker.promotion.life import NEXT, Move
from broker.promotion.model import CheckResult, CheckState, Life, Request, RequestState
from broker.promotion.probing import Contexts, Prober
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding, Document, Modality
from broker.worklist import find
from broker.worklist.model import WorklistItem
from broker.worklist.spelled import query_of
from broker.worklist.viewer import registry_stations, viewer_of

_THERE = {Protocol.STOW: "its server answers", Protocol.FOLDER: "the folder is there"}
VERIFICATION: Contexts = (("1.2.840.10008.1.1", "1.2.840.10008.1.2"),)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of applying and going back, and what the device would have been shown meanwhile."""

    results: tuple[CheckResult, ...]
    items: tuple[WorklistItem, ...] = ()  # of today


class _Undone(Exception):
    """The end of a trial: what it did must not stay."""


def reached(  # noqa: PLR0917 - who calls whom, for which device, with what
    profile: Profile, document: Document, binding: Binding, contexts: Contexts, prober: Prober, now: datetime
) -> tuple[CheckResult, ...]:
    """Call every destination of the target's routes for this device, and the device itself; nothing is sent."""
    routes = routing.rules(document.routes, profile.routes).routes
    names = dict.fromkeys(name for route in routes for name in route.to)
    device = Modality(document.name, "", document, binding)
    found = [profile.destination(name) for name in names]
    calls = (_called(profile, each, device, contexts, prober, now) for each in found if each is not None)
    return (*calls, _device(document, binding, prober, now))


def trial(database: Database, profile: Profile, prepared: Prepared, by: By) -> Trial:
    """Apply a plan in the target, look at what is served, go back, and undo it all."""
    found = _Found(prepared, profile, by)
    try:
        with database.write("promotion") as tx:
            found.look(tx)
            raise _Undone
    except _Undone:
        return Trial(tuple(found.results), found.items)


def to_rehearse(tx: Transaction, name: str) -> Life | None:
    """Return the life that a rehearsal gives a device; None where it keeps its own: it is served, or to be soon."""
    try:
        known = registry.modality(tx, name)
    except NotFound:
        known = None
    if known is not None and not known.retired:
        return None
    return NEXT.get((gate.life(tx, name, known), Move.REHEARSE))


# --- the steps -----------------------------------------------------------------------------------------------------


class _Found:
    """One trial, step after step: after one that failed the next ones are not done."""

    def __init__(self, prepared: Prepared, profile: Profile, by: By) -> None:
        self._plan, self._content, self._binding = prepared.plan, prepared.content, prepared.binding
        self._profile = profile
        self._by = by
        self.results: list[CheckResult] = []
        self.items: tuple[WorklistItem, ...] = ()

    def look(self, tx: Transaction) -> None:
        """Do each step, and say how it went."""
        before = _served(tx, self._plan.name)
        steps: tuple[tuple[Callable[[Transaction], str], str, str], ...] = (
            (self._apply, "rehearsal_apply", "It can be applied"),
            (self._see, "rehearsal_worklist", "Its worklist, as it would be shown"),
            (lambda tx: self._go_back(tx, before), "rehearsal_rollback", "It can be rolled back"),
        )
        for step, check, title in steps:
            try:
                text = step(tx)
            except (Refused, NotFound, Misconfigured) as error:
                self.results.append(_failed(check, title, str(error), "mend it, then rehearse again", self._by.now))
                return
            self.results.append(CheckResult(check, title, CheckState.PASSED, text, at=self._by.now))

    def _apply(self, tx: Transaction) -> str:
        """Ask, approve and apply as people would; the checks that are open are the plan's to tell."""
        plan = replace(self._plan, checks=())
        number = store.add(tx, self._request(), "", "", self._by.actor)
        store.decide(tx, number, RequestState.REQUESTED, RequestState.APPROVED, self._by.actor, self._by.now)
        request = store.find(tx, number, self._profile.name)
        titles = (self._profile.dicom.ae_title, *self._profile.dicom.aliases)
        device = flow.applied(tx, request, plan, titles, self._by)
        return f"revision {device.revision[:12]} is served under {', '.join(device.ae_titles)}"

    def _request(self) -> Request:
        return Request(
            id="",
            name=self._plan.name,
            plan_checksum=self._plan.checksum,
            source_environment=self._plan.source.environment,
            source_file="",
            revision=self._plan.source.revision,
            document=self._content,
            binding=self._binding,
            state=RequestState.REQUESTED,
            requested=self._by.now,
            requested_by=str(self._by.actor),
        )

    def _see(self, tx: Transaction) -> str:
        loaded = registry.load(tx)
        device = loaded.by_name(self._plan.name)
        viewer = viewer_of(device, self._profile.timezone)
        today = f"{self._by.now.astimezone(self._profile.timezone):%Y%m%d}"
        query = query_of([f"ScheduledProcedureStepStartDate={today}"], viewer.habits)
        self.items = find.shown(tx, query, viewer, registry_stations(loaded), self._by.now).items
        return f"{len(self.items)} item{'' if len(self.items) == 1 else 's'} today"

    def _go_back(self, tx: Transaction, before: Modality | None) -> str:
        titles: tuple[AETitle, ...] = (self._profile.dicom.ae_title, *self._profile.dicom.aliases)
        if before is not None and not self._plan.differences:
            return "nothing would change"
        after = flow.rolled_back(tx, self._plan.name, "", titles, self._by)
        if after.suspended:
            return "it would be its first: rolled back, it is suspended, and open exams still finish"
        if before is not None and (after.revision, after.binding) != (before.revision, before.binding):
            raise Refused(f"a rollback leads to revision {after.revision[:12]}, not to what is served now")
        return f"back to revision {after.revision[:12]}, which is served {'now' if before else 'no longer'}"


def _served(tx: Transaction, name: str) -> Modality | None:
    return registry.load(tx).by_name(name)


# --- who answers ---------------------------------------------------------------------------------------------------


def _called(  # noqa: PLR0917 - as `reached`
    profile: Profile, destination: Destination, device: Modality, contexts: Contexts, prober: Prober, now: datetime
) -> CheckResult:
    check, title = f"rehearsal_{destination.name}", f"{destination.name} answers"
    calling = readiness.titles_used(profile, device, destination)
    asked = contexts or VERIFICATION
    answered = prober.takes(destination, asked, calling)
    if answered.failure:
        return _failed(check, title, answered.failure, "broker env check --online tells more", now)
    if destination.protocol is not Protocol.DIMSE:
        return CheckResult(check, title, CheckState.PASSED, _THERE[destination.protocol], at=now)
    taken = len(answered.accepted & set(asked))
    text = f"called as {calling}, {taken} of {len(asked)} contexts accepted, released"
    if not contexts:
        text += " (Verification alone: the device has sent nothing that counts)"
    return CheckResult(check, title, CheckState.PASSED, text, at=now)


def _device(document: Document, binding: Binding, prober: Prober, now: datetime) -> CheckResult:
    """Ask whether the device listens; only whoever asks for storage commitment must."""
    check, title = "rehearsal_device", "The device is reached from here"
    where = f"{binding.host}:{binding.port}"
    if binding.host and prober.listens(binding.host, binding.port):
        return CheckResult(check, title, CheckState.PASSED, f"{where} accepts connections", at=now)
    if document.commitment.asks:
        to_do = "open the way to it: it must get its reports of storage commitment"
        return _failed(check, title, f"{where} does not answer", to_do, now)
    text = f"the document says so: it asks for no report ({where} does not answer)"
    return CheckResult(check, title, CheckState.NOT_APPLICABLE, text, at=now)


def _failed(check: str, title: str, text: str, to_do: str, now: datetime) -> CheckResult:
    return CheckResult(check, title, CheckState.FAILED, " ".join(text.split()), to_do, now)


def document_of(prepared: Prepared) -> Document:
    """Return the document that a plan would serve. Raises Misconfigured."""
    return documents.read(prepared.content, prepared.plan.name)


def titles_of(prepared: Prepared) -> tuple[str, ...]:
    """Return the titles under which the device would call."""
    document = document_of(prepared)
    return tuple(str(title) for title in Modality("", "", document, prepared.binding).ae_titles)
