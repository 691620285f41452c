"""`broker route try`: where a file would go, and why no other way. Sends and keeps nothing; the rules decide."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydicom.uid import UID

from broker.audit import store as audit
from broker.cli.acting import flows_of
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, listing, local, opened, titled
from broker.database import Transaction
from broker.delivery import destination_store, routing
from broker.delivery.model import NO_ROUTE
from broker.environments.model import Identity, UnknownCallers
from broker.environments.schedules import is_within
from broker.exams import checking, crossing
from broker.registry.model import Registry
from broker.spool import outside
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.tripwires.model import OTHER_WORLD

if TYPE_CHECKING:
    from broker.pipeline import Flows

_NOWHERE = 3  # exit code: no route takes it
_COLUMNS = (
    ("number", "route"),
    ("name", "name"),
    ("to", "to"),
    ("takes", "takes it"),
    ("reasons", "why not"),
)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of a try."""

    instance: SpooledInstance
    order_id: int  # 0: none
    held: tuple[str, ...]  # keywords in which it contradicts its order, where that holds it
    of_document: bool
    judged: tuple[routing.Judged, ...]
    targets: tuple[routing.Target, ...]
    notes: tuple[str, ...]  # about the destinations, as they stand now


@click.group("route")
def group() -> None:
    """Routes: where an instance goes, and why."""


@group.command("try")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "calling", metavar="AET", help="As if this title had sent it.  [default: the file's source]")
@click.option("--called", metavar="AET", help="As if it had been sent to this title of ours.  [default: our ae_title]")
@click.option("--at", metavar="TIME", help="As if received then: RFC 3339, or a time of the site.  [default: now]")
@env_option
@json_option
@click.pass_context
def try_(  # noqa: PLR0917 - click passes each option
    context: click.Context, file: Path, calling: str | None, called: str | None, at: str | None, env: str, as_json: bool
) -> None:
    """Show where FILE would go, which routes take it and why the others do not. Sends and keeps nothing.

    Exit 3 when no route takes it: such an instance is parked as no-route, and an alert raised.
    """
    meta = outside.meta_of(file)
    with opened(env) as here:
        flows = flows_of(here)
        with here.database.read() as tx:
            facts = _facts(here, flows.registry(tx), meta, calling, called, _instant(here, at))
        instance = outside.instance_of(file, facts)
        with here.database.write("audit") as tx:
            tried = _try(tx, here, flows, instance)
            audit.record(tx, act(here, "route.tried", facts.sop_instance_uid, destinations=len(tried.targets)))
        if as_json:
            detail(_document(file, tried), as_json)
        else:
            _write(here, file, tried)
    if not tried.targets:
        context.exit(_NOWHERE)


def _facts(  # noqa: PLR0917 - the parts of one value
    here: Opened, registry: Registry, meta: dict[str, str], calling: str | None, called: str | None, received: datetime
) -> ReceiptFacts:
    title = (calling if calling is not None else meta["SourceApplicationEntityTitle"]).strip()
    modality = registry.by_calling(title)
    return ReceiptFacts(
        association_id="",
        calling_ae_title=title,
        called_ae_title=(called or here.profile.dicom.ae_title).strip(),
        device=modality.name if modality else "",
        sop_class_uid=meta["MediaStorageSOPClassUID"],
        sop_instance_uid=meta["MediaStorageSOPInstanceUID"],
        transfer_syntax=meta["TransferSyntaxUID"],
        received=received,
    )


def _instant(here: Opened, at: str | None) -> datetime:
    if at is None:
        return here.clock.now()
    try:
        civil = datetime.fromisoformat(at)
    except ValueError as error:
        raise click.BadParameter(f"{at!r} is no time such as 2026-02-01T18:30", param_hint="--at") from error
    return civil if civil.tzinfo else civil.replace(tzinfo=here.profile.timezone)


def _try(tx: Transaction, here: Opened, flows: "Flows", instance: SpooledInstance) -> _Tried:
    order_id, keywords = checking.found(tx, instance)
    rules = flows.rules(tx, instance.facts.device)
    subject = flows.subject(tx, instance, order_id, rules.routes)
    targets = routing.targets(subject, rules.routes)
    looked = crossing.image(flows.worlds, instance) if flows.worlds.looks else crossing.Looked()
    if looked.is_handed_over:
        targets = (routing.Target(OTHER_WORLD),)
    return _Tried(
        instance=instance,
        order_id=order_id,
        held=keywords if here.profile.exams.identity is Identity.HOLD else (),
        of_document=rules.of_document,
        judged=routing.judged(subject, rules.routes),
        targets=targets,
        notes=(
            *_caller_notes(here, instance.facts),
            *(row.text for row in looked.tripped),
            *(note for target in targets for note in _notes(tx, here, target, subject.received)),
        ),
    )


def _caller_notes(here: Opened, facts: ReceiptFacts) -> list[str]:
    if facts.device or here.profile.unknown_callers is UnknownCallers.ACCEPT:
        return []
    return [f'no device is registered for "{facts.calling_ae_title}": its association would be refused']


def _notes(tx: Transaction, here: Opened, target: routing.Target, received: datetime) -> list[str]:
    name = target.destination
    destination = here.profile.destination(name)
    if destination is None and name == OTHER_WORLD:
        return []
    if destination is None:
        return [f"{name}: the profile has no such destination; what is owed to it waits"]
    notes = []
    state = destination_store.destination_state(tx, name)
    if state.held:
        notes.append(f"{name}: {state.held}; it waits until `broker delivery release --destination {name}`")
    elif state.reason:
        notes.append(f"{name}: {state.reason}; it waits")
    if not is_within(destination.schedule, received):
        hours = " or ".join(str(one) for one in destination.schedule)
        notes.append(f"{name}: sent {hours} only; it waits until then")
    return notes


def _document(file: Path, tried: _Tried) -> dict[str, object]:
    instance = tried.instance
    facts = instance.facts
    return {
        "file": str(file),
        "outcome": "routed" if tried.targets else NO_ROUTE,
        "destinations": [
            {"name": one.destination, "priority": one.priority.value, "by": one.by} for one in tried.targets
        ],
        "held": list(tried.held),
        "notes": list(tried.notes),
        "routes_of": f"document {facts.device}" if tried.of_document else "profile",
        "routes": [_row(one) for one in tried.judged],
        "device": facts.device,
        "calling": facts.calling_ae_title,
        "called": facts.called_ae_title,
        "received": facts.received,
        "order": tried.order_id or None,
        "modality": instance.modality,
        "sop_class_uid": facts.sop_class_uid,
        "sop_instance_uid": facts.sop_instance_uid,
        "transfer_syntax": facts.transfer_syntax,
    }


def _row(one: routing.Judged) -> dict[str, object]:
    return {
        "number": one.number,
        "name": one.route.name,
        "to": list(one.route.to),
        "takes": not one.reasons,
        "reasons": list(one.reasons),
    }


def _write(here: Opened, file: Path, tried: _Tried) -> None:
    facts = tried.instance.facts
    sender = facts.device or "no registered device"
    order = f"order {tried.order_id}" if tried.order_id else "no order that is known"
    click.echo(f"{file.name}: {UID(facts.sop_class_uid).name}, Modality {tried.instance.modality or '(none)'}")
    received = local(facts.received, here.profile.timezone)
    click.echo(f'from "{facts.calling_ae_title}" ({sender}) to "{facts.called_ae_title}", {received}; {order}')
    whose = f"routes of the document of {facts.device}" if tried.of_document else "routes of the profile"
    rows = [_row(one) | {"reasons": "; ".join(one.reasons)} for one in tried.judged]
    listing(rows, _COLUMNS, False, titled(here.profile, whose))
    for target in tried.targets:
        click.echo(f"goes to {target.destination}: {target.priority.value} (by {target.by})")
    if not tried.targets:
        click.echo("goes nowhere: no route takes it; it would be parked as no-route, and an alert raised")
    if tried.held:
        verb = "disagrees" if len(tried.held) == 1 else "disagree"
        click.echo(f"would be held: {' and '.join(tried.held)} {verb} with order {tried.order_id}")
    for note in tried.notes:
        click.echo(f"note: {note}")
