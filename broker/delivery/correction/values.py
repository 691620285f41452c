"""What an order says of the attributes that a rule may set. Pure."""

import hashlib
import json
from collections.abc import Collection, Mapping

from broker.delivery.content import CannotCorrect
from broker.delivery.correction.splice import ISSUERS
from broker.orders.model import Order

_LONGEST = {  # characters (PS3.5 6.2); of a name for each group
    "PatientID": 64,
    "IssuerOfPatientID": 64,
    "PatientName": 64,
    "PatientBirthDate": 8,
    "PatientSex": 16,
    "AccessionNumber": 16,
    "ReferringPhysicianName": 64,
    "AdmissionID": 64,
}


def values(order: Order, attributes: Collection[str]) -> dict[str, str]:
    """Return what an order says of these attributes and of their issuers, by keyword; nothing where it says nothing.

    Raises CannotCorrect for a value that no data set may hold.
    """
    named = [*attributes, *(issuer for keyword in attributes for issuer in ISSUERS.get(keyword, ()))]
    stated = _stated(order)
    found = {keyword: stated[keyword] for keyword in named if stated.get(keyword)}
    for keyword, value in found.items():
        _check(keyword, value)
    return found


def fingerprint(order_id: int, found: Mapping[str, str]) -> str:
    """Return what tells whether an order still says the same."""
    return hashlib.sha256(json.dumps([order_id, sorted(found.items())]).encode()).hexdigest()


def _stated(order: Order) -> dict[str, str]:
    patient = order.patient
    return {
        **patient.attributes,
        **order.visit,
        **order.attributes,
        "PatientID": patient.patient_id,
        "IssuerOfPatientID": patient.issuer_of_patient_id,
        "PatientName": patient.patient_name,
        "PatientBirthDate": patient.patient_birth_date,
        "PatientSex": patient.patient_sex,
        "AccessionNumber": order.accession_number,
    }


def _check(keyword: str, value: str) -> None:
    longest = _LONGEST.get(keyword)
    if longest is None:  # a sequence
        return
    groups = value.split("=") if keyword.endswith("Name") else [value]
    if "\\" in value or not value.isprintable() or max(map(len, groups)) > longest:
        raise CannotCorrect(f"the order's {keyword} is longer than {longest} characters, or more than one value")
    if keyword == "PatientBirthDate" and not (len(value) == longest and value.isdigit()):
        raise CannotCorrect("the order's PatientBirthDate is no date")
