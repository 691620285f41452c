"""What r0003 makes of the orders and patients of an earlier version's database."""

import json
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from broker import migrations
from broker.database import Database, Transaction
from broker.orders import store
from broker.orders.model import Action, Code, Did, StepStatus
from tests.unit.orders.building import EVA, HERE, new, only, step

ATTRIBUTES = {"Allergies": "Latex", "AdmissionID": "V123", "ReferringPhysicianName": "Refer^Rita"}


def _upgrade_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with database.write("migrations") as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, revision)


def _snapshot(**own: Any) -> str:
    """An order as r0001's version wrote it."""
    patient = {
        "patient_id": "4711",
        "issuer_of_patient_id": "HOSP",
        "patient_name": "Muster^Eva",
        "patient_birth_date": "19800229",
        "patient_sex": "F",
        "attributes": ATTRIBUTES,
    }
    found = {
        "scheduled_procedure_step_id": "S1",
        "modality": "US",
        "scheduled_procedure_step_start_date": "20260201",
        "scheduled_procedure_step_start_time": "093000",
        "scheduled_station_ae_titles": ["US_ROOM2"],
        "scheduled_procedure_step_description": "Abdomen",
        "scheduled_protocol_codes": [{"value": "USABD", "scheme": "L", "meaning": "Abdomen US"}],
        "scheduled_performing_physician_name": "",
        "attributes": {"ScheduledProcedureStepStatus": "ARRIVED", "PreMedication": "none"},
    }
    order = {
        "placer_order_number": "P1",
        "filler_order_number": "F1",
        "accession_number": "A1",
        "requested_procedure_id": "RP1",
        "study_instance_uid": "1.2.3",
        "requested_procedure_description": "US Abdomen",
        "requested_procedure_code": None,
        "timezone": "Europe/Berlin",
        "attributes": {"RequestedProcedurePriority": "STAT"},
        **own,
    }
    return json.dumps({**order, "patient": patient, "steps": [found]}, sort_keys=True)


def _add_order(tx: Transaction, number: int, snapshot: str, *, canceled: bool) -> None:
    order = json.loads(snapshot)
    tx.execute(
        text(
            "INSERT INTO imaging_order (patient, study_instance_uid, filler_order_number, filler_issuer,"
            " placer_order_number, placer_issuer, accession_number, requested_procedure_id, canceled, snapshot,"
            " created, updated, entry) VALUES (1, :study, :filler, 'RIS', :placer, 'HIS', :accession, :procedure,"
            " :canceled, :snapshot, '2026-01-31 10:00:00', :updated, :entry)"
        ),
        {
            "study": order["study_instance_uid"],
            "filler": order["filler_order_number"],
            "placer": order["placer_order_number"],
            "accession": order["accession_number"],
            "procedure": order["requested_procedure_id"],
            "canceled": canceled,
            "snapshot": snapshot,
            "updated": f"2026-01-31 10:0{number}:00",
            "entry": number,
        },
    )


def _earlier(database: Database) -> None:
    """A database with one live and one canceled order, as r0001's version left it."""
    _upgrade_to(database, "0001")
    second = {"filler_order_number": "F2", "placer_order_number": "P2", "accession_number": "A2"}
    with database.write("migrations") as tx:
        tx.execute(
            text(
                "INSERT INTO patient (patient_id, issuer_of_patient_id, patient_name, patient_birth_date, patient_sex,"
                " updated) VALUES ('4711', 'HOSP', 'Muster^Eva', '19800229', 'F', '2026-01-31 10:00:00')"
            )
        )
        _add_order(tx, 1, _snapshot(), canceled=False)
        _add_order(tx, 2, _snapshot(**second, study_instance_uid="1.2.4"), canceled=True)
    migrations.upgrade(database)


def test_orders_of_an_earlier_version_are_whole(database_url: str) -> None:
    database = Database(database_url)
    _earlier(database)
    with database.read() as tx:
        canceled, stored = store.orders(tx)
    assert stored.order.patient == EVA
    assert stored.order.visit == {"AdmissionID": "V123", "ReferringPhysicianName": "Refer^Rita"}
    (found,) = stored.order.steps
    assert (found.status, found.attributes) == (StepStatus.ARRIVED, {"PreMedication": "none"})
    assert found.scheduled_protocol_codes == (Code("USABD", "L", "Abdomen US"),)
    assert found.scheduled_station_ae_titles == ("US_ROOM2",)
    assert (stored.order.attributes, stored.entry_id) == ({"RequestedProcedurePriority": "STAT"}, 1)
    assert (canceled.canceled, canceled.order.steps[0].status) == (True, StepStatus.CANCELED)
    database.close()


def test_orders_of_an_earlier_version_are_found_changed_and_not_revived(database_url: str) -> None:
    database = Database(database_url)
    _earlier(database)
    with database.write("orders") as tx:
        again = store.apply(tx, new(steps=(step(date="20260301"),)), HERE)
        assert (again.did, again.orders[0].id) == (Did.CHANGED, 1)
        assert again.orders[0].order.steps[0].status is StepStatus.ARRIVED
        old = {"filler_order_number": "F2", "placer_order_number": "P2", "accession_number": "A2"}
        late = store.apply(tx, new(stated=old, minute=1), HERE)
        assert (late.did, late.orders[0].canceled) == (Did.LATE, True)
        assert store.apply(tx, only(Action.CANCEL), HERE).did is Did.CANCELED
    database.close()
