"""`broker worklist`: what a device would see, matched as a real query is; that it was read is audited."""

import click

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.context import env_option, json_option, listing, opened, titled
from broker.environments.model import Profile, UnknownCallers
from broker.errors import NotFound
from broker.registry import store as registry_store
from broker.registry.model import Registry
from broker.worklist import find
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.viewer import registry_stations, viewer_of

_COLUMNS = (
    ("date", "date"),
    ("time", "time"),
    ("station", "station"),
    ("modality", "modality"),
    ("accession", "accession"),
    ("requested_procedure_id", "RP ID"),
    ("description", "description"),
    ("patient_id", "patient id"),
    ("name", "name"),
)


@click.group(name="worklist")
def group() -> None:
    """The worklist as a device sees it."""


@group.command(name="list")
@env_option
@json_option
@click.option("--as", "calling", metavar="AET", help="As the device with this calling AE title; else everything.")
def list_(env: str, as_json: bool, calling: str | None) -> None:
    """List the steps that are offered, soonest first."""
    with opened(env) as environment, environment.database.write("audit") as tx:
        registry = registry_store.load(tx)
        viewer = _viewer(registry, calling, environment.profile)
        rows = [_row(item) for item in find.items(tx, viewer, registry_stations(registry))]
        subject = viewer.device or "everything"
        audit.record(tx, AuditEntry(environment.clock.now(), environment.actor, "worklist.read", subject, {}))
    title = f"worklist of {viewer.device}" if viewer.device else "worklist"
    listing(rows, _COLUMNS, as_json, titled(environment.profile, title))


def _viewer(registry: Registry, calling: str | None, profile: Profile) -> Viewer:
    modality = registry.by_calling(calling.strip()) if calling else None
    if calling and modality is None and profile.unknown_callers is UnknownCallers.REJECT:
        raise NotFound(f'no modality of {profile.name} calls as "{calling}"; `broker modality list` shows the titles')
    return viewer_of(modality)


def _row(item: WorklistItem) -> dict[str, object]:
    return {
        "date": item.scheduled_procedure_step_start_date,
        "time": item.scheduled_procedure_step_start_time,
        "station": list(item.scheduled_station_ae_titles),
        "modality": item.modality,
        "accession": item.accession_number,
        "requested_procedure_id": item.requested_procedure_id,
        "description": item.scheduled_procedure_step_description or item.requested_procedure_description,
        "patient_id": item.patient_id,
        "name": item.patient_name,
        "status": item.status.value,
        "study_instance_uid": item.study_instance_uid,
        "scheduled_procedure_step_id": item.scheduled_procedure_step_id,
    }
