"""From an order to what modalities see of it: one item a Scheduled Procedure Step. Pure."""

from collections.abc import Collection

from broker.orders.model import Order, Origin, Origins, ScheduledStep
from broker.worklist.model import WorklistItem


def plan(
    order: Order,
    order_id: int,
    known_stations: Collection[str] | None = None,
    origins: Origins | None = None,
    sending_application: str = "",
) -> tuple[WorklistItem, ...]:
    """Return the items of an order, not yet stored. Of equal attributes the step's go before the order's.

    A station title that is not among `known_stations` counts as none: HL7 2.3.1 assigns no field to it, and a
    department's name in the field that is read for it must not hide the order from every device. `origins` say where
    each value comes from, `sending_application` (MSH-3.1) who ordered it.
    """
    attributes = _of_order(order)
    return tuple(
        _item(order, order_id, step, known_stations, origins or {}, attributes, sending_application)
        for step in order.steps
    )


def _stations(step: ScheduledStep, known: Collection[str] | None) -> tuple[str, ...]:
    titles = step.scheduled_station_ae_titles
    return titles if known is None else tuple(title for title in titles if title in known)


def _item(  # noqa: PLR0917 - what makes an item, each of its own kind
    order: Order,
    order_id: int,
    step: ScheduledStep,
    known: Collection[str] | None,
    origins: Origins,
    attributes: dict[str, str],
    sending_application: str,
) -> WorklistItem:
    patient = order.patient
    return WorklistItem(
        id=0,
        order_id=order_id,
        status=step.status,
        patient_name=patient.patient_name,
        patient_id=patient.patient_id,
        issuer_of_patient_id=patient.issuer_of_patient_id,
        patient_birth_date=patient.patient_birth_date,
        patient_sex=patient.patient_sex,
        accession_number=order.accession_number,
        requested_procedure_id=order.requested_procedure_id,
        requested_procedure_description=order.requested_procedure_description,
        requested_procedure_code=order.requested_procedure_code,
        study_instance_uid=order.study_instance_uid,
        scheduled_procedure_step_id=step.scheduled_procedure_step_id,
        scheduled_procedure_step_description=step.scheduled_procedure_step_description,
        scheduled_protocol_codes=step.scheduled_protocol_codes,
        scheduled_procedure_step_start_date=step.scheduled_procedure_step_start_date,
        scheduled_procedure_step_start_time=step.scheduled_procedure_step_start_time,
        timezone=order.timezone,
        modality=step.modality,
        scheduled_station_ae_titles=_stations(step, known),
        scheduled_performing_physician_name=step.scheduled_performing_physician_name,
        attributes=_stated({**attributes, **step.attributes}),
        provenance=_provenance(origins, step.scheduled_procedure_step_id),
        sending_application=sending_application,
    )


def _provenance(origins: Origins, step_id: str) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    own: dict[str, Origin] = {}
    for (step, keyword), origin in origins.items():
        if not step:
            found[keyword] = origin
        elif step == step_id:
            own[keyword] = origin
    found.update(own)
    return found


def _of_order(order: Order) -> dict[str, str]:
    numbers = {
        "PlacerOrderNumberImagingServiceRequest": order.placer_order_number,
        "FillerOrderNumberImagingServiceRequest": order.filler_order_number,
    }
    return _stated({**numbers, **order.patient.attributes, **order.visit, **order.attributes})


def _stated(attributes: dict[str, str]) -> dict[str, str]:
    return attributes if all(attributes.values()) else {key: value for key, value in attributes.items() if value}
