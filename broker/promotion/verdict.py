"""How a check turns facts into its word: what counts passes, what no longer holds is stale, what is not its own earns
nothing. Pure; which facts a check looks for is its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from broker.promotion.model import CheckResult, CheckState
from broker.promotion.recorded.model import Incident
from broker.promotion.seen import Facts, Seen

_MOST = 5  # facts that are named

_S = TypeVar("_S", bound=Seen)


@dataclass(frozen=True, slots=True)
class Asked:
    """One check of one device: its name, its title, what is recorded, and what a person does to tick it."""

    check: str
    title: str
    facts: Facts
    to_do: str = ""


def waived(asked: Asked) -> CheckResult | None:
    """Return that a check does not apply, where somebody said so."""
    said = asked.facts.waiver(asked.check)
    if said is None:
        return None
    text = f"{said.by} says so: {said.text}"
    return CheckResult(asked.check, asked.title, CheckState.NOT_APPLICABLE, text, at=said.at, facts=(said.ref,))


def not_applicable(asked: Asked, who: str, why: str) -> CheckResult:
    """Return that a check does not apply, and who says so."""
    return CheckResult(asked.check, asked.title, CheckState.NOT_APPLICABLE, f"{who} says so: {why}")


def failed(asked: Asked, text: str, because: Sequence[Seen | Incident] = ()) -> CheckResult:
    """Return that a check failed, and why; a waiver goes before."""
    return waived(asked) or _result(asked, CheckState.FAILED, text, because, asked.to_do)


def missing(asked: Asked, text: str, because: Sequence[Seen] = ()) -> CheckResult:
    """Return that something has not been seen yet; a waiver goes before."""
    return waived(asked) or _result(asked, CheckState.MISSING, text, because, asked.to_do)


def passed(asked: Asked, text: str, because: Sequence[Seen]) -> CheckResult:
    """Return that a check passed."""
    return waived(asked) or _result(asked, CheckState.PASSED, text, because, "")


def of(
    asked: Asked, found: Sequence[_S], say: Callable[[_S], str], absent: str, *, delivers: bool = False
) -> CheckResult:
    """Return what facts, newest first, of which each would pass a check, make of it.

    `say` says of one what passed; `absent` what is missing where there is none. With `delivers` it is stale too where
    routes or destinations have changed since.
    """
    counting = [seen for seen in found if seen.counts and not (delivers and seen.bearing.moved)]
    if counting:
        return passed(asked, say(counting[0]), counting[:1])
    before = [seen for seen in found if not seen.bearing.foreign]
    if before:
        return _stale(asked, before[0], delivers=delivers)
    if found:
        return missing(asked, f"{absent}; {_earns_nothing(found)}", found[:_MOST])
    return missing(asked, absent)


def explained(facts: Facts, check: str) -> datetime | None:
    """Return up to when a person has explained what went wrong: what happened, happened, whatever changes after."""
    return max((said.at for said in facts.stated(check)), default=None)


def own(seen: Iterable[_S]) -> list[_S]:
    """Return what counts."""
    return [each for each in seen if each.counts]


def when(seen: Seen, facts: Facts) -> str:
    """Return when something was, by the clocks of the site."""
    return f"{seen.at.astimezone(facts.timezone):%Y-%m-%d %H:%M}"


def _stale(asked: Asked, seen: Seen, *, delivers: bool) -> CheckResult:
    changed = (*seen.bearing.changed, *(seen.bearing.moved if delivers else ()))
    names = " and ".join(change.value for change in changed)
    verb = "have" if len(changed) > 1 or names.endswith("s") else "has"
    text = f"had passed on {when(seen, asked.facts)}; since then {names} {verb} changed"
    return waived(asked) or _result(asked, CheckState.STALE, text, [seen], f"again: {asked.to_do}")


def _earns_nothing(found: Sequence[Seen]) -> str:
    count = len(found)
    return f"{count} seen {found[0].bearing.foreign} {'do' if count > 1 else 'does'} not count"


def _result(asked: Asked, state: CheckState, text: str, because: Sequence[Seen | Incident], to_do: str) -> CheckResult:
    at = max((each.at for each in because), default=None)
    refs = tuple(each.ref for each in because[:_MOST])
    return CheckResult(asked.check, asked.title, state, text, to_do, at, refs)
