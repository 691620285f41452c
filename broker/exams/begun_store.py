"""What began in this world, read from what the stages recorded, for the other world's eyes. Changes nothing."""

from collections.abc import Iterator

from sqlalchemy import select

from broker.database import Transaction, table_of
from broker.exams.store import DELIVERY, INSTANCE
from broker.orders.tables import ImagingOrderRow, PatientRow
from broker.procedures.forward.store import MppsDeliveryRow
from broker.procedures.store import PerformedStepRow
from broker.tripwires.model import OTHER_WORLD, Identifier, Kind, identifiers
from broker.tripwires.table import TRIPWIRES, Response

_ORDER = table_of(ImagingOrderRow)
_PATIENT = table_of(PatientRow)
_STEP = table_of(PerformedStepRow)
_FORWARD = table_of(MppsDeliveryRow)
_HELD = frozenset(row.text for row in TRIPWIRES.values() if row.response is Response.HELD)


def begun(tx: Transaction) -> Iterator[Identifier]:
    """Yield the identifiers of all orders, images and performed steps but those that a tripwire kept apart."""
    for row in tx.execute(select(_PATIENT.c.patient_id, _PATIENT.c.issuer_of_patient_id)):
        yield from identifiers(patient=(row.patient_id, row.issuer_of_patient_id))
    for row in tx.execute(select(_ORDER.c.accession_number, _ORDER.c.study_instance_uid)):
        yield from identifiers(accession=row.accession_number, study=row.study_instance_uid)
    yield from _images(tx)
    handed = select(_FORWARD.c.performed_step).where(_FORWARD.c.destination == OTHER_WORLD)
    for row in tx.execute(select(_STEP.c.sop_instance_uid).where(_STEP.c.id.not_in(handed))):
        yield Identifier(Kind.STEP, row.sop_instance_uid)


def _images(tx: Transaction) -> Iterator[Identifier]:
    delivery = DELIVERY.c
    kept_apart = select(delivery.instance_id).where(
        (delivery.destination == OTHER_WORLD) | delivery.reason.in_(sorted(_HELD))
    )
    columns = (INSTANCE.c.sop_instance_uid, INSTANCE.c.study_instance_uid, INSTANCE.c.accession_number)
    for row in tx.execute(select(*columns).where(INSTANCE.c.id.not_in(kept_apart))):
        yield from identifiers(
            instance=row.sop_instance_uid, study=row.study_instance_uid, accession=row.accession_number
        )
