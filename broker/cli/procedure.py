"""`broker procedure`: what modalities performed (MPPS), and to which orders it belongs. Decides nothing; audited."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta

import click

from broker.audit import store as audit
from broker.cli.acting import intake_of
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.cli.order_view import one
from broker.database import Transaction
from broker.errors import NotFound, Refused
from broker.orders import store as orders
from broker.outbox import store as outbox
from broker.owed import OwedState
from broker.people.model import Right
from broker.procedures import flow, store
from broker.procedures.flow import Taking
from broker.procedures.forward import store as forwards
from broker.procedures.forward.model import Forward
from broker.procedures.model import PerformedStatus, StoredStep, Unlinked
from broker.procedures.unlinked import store as unlinks

_BY_STATUS = {status.value.lower().replace(" ", "-"): status for status in PerformedStatus}
_UNSCHEDULED, _STALE = "unscheduled", "stale"
_COLUMNS = tuple(
    (key, key.replace("_", " "))
    for key in ("uid", "state", "began", "station", "modality", "patient_id", "patient_name", "orders", "images")
)
_OWED_COLUMNS = tuple(
    (key, key) for key in ("id", "state", "destination", "operation", "uid", "tries", "due", "reason")
)


@click.group("procedure")
def group() -> None:
    """What modalities performed, and to which orders it belongs."""


@group.command("list")
@click.option(
    "--state",
    type=click.Choice([_UNSCHEDULED, _STALE, *_BY_STATUS]),
    help="Only those in this state; unscheduled are those that belong to no order yet.",
)
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="So many at most.")
@env_option
@json_option
def list_(env: str, state: str | None, limit: int, as_json: bool) -> None:
    """List performed steps, newest first."""
    with opened(env) as here:
        with here.database.read() as tx:  # apart from the audit's: whoever receives must not wait for a long list
            found = _listed(tx, here, state, limit)
        rows = [_row(known) for known in found]
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "procedure.read", state or "everything", rows=len(rows)))
    listing(rows, _COLUMNS, as_json, titled(here.profile, "performed steps"))
    if len(rows) == limit:
        click.echo(f"shown: the newest {limit}; --limit shows more", err=True)


@group.command("show")
@click.argument("uid")
@env_option
@json_option
def show(uid: str, env: str, as_json: bool) -> None:
    """Show one performed step by its SOP Instance UID: series, links, what was missing, to whom it was passed on."""
    with opened(env) as here, here.database.write("audit") as tx:
        known = _found(tx, uid)
        passed_on = [_forward(each) for each in forwards.of_step(tx, known.id)]
        unlinked = [_unlinked(each) for each in unlinks.of_step(tx, known.id)]
        audit.record(tx, act(here, "procedure.read", uid))
    shown = {**_row(known), **_more(known), "unlinked": unlinked, "passed_on": passed_on}
    detail(shown, as_json, titled(here.profile, "performed step"))


@group.command("link")
@click.argument("uid")
@click.option("--order", "key", required=True, metavar="KEY", help="Accession, filler or placer number, Study UID, id.")
@click.option(
    "--step", "step_id", default="", metavar="S", help="Its Scheduled Procedure Step ID, where it has several."
)
@click.option("--why", default="", help="Audited.")
@env_option
def link(uid: str, key: str, step_id: str, why: str, env: str) -> None:
    """Say to which order a performed step belongs: the order's step then stands as the performed one does."""
    with opened(env, Right.WORK) as here:
        intake = intake_of(here)
        with here.database.write("orders") as tx:
            known = _found(tx, uid)
            order = one(orders.order_detail(tx, key), key, here.profile)
            taken = flow.link_by_person(tx, known, order.id, step_id, str(here.actor), _taking(here, known))
            for applied in taken.applied:
                intake.change(tx, applied)
            linked = taken.step.links[-1]
            facts = {"order": linked.order_id, "step": linked.step_id, **({"why": why} if why else {})}
            audit.record(tx, act(here, "procedure.linked", uid, **facts))
            standing = _standing(tx, linked.order_id, linked.step_id)
    click.echo(f"{uid}: linked to order {linked.order_id}, step {linked.step_id}, which is {standing}")


@group.command("unlink")
@click.argument("uid")
@click.option("--order", "key", required=True, metavar="KEY", help="Accession, filler or placer number, Study UID, id.")
@click.option(
    "--step", "step_id", default="", metavar="S", help="Its Scheduled Procedure Step ID, where it has several."
)
@click.option("--why", required=True, help="Kept with the performed step, shown with the exam, and audited.")
@env_option
def unlink(uid: str, key: str, step_id: str, why: str, env: str) -> None:
    """Say that a performed step does not belong to an order: the order's step stands as if it had not been.

    Nothing links it again but a person: `broker procedure link`. Receivers are told how another exam of that step has
    ended, and not that they were told a mistake.
    """
    why = _reason(why)
    with opened(env, Right.WORK) as here:
        intake = intake_of(here)
        with here.database.write("orders") as tx:
            known = _found(tx, uid)
            order = one(orders.order_detail(tx, key), key, here.profile)
            before = {each.id for each in outbox.of_order(tx, order.id)}
            own = step_id or next((link.step_id for link in known.links if link.order_id == order.id), "")
            taken = flow.unlink_by_person(tx, known, order.id, step_id, str(here.actor), why, _taking(here, known))
            for applied in taken.applied:
                intake.change(tx, applied)
            audit.record(tx, act(here, "procedure.unlinked", uid, order=order.id, step=own, why=why))
            standing = _standing(tx, order.id, own)
            told = [each for each in outbox.of_order(tx, order.id) if each.state is not OwedState.DISCARDED]
            owed = [each for each in told if each.id not in before]
    click.echo(f"{uid}: unlinked from order {order.id}, step {own}, which is {standing}")
    for each in owed:
        click.echo(f"{each.receiver} is told that it is {each.event} (message {each.id} of the outbox)")
    if silent := sorted({each.receiver for each in told} - {each.receiver for each in owed}):
        words = f"was told of order {order.id} before, and is not told of this: tell whoever runs it"
        click.echo(f"{', '.join(silent)} {words}")
    if not taken.step.links:
        click.echo(f"it belongs to no order now: `broker procedure link {uid} --order KEY`, or `dismiss {uid}`")


@group.command("dismiss")
@click.argument("uids", metavar="UID...", nargs=-1, required=True)
@click.option("--why", required=True, help="Kept with the performed step, and audited.")
@env_option
def dismiss(uids: tuple[str, ...], why: str, env: str) -> None:
    """Decide that nobody is to look at performed steps any more: not unscheduled and not stale from now on.

    What their device says of them later is taken as before, and no order's step is changed.
    """
    uids, why = tuple(dict.fromkeys(uids)), _reason(why)
    with opened(env, Right.WORK) as here, here.database.write("orders") as tx:
        for known in [_found(tx, uid) for uid in uids]:
            unlinks.dismiss(tx, known.id, f"by {here.actor}: {why}", here.clock.now())
            audit.record(tx, act(here, "procedure.dismissed", known.step.sop_instance_uid, why=why))
    click.echo(f"dismissed: {', '.join(uids)}")


@group.command("owed")
@click.option("--state", type=click.Choice([each.value for each in OwedState]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="So many at most.")
@env_option
@json_option
def owed(env: str, state: str | None, limit: int, as_json: bool) -> None:
    """List what is passed on to MPPS destinations, newest first; what is parked waits for a person."""
    with opened(env) as here, here.database.read() as tx:
        found = forwards.forwards(tx, OwedState(state) if state else None, limit)
    rows = [{**_forward(each), "uid": each.sop_instance_uid} for each in found]
    listing(rows, _OWED_COLUMNS, as_json, titled(here.profile, "requests to MPPS destinations"))


@group.command("retry")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@env_option
def retry(ids: tuple[int, ...], env: str) -> None:
    """Pass parked requests on again now; `broker procedure owed --state parked` has their IDs."""
    with opened(env, Right.WORK) as here, here.database.write("mpps-lease") as tx:
        for each in _forwards(tx, ids):
            if not forwards.retry(tx, each.id, here.clock.now()):
                raise Refused(f"request {each.id} is {each.state}; nothing was retried")
            audit.record(tx, act(here, "mpps.retried", str(each.id), destination=each.destination))
    click.echo(f"to be sent: {', '.join(map(str, ids))}")


@group.command("discard")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option("--why", required=True, help="Kept with the request, and audited.")
@env_option
def discard(ids: tuple[int, ...], why: str, env: str) -> None:
    """Do not pass parked or waiting requests on; what follows of the same step goes on."""
    why = _reason(why)
    with opened(env, Right.WORK) as here, here.database.write("mpps-lease") as tx:
        for each in _forwards(tx, ids):
            if not forwards.discard(tx, each.id, f"discarded by {here.actor}: {why}", here.clock.now()):
                raise Refused(f"request {each.id} is {each.state}; nothing was discarded")
            audit.record(tx, act(here, "mpps.discarded", str(each.id), destination=each.destination, why=why))
    click.echo(f"discarded: {', '.join(map(str, ids))}")


def _reason(why: str) -> str:
    if not why.strip():
        raise Refused("--why TEXT is empty: say why")
    return why.strip()


def _listed(tx: Transaction, here: Opened, state: str | None, limit: int) -> list[StoredStep]:
    if state == _UNSCHEDULED:
        return store.steps(tx, unlinked=True, limit=limit)
    if state == _STALE:
        silent_since = here.clock.now() - timedelta(hours=here.profile.mpps.stale_hours)
        return store.steps(tx, status=PerformedStatus.IN_PROGRESS, silent_since=silent_since, limit=limit)
    return store.steps(tx, status=_BY_STATUS[state] if state else None, limit=limit)


def _found(tx: Transaction, uid: str) -> StoredStep:
    known = store.find(tx, uid)
    if known is None:
        raise NotFound(f"there is no performed step {uid}; `broker procedure list` shows them")
    return known


def _forwards(tx: Transaction, ids: Iterable[int]) -> list[Forward]:
    found = {number: forwards.find(tx, number) for number in dict.fromkeys(ids)}
    unknown = [number for number, each in found.items() if each is None]
    if unknown:
        raise NotFound(f"there is no request {unknown[0]}; `broker procedure owed` has their IDs")
    return [each for each in found.values() if each is not None]


def _standing(tx: Transaction, order_id: int, step_id: str) -> str:
    """Return how a step of an order stands; a step that its order has no longer is gone."""
    steps = orders.order(tx, order_id).order.steps
    return next((each.status.value for each in steps if each.scheduled_procedure_step_id == step_id), "gone")


def _taking(here: Opened, known: StoredStep) -> Taking:
    title = known.calling_ae_title
    return Taking(known.association_id, title, title, here.clock.now(), here.profile.receivers)


def _row(known: StoredStep) -> dict[str, object]:
    step = known.step
    return {
        "uid": step.sop_instance_uid,
        "state": step.status.value.lower().replace(" ", "-"),
        "began": known.created,
        "heard": known.updated,
        "station": step.performed_station_ae_title or known.calling_ae_title,
        "modality": step.modality,
        "patient_id": step.patient.patient_id,
        "patient_name": step.patient.patient_name,
        "orders": list(dict.fromkeys(f"{link.order_id}/{link.step_id}" for link in known.links)),
        "images": step.images,
    }


def _more(known: StoredStep) -> dict[str, object]:
    step = known.step
    reason = step.discontinuation_reason
    return {
        "association": known.association_id,
        "calling": known.calling_ae_title,
        "performed_procedure_step_id": step.performed_procedure_step_id,
        "start": f"{step.start_date} {step.start_time}",
        "end": f"{step.end_date} {step.end_time}".strip(),
        "description": step.description,
        "discontinued": f"{reason.value} {reason.meaning}".strip() if reason else "",
        "scheduled": [asdict(item) for item in step.items],
        "links": [asdict(link) for link in known.links],
        "series": [_series(series) for series in map(asdict, step.series)],
        "notes": list(step.notes),
        "dismissed": known.dismissed,
    }


def _series(series: dict[str, object]) -> dict[str, object]:
    instances = series.pop("instances")
    assert isinstance(instances, tuple)
    return {**series, "instances": len(instances)}


def _unlinked(each: Unlinked) -> dict[str, object]:
    return {key: getattr(each, key) for key in ("order_id", "step_id", "by", "why", "at")}


def _forward(each: Forward) -> dict[str, object]:
    keys = ("id", "destination", "operation", "state", "tries", "due", "finished", "reason")
    return {key: getattr(each, key) for key in keys} | {"due": each.due if each.state is OwedState.WAITING else None}
