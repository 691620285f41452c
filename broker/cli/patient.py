"""`broker patient`: who the patients are, which identifiers mean them, and merges taken back. Reading is audited."""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import click

from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, listing, local, opened, titled
from broker.cli.order_values import ORDER_COLUMNS, VALUE_COLUMNS, order_line, order_row, patient_rows
from broker.database import Transaction
from broker.errors import NotFound, Refused
from broker.orders import order_store, patient_store
from broker.orders import store as orders
from broker.orders.model import Applied, StoredOrder
from broker.orders.patients import StoredMerge, StoredPatient
from broker.people.model import Right

_AUTHORITY = "^^^"  # between PatientID and its issuer, as in PID-3
_COLUMNS = tuple(
    (key, key.replace("_", " ")) for key in ("patient", "patient_name", "birth_date", "sex", "now", "stated")
)
_MERGE_COLUMNS = tuple(
    (key, key.replace("_", " ")) for key in ("id", "when", "kind", "old", "surviving", "orders", "message", "undone")
)


@click.group("patient")
def group() -> None:
    """Patients: who they are, which identifiers mean them, and merges."""


@group.command("list")
@env_option
@json_option
@click.option("--merged", is_flag=True, help="Only identifiers that a merge has replaced, and by which.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def list_(env: str, as_json: bool, *, merged: bool, limit: int) -> None:
    """List patients, newest first."""
    with opened(env) as here:
        with here.database.write("audit") as tx:
            found = patient_store.listed(tx, merged=merged, limit=limit)
            rows = [_row(tx, patient) for patient in found]
            audit.record(tx, act(here, "patient.read", f"{len(found)} patients"))
        title = "identifiers that were merged" if merged else "patients"
        listing(rows if as_json else list(map(_line, rows)), _COLUMNS, as_json, titled(here.profile, title))


@group.command("show")
@click.argument("identifier", metavar="ID[^^^AUTHORITY]")
@env_option
@json_option
def show(identifier: str, env: str, as_json: bool) -> None:
    """Show one patient: where each value comes from, former identifiers, orders.

    A former identifier shows the patient that it means now.
    """
    with opened(env) as here:
        with here.database.write("audit") as tx:
            stated = _one(patient_store.named(tx, identifier), identifier, here)
            patient = patient_store.survivor_of(tx, stated)
            found = [order_store.with_patient(tx, kept) for kept in order_store.of_patient(tx, patient.id)][::-1]
            whole = _whole(tx, patient, found)
            audit.record(tx, act(here, "patient.read", f"patient {patient.id}"))
        if as_json:
            detail(whole, as_json)
            return
        listing(whole["values"], VALUE_COLUMNS, False, titled(here.profile, f"patient {_name(patient)}"))
        listing(
            [_line(row) for row in whole["former_identifiers"]],
            _COLUMNS,
            False,
            titled(here.profile, "former identifiers"),
        )
        listing([order_line(stored) for stored in found], ORDER_COLUMNS, False, titled(here.profile, "orders"))


@group.command("merges")
@env_option
@json_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def merges(env: str, as_json: bool, limit: int) -> None:
    """List merges, newest first, undone ones too."""
    with opened(env) as here:
        with here.database.write("audit") as tx:
            found = orders.merges(tx, limit)
            audit.record(tx, act(here, "patient.read", f"{len(found)} merges"))
        rows = [_merge_row(merge) for merge in found]
        if not as_json:
            rows = [_merge_line(row, here.profile.timezone) for row in rows]
        listing(rows, _MERGE_COLUMNS, as_json, titled(here.profile, "merges"))


@group.command("unmerge")
@click.argument("merge_id", metavar="MERGE-ID", type=click.IntRange(1))
@env_option
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept in the audit.")
def unmerge(merge_id: int, env: str, why: str) -> None:
    """Take a merge back: its orders and their worklist items return to the patient they came from.

    Orders that came after the merge stay where they are. The RIS is told nothing: mend it there too.
    """
    # What plans the worklist is not needed to look at patients.
    from broker.cli.acting import intake_of  # noqa: PLC0415

    if not why.strip():
        raise Refused("--why TEXT is empty: say why the merge was wrong")
    with opened(env, Right.WORK) as here, here.database.write("orders") as tx:
        applied = orders.undo_merge(tx, merge_id, here.clock.now(), str(here.actor))
        intake_of(here).change(tx, applied)
        audit.record(tx, act(here, "patient.unmerged", f"merge {merge_id}", why=why.strip(), orders=_ids(applied)))
    click.echo(f"merge {merge_id} is undone; orders planned anew: {', '.join(map(str, _ids(applied))) or 'none'}")


def _ids(applied: Applied) -> list[int]:
    return sorted(stored.id for stored in applied.orders)


def _one(found: Iterable[StoredPatient], identifier: str, here: Opened) -> StoredPatient:
    """Return the only patient of an identifier. Raises NotFound for none, Refused for several."""
    patients = list(found)
    if not patients:
        raise NotFound(f"{here.profile.name} has no patient {identifier}; `broker patient list` shows the patients")
    if len(patients) > 1:
        names = ", ".join(f"'{patient.patient.patient_id}{_AUTHORITY}{_issuer(patient)}'" for patient in patients)
        raise Refused(f"{identifier} is a patient of several authorities; say which: {names}")
    return patients[0]


def _issuer(patient: StoredPatient) -> str:
    return patient.patient.issuer_of_patient_id


def _name(patient: StoredPatient) -> str:
    """Return the identifier as a person types it; `ID^^^` is one without an authority."""
    return f"{patient.patient.patient_id}{_AUTHORITY}{_issuer(patient)}"


def _row(tx: Transaction, patient: StoredPatient) -> dict[str, Any]:
    own = patient.patient
    survivor = patient_store.survivor_of(tx, patient)
    return {
        "id": patient.id,
        "patient": _name(patient),
        "patient_id": own.patient_id,
        "issuer_of_patient_id": own.issuer_of_patient_id,
        "patient_name": own.patient_name,
        "birth_date": own.patient_birth_date,
        "sex": own.patient_sex,
        "now": _name(survivor) if patient.merged_into else "",
        "updated": patient.updated,
    }


def _line(row: dict[str, Any]) -> dict[str, object]:
    return row | {"stated": row["updated"]}


def _whole(tx: Transaction, patient: StoredPatient, found: Iterable[StoredOrder]) -> dict[str, list[dict[str, Any]]]:
    return {
        "patient": [_row(tx, patient)],
        "values": patient_rows(patient.patient, patient.visit, patient.origins),
        "former_identifiers": [_row(tx, former) for former in patient_store.former(tx, patient.id)],
        "orders": [order_row(stored) for stored in found],
    }


def _merge_row(merge: StoredMerge) -> dict[str, Any]:
    return {
        "id": merge.id,
        "at": merge.at,
        "kind": merge.kind.value,
        "old": _name(merge.old),
        "surviving": _name(merge.surviving),
        "orders": list(merge.order_ids),
        "message": merge.entry_id or None,
        "undone_at": merge.undone,
        "undone_by": merge.undone_by,
    }


def _merge_line(row: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    undone = f"by {row['undone_by']}, {local(row['undone_at'], zone)}" if row["undone_at"] else ""
    return row | {"when": row["at"], "undone": undone}
