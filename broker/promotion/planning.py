"""A plan: both sides as they are, what would change, what stands in the way, and a checksum over all but the checks."""

import hashlib
import json
from dataclasses import asdict
from datetime import datetime

from broker.environments.model import Profile
from broker.promotion import difference, settings
from broker.promotion.model import CheckResult, Life, Plan, Side
from broker.registry.model import Binding, Document, Modality


def side(profile: Profile, name: str, modality: Modality | None, life: Life) -> Side:
    """Return a device as it is in one environment; unknown there, it has no revision."""
    revision, binding = (modality.revision, modality.binding) if modality else ("", Binding())
    return Side(profile.name, profile.kind, name, revision, binding, life, settings.hashes(profile))


def plan(  # noqa: PLR0917 - a plan has these parts
    source: Side,
    target: Side,
    before: Document | None,
    after: Document,
    binding: Binding,
    checks: tuple[CheckResult, ...],
    now: datetime,
) -> Plan:
    """Return what happens when the source's revision, with this binding, becomes the target's."""
    changes = (
        *difference.of_documents(before, after),
        *difference.of_bindings(target.binding if target.revision else None, binding),
    )
    return Plan(source.name, source, target, changes, checks, checksum(source, target, binding), now)


def checksum(source: Side, target: Side, binding: Binding) -> str:
    """Return what names a plan: revisions, bindings, overrides and hashes of both sides, not the evidence.

    The life of a side is left out: to be scheduled is not to be changed.
    """
    parts = [_named(source), _named(target), asdict(binding)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def binding_after(source: Side, target: Side, asked: Binding | None) -> Binding:
    """Return the binding to be: what was asked for, else the target's own, else where the device is in the source.

    A title or station that is the source's own is never taken over: US2_T stays in Test.
    """
    if asked is not None:
        return asked
    return target.binding if target.binding.host else Binding(source.binding.host, source.binding.port)


def _named(one: Side) -> list[object]:
    return [one.environment, one.world.value, one.name, one.revision, asdict(one.binding), asdict(one.hashes)]
