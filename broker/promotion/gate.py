"""Both sides of a promotion as they are now, put into a plan. Reads; changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.database import Transaction
from broker.environments.model import Profile, World
from broker.errors import NotFound, Refused
from broker.promotion import evidence, planning, store
from broker.promotion.life import Move, moved
from broker.promotion.model import CheckResult, Life, Plan, Side
from broker.registry import store as registry
from broker.registry.model import Binding, Document, Modality


@dataclass(frozen=True, slots=True)
class Here:
    """One environment, and a transaction that sees one state of it."""

    profile: Profile
    tx: Transaction


Checks = Callable[[Here, Here, Modality, Binding, datetime], tuple[CheckResult, ...]]
"""Judges (source, target, device in the source, binding to be, now)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what it would serve: the document's bytes and the binding."""

    plan: Plan
    content: bytes
    binding: Binding


def prepared(  # noqa: PLR0917 - both sides, the device, where it is to be, who judges and when
    source: Here, target: Here, name: str, asked: Binding | None, checks: Checks, now: datetime
) -> Prepared:
    """Return the plan for one device. Raises NotFound where the source does not know it, Refused for two of a kind."""
    refuse_direction(source.profile.kind, source.profile.name, target.profile)
    device = registry.modality(source.tx, name)
    if device.retired:
        raise Refused(f"{name} is retired in {source.profile.name}")
    ours = planning.side(source.profile, name, device, stands(source, device, now))
    content = registry.content(source.tx, name)

    def judged(binding: Binding) -> tuple[CheckResult, ...]:
        return checks(source, target, device, binding, now)

    return planned(ours, device.document, content, target, asked, judged, now)


def planned(  # noqa: PLR0917 - what the source says, where it is to be, who judges and when
    ours: Side,
    document: Document,
    content: bytes,
    target: Here,
    asked: Binding | None,
    judged: Callable[[Binding], tuple[CheckResult, ...]],
    now: datetime,
) -> Prepared:
    """Return the plan for what a source says of one device."""
    known = _known(target.tx, ours.name)
    theirs = planning.side(target.profile, ours.name, known, life(target.tx, ours.name, known))
    binding = planning.binding_after(ours, theirs, asked)
    before = known.document if known else None
    plan = planning.plan(ours, theirs, before, document, binding, judged(binding), now)
    return Prepared(plan, content, binding)


def refuse_direction(source: World, source_name: str, target: Profile) -> None:
    """Raise Refused for two of a kind, or where the way does not lead to production."""
    if source is target.kind:
        raise Refused(f"{source_name} and {target.name} are both {source.value}")
    if target.kind is not World.PRODUCTION:
        raise Refused(f"a promotion leads to production; {target.name} is a test environment")


def bound(tx: Transaction, name: str) -> Binding:
    """Return where a device is; an unknown one is nowhere."""
    known = _known(tx, name)
    return known.binding if known else Binding()


def _known(tx: Transaction, name: str) -> Modality | None:
    try:
        return registry.modality(tx, name)
    except NotFound:
        return None


def stands(here: Here, device: Modality, now: datetime) -> Life:
    """Return where a device stands; in Test it is ready while every check has passed, and not any longer."""
    said = life(here.tx, device.name, device)
    if said is not Life.TESTING or here.profile.kind is World.PRODUCTION:
        return said
    found = evidence.evaluate(here.tx, here.profile, device, now)
    return said if any(check.is_open for check in found) else moved(said, Move.PASS)


def life(tx: Transaction, name: str, device: Modality | None) -> Life:
    """Return where a device stands: as was said of it, else as its binding tells."""
    said = store.life(tx, name)
    if said is not None:
        return said
    if device is None or not device.binding.host:
        return Life.DRAFT
    return Life.RETIRED if device.retired else Life.TESTING
