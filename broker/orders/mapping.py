"""Where each attribute of an order is read from, as data: ordered sources, first valued one wins. Reads no message."""

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a message: segment, field, component, subcomponent, counted from 1."""

    segment: str
    field: int
    component: int = 1
    subcomponent: int = 1


class Form(Enum):
    """What a field's text becomes."""

    SHORT = auto()  # SH
    LONG = auto()  # LO
    NAME = auto()  # PN of an XCN
    NAMES = auto()  # PN, one value a repetition
    PLACE = auto()  # LO of a PL: point of care, room, bed
    ADDRESS = auto()  # LO of an XAD, its first six components
    DATE = auto()  # DA of a TS, in the site's zone
    TIME = auto()  # TM of a TS, in the site's zone
    LONGS = auto()  # LO, one value a repetition


@dataclass(frozen=True, slots=True)
class Rule:
    """How one further attribute is read."""

    keyword: str
    form: Form
    sources: tuple[Source, ...]


_SOURCE = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?(?:\.(\d+))?")


def sources(*paths: str) -> tuple[Source, ...]:
    """Return the sources of texts such as "OBR-18" or "ORC-7.4"."""
    return tuple(_source(path) for path in paths)


def _source(path: str) -> Source:
    match = _SOURCE.fullmatch(path)
    if match is None:
        raise ValueError(f"{path} is no SEG-field[.component[.subcomponent]]")
    segment, number, component, subcomponent = match.groups()
    return Source(segment, int(number), int(component or 1), int(subcomponent or 1))


def _rule(keyword: str, form: Form, *paths: str) -> Rule:
    return Rule(keyword, form, sources(*paths))


# Read with the patient: what a procedure update must leave alone (IHE RAD-13).
PATIENT_RULES = (
    _rule("PatientAddress", Form.ADDRESS, "PID-11"),
    _rule("PatientTelephoneNumbers", Form.SHORT, "PID-13"),
    _rule("AdmissionID", Form.LONG, "PV1-19", "PID-18"),
    _rule("CurrentPatientLocation", Form.PLACE, "PV1-3"),
    _rule("ReferringPhysicianName", Form.NAME, "PV1-8"),
    _rule("RouteOfAdmissions", Form.LONG, "PV1-2"),
    _rule("ConfidentialityConstraintOnPatientDataDescription", Form.LONG, "PV1-16"),
    _rule("AdmittingDate", Form.DATE, "PV1-44"),
    _rule("AdmittingTime", Form.TIME, "PV1-44"),
)

ORDER_RULES = (
    _rule("RequestingPhysician", Form.NAME, "OBR-16", "ORC-12"),
    _rule("RequestingService", Form.LONG, "ORC-17.2", "ORC-17"),
    _rule("InstitutionName", Form.LONG, "ORC-17.2", "ORC-21"),
    _rule("PlacerOrderNumberImagingServiceRequest", Form.LONG, "ORC-2", "OBR-2"),
    _rule("FillerOrderNumberImagingServiceRequest", Form.LONG, "ORC-3", "OBR-3"),
    _rule("OrderEnteredBy", Form.NAME, "ORC-10"),
    _rule("OrderEntererLocation", Form.SHORT, "ORC-13"),
    _rule("OrderCallbackPhoneNumber", Form.SHORT, "ORC-14", "OBR-17"),
    _rule("IssueDateOfImagingServiceRequest", Form.DATE, "ORC-9", "ORC-15"),
    _rule("IssueTimeOfImagingServiceRequest", Form.TIME, "ORC-9", "ORC-15"),
    _rule("PatientTransportArrangements", Form.LONG, "OBR-30"),
    _rule("ReasonForTheRequestedProcedure", Form.LONG, "OBR-31.2", "OBR-31"),
    _rule("PatientState", Form.LONG, "OBR-12.2", "OBR-12"),
    _rule("MedicalAlerts", Form.LONGS, "OBR-13"),
    _rule("ConfidentialityCode", Form.LONG, "ORC-28"),
    _rule("NamesOfIntendedRecipientsOfResults", Form.NAMES, "OBR-28"),
)

PRIORITIES = {"S": "STAT", "A": "HIGH", "P": "HIGH", "C": "HIGH", "R": "ROUTINE", "T": "MEDIUM"}

MODALITY_CODES = {"RUS": "US", "USG": "US", "ULTRASOUND": "US", "RCT": "CT", "RMR": "MR", "MRI": "MR", "XR": "DX"}


@dataclass(frozen=True, slots=True)
class Mapping:
    """One site's sources. The defaults are IHE's for ORM^O01 with ZDS, then what else is common."""

    patient_id_types: tuple[str, ...] = ("MR", "PI")  # PID-3.5 that is preferred, best first
    placer_order_number: tuple[Source, ...] = sources("ORC-2", "OBR-2")
    filler_order_number: tuple[Source, ...] = sources("ORC-3", "OBR-3")
    accession_number: tuple[Source, ...] = sources("OBR-18")
    requested_procedure_id: tuple[Source, ...] = sources("OBR-19")
    scheduled_procedure_step_id: tuple[Source, ...] = sources("OBR-20")
    study_instance_uid: tuple[Source, ...] = sources("ZDS-1")
    modality: tuple[Source, ...] = sources("OBR-24")
    start: tuple[Source, ...] = sources("ORC-7.4", "OBR-27.4", "OBR-36")
    station_ae_title: tuple[Source, ...] = sources("ORC-18")
    priority: tuple[Source, ...] = sources("ORC-7.6", "OBR-27.6", "OBR-5")
    modality_codes: Map[str, str] = field(default_factory=lambda: dict(MODALITY_CODES))
    priorities: Map[str, str] = field(default_factory=lambda: dict(PRIORITIES))
    patient_rules: tuple[Rule, ...] = PATIENT_RULES
    order_rules: tuple[Rule, ...] = ORDER_RULES


DEFAULT = Mapping()
