"""How a plan, a request and a history are shown. Decides nothing."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from broker.cli.context import local
from broker.promotion.life import ACTS_NEXT
from broker.promotion.model import CheckResult, CheckState, Plan, Request, Side
from broker.promotion.rehearsed.store import Rehearsal
from broker.promotion.store import Served

SHORT = 12
_MARKS = {
    CheckState.PASSED: "ok",
    CheckState.NOT_APPLICABLE: "n/a",
    CheckState.MISSING: "missing",
    CheckState.FAILED: "FAILED",
    CheckState.STALE: "stale",
}


def plan_fact(plan: Plan) -> dict[str, object]:
    """Return a plan as JSON has it."""
    return {
        "name": plan.name,
        "ready": plan.is_ready,
        "checksum": plan.checksum,
        "made": plan.made,
        "source": side_fact(plan.source),
        "target": side_fact(plan.target),
        "differences": [
            {"field": each.field, "before": each.before, "after": each.after, "at_console": each.at_console}
            for each in plan.differences
        ],
        "checks": [check_fact(check) for check in plan.checks],
    }


def side_fact(side: Side) -> dict[str, object]:
    """Return one side as JSON has it."""
    return {
        "environment": side.environment,
        "world": side.world.value,
        "revision": side.revision,
        "host": side.binding.host,
        "port": side.binding.port,
        "ae_title": side.binding.ae_title,
        "station": side.binding.station,
        "life": side.life.value,
        "next": ACTS_NEXT[side.life],
    }


def check_fact(check: CheckResult) -> dict[str, object]:
    """Return a check as JSON has it."""
    return {
        "check": check.check,
        "title": check.title,
        "state": check.state.value,
        "text": check.text,
        "to_do": check.to_do,
        "at": check.at,
        "facts": list(check.facts),
    }


def difference_rows(plan: Plan) -> list[dict[str, object]]:
    """Return the rows of the differences."""
    return [
        {
            "field": each.field,
            "before": each.before or "-",
            "after": each.after or "(goes)",
            "console": "change it there too" if each.at_console else "",
        }
        for each in plan.differences
    ]


def check_rows(checks: Iterable[CheckResult]) -> list[dict[str, object]]:
    """Return the rows of the checks, what is open first."""
    ordered = sorted(checks, key=lambda check: not check.is_open)
    return [
        {
            "state": _MARKS[check.state],
            "check": check.title,
            "what": check.text if not check.to_do else f"{check.text}. {check.to_do}",
            "when": check.at,
        }
        for check in ordered
    ]


def verdict(plan: Plan, source: str) -> str:
    """Return in a line whether it may go, and how it goes on."""
    target = plan.target.environment
    if not plan.differences:
        return f"{target} serves this revision of {plan.name} already: nothing would change"
    if plan.is_ready:
        return f"READY: ask for it with broker promote request {plan.name} --from {source} --to {target}"
    count = len(plan.open_checks)
    return f"NOT READY: {count} check{'s' if count > 1 else ''} of {len(plan.checks)} open"


def rehearsal(plan: Plan, rehearsed: Rehearsal | None, source: str, zone: ZoneInfo) -> str:
    """Return in a line whether this plan was rehearsed."""
    target = plan.target.environment
    how = f"broker promote rehearse {plan.name} --from {source} --to {target}"
    if rehearsed is None:
        return f"not rehearsed: {how}"
    open_ = sum(each.is_open for each in rehearsed.results)
    how_it_went = f"{open_} checks open" if open_ else "all well"
    said = f"{how_it_went}, {local(rehearsed.at, zone)} by {rehearsed.by}"
    if rehearsed.plan_checksum != plan.checksum:
        return f"another plan was rehearsed ({said}), not this one: {how}"
    return f"rehearsed: {said}"


def rehearsal_fact(plan: Plan, rehearsed: Rehearsal | None) -> dict[str, object] | None:
    """Return the last rehearsal as JSON has it."""
    if rehearsed is None:
        return None
    return {
        "at": rehearsed.at,
        "by": rehearsed.by,
        "good": rehearsed.is_good,
        "this_plan": rehearsed.plan_checksum == plan.checksum,
        "checks": [check_fact(check) for check in rehearsed.results],
    }


def request_fact(request: Request) -> dict[str, object]:
    """Return a request as a listing has it."""
    return {
        "id": request.id,
        "name": request.name,
        "state": request.state.value,
        "revision": request.revision,
        "plan": request.plan_checksum,
        "requested": request.requested,
        "requested_by": request.requested_by,
        "decided": request.decided,
        "decided_by": request.decided_by,
        "apply_at": request.apply_at,
        "applied": request.applied,
        "applied_by": request.applied_by,
        "why": request.why,
    }


def served_fact(served: Served) -> dict[str, object]:
    """Return a line of the history."""
    return {
        "at": served.at,
        "what": served.what,
        "revision": served.revision,
        "life": served.life.value,
        "by": served.by,
        "why": served.why,
        "request": served.request,
    }
