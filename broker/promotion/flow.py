"""Request, decision, apply and rollback: each one transaction in the target, and nothing by halves.

Whoever calls holds the target's writing transaction, has read the source in the same breath, and has made sure of who
asks. What Production serves of a device afterwards is one whole revision with its binding, or what it was: between any
two steps the machine may stop, and each step is a failpoint.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from broker import failpoints
from broker.audit.model import Actor
from broker.database import Transaction
from broker.errors import NotFound, Refused
from broker.identifiers import AETitle
from broker.people.model import User
from broker.promotion import life as lives
from broker.promotion import store
from broker.promotion.approved.store import refuse_own
from broker.promotion.life import Move
from broker.promotion.model import Life, Plan, Request, RequestState
from broker.promotion.store import Served
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding, Modality


@dataclass(frozen=True, slots=True)
class By:
    """Who does it, when and why."""

    actor: Actor
    now: datetime
    why: str = ""


def requested(  # noqa: PLR0917 - a plan, what it would serve, and who wants it
    tx: Transaction, plan: Plan, content: bytes, binding: Binding, source_file: str, by: By
) -> Request:
    """Keep a request for a plan that is ready. Raises Refused where something stands in its way or nothing changes."""
    if not plan.is_ready:
        raise Refused(
            f"{plan.name} is not ready: {', '.join(check.check for check in plan.open_checks)} (see the plan)"
        )
    if not plan.differences:
        raise Refused(f"{plan.target.environment} serves this revision of {plan.name} already: nothing would change")
    request = Request(
        id="",
        name=plan.name,
        plan_checksum=plan.checksum,
        source_environment=plan.source.environment,
        source_file=source_file,
        revision=plan.source.revision,
        document=content,
        binding=binding,
        state=RequestState.REQUESTED,
        requested=by.now,
        requested_by=str(by.actor),
        evidence=plan.checks,
    )
    number = store.add(tx, request, source_file, by.why, by.actor)
    return replace(request, id=f"{plan.target.environment}/{number}")


def approved(tx: Transaction, request: Request, approver: User, by: By) -> None:
    """Allow a request, as a second pair of eyes. Raises Refused for whoever may not, or when it was decided before."""
    refuse_own(approver, request.requested_by, request.requested, by.actor)
    _decide(tx, request, RequestState.REQUESTED, RequestState.APPROVED, by)


def rejected(tx: Transaction, request: Request, approver: User, by: By) -> None:
    """Turn a request down. Raises Refused as `approved` does."""
    refuse_own(approver, request.requested_by, request.requested, by.actor)
    _decide(tx, request, RequestState.REQUESTED, RequestState.REJECTED, by)


def scheduled(tx: Transaction, request: Request, at: datetime, by: By) -> None:
    """Have the clock apply an approved request. Raises Refused where it is not approved, or the time is past."""
    if request.state is not RequestState.APPROVED:
        raise Refused(f"{request.id} is {request.state.value}, not approved")
    if at <= by.now:
        raise Refused(f"{at.isoformat()} is past: leave --at out to apply it now")
    store.schedule(tx, number_of(request), at)
    if _life(tx, request.name) not in (Life.WATCHED, Life.LIVE):
        _move(tx, request.name, Move.SCHEDULE, by)


def lapsed(tx: Transaction, request: Request, by: By) -> None:
    """Note that a side moved since the plan was reviewed: it must be asked for anew."""
    _decide(tx, request, RequestState.APPROVED, RequestState.LAPSED, by)


def applied(tx: Transaction, request: Request, now_plan: Plan, own_titles: tuple[AETitle, ...], by: By) -> Modality:
    """Serve what was approved: one revision, one binding, at once.

    `now_plan` is the plan as both sides are now. Raises Refused where it is another one, a check has become open, the
    request is not approved, or the target cannot take the device; Misconfigured where the way back does not load.
    """
    _refuse_unapplicable(request, now_plan)
    before = _known(tx, request.name)
    _load_way_back(tx, before)
    if before is not None and not store.history(tx, request.name):
        _record(tx, before, "found", _life(tx, request.name), By(by.actor, by.now, "what was served before"))
    after = _serve(tx, request.name, request.document, request.binding, own_titles, by)
    number = number_of(request)
    with failpoints.around("promotion.decide"):
        if not store.decide(tx, number, RequestState.APPROVED, RequestState.APPLIED, by.actor, by.now, by.why):
            raise Refused(f"{request.id} was decided meanwhile")
    _record(tx, after, "applied", _move(tx, request.name, Move.APPLY, by), by, number)
    return after


def rolled_back(tx: Transaction, name: str, revision: str, own_titles: tuple[AETitle, ...], by: By) -> Modality:
    """Serve again what was served before, or an earlier revision; after a first go-live the device is suspended.

    Images that went to the PACS stay there. Raises NotFound, and Refused where there is nothing to go back to.
    """
    past = store.history(tx, name)
    if not past:
        raise Refused(f"{name} was never promoted here: there is nothing to go back to")
    target = _way_back(past, revision)
    if target is None:
        return _suspended(tx, name, by)
    content = registry.content(tx, name, target.revision)
    after = _serve(tx, name, content, target.binding, own_titles, by)
    _record(tx, after, "rolled back", _move(tx, name, Move.APPLY, by), by)
    return after


def resumed(tx: Transaction, name: str, by: By) -> Modality:
    """Show a suspended device its worklist again. Raises Refused where it is not suspended."""
    to = _move(tx, name, Move.RESUME, by)
    device = _shown(tx, name, True, by)
    _record(tx, device, "resumed", to, by)
    return device


def _suspended(tx: Transaction, name: str, by: By) -> Modality:
    to = _move(tx, name, Move.SUSPEND, by)
    device = _shown(tx, name, False, by)
    _record(tx, device, "suspended", to, by)
    return device


def number_of(request: Request) -> int:
    """Return the number of a request in its environment."""
    return int(request.id.rpartition("/")[2])


# --- the steps ---------------------------------------------------------------------------------------------------


def _refuse_unapplicable(request: Request, now_plan: Plan) -> None:
    if request.state is not RequestState.APPROVED:
        raise Refused(f"{request.id} is {request.state.value}, not approved")
    if now_plan.checksum != request.plan_checksum:
        raise Refused(f"{request.id}: a side has moved since the plan was reviewed; ask for it anew")
    if not now_plan.is_ready:
        names = ", ".join(check.check for check in now_plan.open_checks)
        raise Refused(f"{request.id}: what had passed does not any more: {names}")


def _serve(  # noqa: PLR0917 - a revision, its binding, and who has it served
    tx: Transaction, name: str, content: bytes, binding: Binding, own_titles: tuple[AETitle, ...], by: By
) -> Modality:
    document = documents.read(content, name)
    with failpoints.around("promotion.serve"):
        registry.apply(tx, document, content, by.actor, by.now, own_titles=own_titles, why=by.why)
    with failpoints.around("promotion.bind"):
        registry.bind(tx, name, binding, by.actor, by.now, own_titles=own_titles, why=by.why)
    return _shown(tx, name, True, by)


def _shown(tx: Transaction, name: str, is_shown: bool, by: By) -> Modality:
    """Show a device its worklist, or no longer."""
    with failpoints.around("promotion.show"):
        registry.suspend(tx, name, not is_shown, registry.Change(by.actor, by.now, by.why))
    return registry.modality(tx, name)


def _load_way_back(tx: Transaction, before: Modality | None) -> None:
    """Read again what would be gone back to, so that the way is known to be open before it is needed."""
    if before is not None:
        documents.read(registry.content(tx, before.name, before.revision), f"{before.name}, the way back")


def _way_back(past: list[Served], revision: str) -> Served | None:
    """Return what to go back to: the revision that is asked for, else what was served before and is not the same."""
    if revision:
        found = next((each for each in past if each.revision.startswith(revision)), None)
        if found is None:
            raise NotFound(f"{past[0].name} never served a revision that begins with {revision!r} here")
        return found
    now = (past[0].revision, past[0].binding)
    return next((each for each in past[1:] if each.revision and (each.revision, each.binding) != now), None)


def _decide(tx: Transaction, request: Request, before: RequestState, after: RequestState, by: By) -> None:
    if not store.decide(tx, number_of(request), before, after, by.actor, by.now, by.why):
        now = store.find(tx, number_of(request), request.id.partition("/")[0]).state
        raise Refused(f"{request.id} is {now.value}: it cannot be {after.value} any more")


def _known(tx: Transaction, name: str) -> Modality | None:
    try:
        return registry.modality(tx, name)
    except NotFound:
        return None


def _life(tx: Transaction, name: str) -> Life:
    known = _known(tx, name)
    usual = Life.DRAFT if known is None else Life.RETIRED if known.retired else Life.LIVE
    return store.life(tx, name) or usual


def _move(tx: Transaction, name: str, move: Move, by: By) -> Life:
    to = lives.moved(_life(tx, name), move)
    with failpoints.around("promotion.move"):
        store.set_life(tx, name, to, by.now)
    return to


def _record(  # noqa: PLR0917 - the parts of one row
    tx: Transaction, device: Modality, what: str, life: Life, by: By, request: int | None = None
) -> None:
    served = Served(0, device.name, by.now, str(by.actor), what, by.why, device.revision, device.binding, life, request)
    with failpoints.around("promotion.record"):
        store.record(tx, served)
