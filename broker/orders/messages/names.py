"""What names the order of one ORC/OBR group, as stated and as completed (we act as order filler where none did)."""

from dataclasses import dataclass

from broker.identifiers import derived_uid
from broker.orders import values
from broker.orders.mapping import Mapping, Source
from broker.orders.messages.fields import Fields
from broker.orders.model import OrderKeys, Patient, Refusal


@dataclass(frozen=True, slots=True)
class Names:
    """The identifiers of one order, complete; `stated` are the message's own."""

    stated: OrderKeys
    accession_number: str
    requested_procedure_id: str
    study_instance_uid: str


def stated_names(fields: Fields, mapping: Mapping) -> OrderKeys:
    """Return the identifiers as stated.

    Raises Refusal AE 102 for one that its attribute cannot hold, AE 101 where nothing names the order.
    """
    stated = OrderKeys(
        study_instance_uid=_study(fields, mapping),
        filler_order_number=_number(fields, mapping.filler_order_number, values.LO, "FillerOrderNumber"),
        placer_order_number=_number(fields, mapping.placer_order_number, values.LO, "PlacerOrderNumber"),
        accession_number=_number(fields, mapping.accession_number, values.SH, "AccessionNumber"),
        requested_procedure_id=_number(fields, mapping.requested_procedure_id, values.SH, "RequestedProcedureID"),
        filler_issuer=_issuer(fields, mapping.filler_order_number),
        placer_issuer=_issuer(fields, mapping.placer_order_number),
    )
    if not (
        stated.study_instance_uid or stated.filler_order_number or stated.placer_order_number or stated.accession_number
    ):
        raise Refusal(
            "AE", fields.place(mapping.placer_order_number), "101", "nothing names the order: no order number"
        )
    return stated


def completed(stated: OrderKeys, patient: Patient, environment: str) -> Names:
    """Return every identifier an order needs; the same statement always gives the same ones."""
    candidates = (stated.accession_number, stated.filler_order_number, stated.placer_order_number)
    accession = next((text for text in candidates if text and values.fits(text)), "")
    key = (
        environment,
        patient.issuer_of_patient_id,
        patient.patient_id,
        stated.placer_order_number,
        stated.filler_order_number,
        accession,
    )
    procedure = stated.requested_procedure_id or accession or short_id(*key)
    study = stated.study_instance_uid or derived_uid(*key, procedure)
    return Names(stated, accession, procedure, study)


def step_id(fields: Fields, mapping: Mapping) -> str:
    """Return the step's ID as stated, or empty. Raises Refusal AE 102 for one over 16 characters."""
    return _number(fields, mapping.scheduled_procedure_step_id, values.SH, "ScheduledProcedureStepID")


def derived_step_id(procedure: str, number: int, count: int) -> str:
    """Return the ID of a step that states none: the procedure's, numbered where there are several."""
    if count == 1:
        return procedure
    numbered = f"{procedure}-{number}"
    return numbered if values.fits(numbered) else short_id(procedure, str(number))


def short_id(*key: str) -> str:
    """Return the 16 digits that always belong to this key."""
    return derived_uid(*key)[-values.SH :].replace(".", "0")


def _number(fields: Fields, sources: tuple[Source, ...], limit: int, keyword: str) -> str:
    return values.identifier(fields.text(sources), limit, fields.place(sources), keyword)


def _study(fields: Fields, mapping: Mapping) -> str:
    sources = mapping.study_instance_uid
    if fields.is_null(sources):
        raise Refusal("AE", fields.place(sources), "102", "StudyInstanceUID cannot be cleared")
    return values.uid(fields.text(sources), fields.place(sources), "StudyInstanceUID")


def _issuer(fields: Fields, sources: tuple[Source, ...]) -> str:
    """Return who gave the number that `sources` find: EI.2, else EI.3 of the same field."""
    found = next((source for source in sources if fields.text((source,))), None)
    if found is None:
        return ""
    parts = tuple(Source(found.segment, found.field, component) for component in (2, 3))
    return values.line(fields.text(parts), values.LO)
