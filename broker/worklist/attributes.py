"""What an item answers, attribute by attribute (PS3.4 table K.6-1). Encodes nothing and matches nothing.

A further attribute of an item is text by DICOM keyword: several values are divided by a backslash, a sequence is a
JSON array of objects of the same kind, e.g. `[{"LocalNamespaceEntityID": "HOSP"}]`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_dict

from broker.orders.model import Code
from broker.worklist.elements import ONE_TEXT, tag_of
from broker.worklist.model import WorklistItem

STEP_SEQUENCE = "ScheduledProcedureStepSequence"
_SHORT = 1024  # characters of a sequence that is remembered

_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_DESIGNATOR = ("LocalNamespaceEntityID", "UniversalEntityID", "UniversalEntityIDType")

# Scheduled Procedure Step: type 1 and 2 first, with 2C, which a step asked for as a whole always shows.
_STEP_ALWAYS = (
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProcedureStepID",
    "PreMedication",
    "RequestedContrastAgent",
)
_STEP_FURTHER = (
    "ScheduledProtocolCodeSequence",
    "ScheduledProcedureStepStatus",
    "CommentsOnTheScheduledProcedureStep",
    "ScheduledProcedureStepEndDate",
    "ScheduledProcedureStepEndTime",
)
STEP_KEYWORDS = frozenset(_STEP_ALWAYS + _STEP_FURTHER)

TOP_KEYWORDS = frozenset(
    {
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "IssuerOfPatientIDQualifiersSequence",
        "OtherPatientIDs",
        "OtherPatientIDsSequence",
        "PatientBirthDate",
        "PatientSex",
        "PatientAddress",
        "PatientTelephoneNumbers",
        "PatientWeight",
        "PatientSize",
        "PatientComments",
        "ConfidentialityConstraintOnPatientDataDescription",
        "PatientState",
        "PregnancyStatus",
        "MedicalAlerts",
        "Allergies",
        "SpecialNeeds",
        "PatientPrimaryLanguageCodeSequence",
        "AdmissionID",
        "IssuerOfAdmissionIDSequence",
        "CurrentPatientLocation",
        "ReferencedPatientSequence",
        "RouteOfAdmissions",
        "AdmittingDate",
        "AdmittingTime",
        "AccessionNumber",
        "IssuerOfAccessionNumberSequence",
        "ReferringPhysicianName",
        "RequestingPhysician",
        "RequestingService",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "OrderPlacerIdentifierSequence",
        "OrderFillerIdentifierSequence",
        "OrderEnteredBy",
        "OrderEntererLocation",
        "OrderCallbackPhoneNumber",
        "IssueDateOfImagingServiceRequest",
        "IssueTimeOfImagingServiceRequest",
        "InstitutionName",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
        "RequestedProcedureCodeSequence",
        "StudyInstanceUID",
        "ReferencedStudySequence",
        "StudyDate",
        "StudyTime",
        "RequestedProcedurePriority",
        "PatientTransportArrangements",
        "ReasonForTheRequestedProcedure",
        "ReasonForRequestedProcedureCodeSequence",
        "ConfidentialityCode",
        "RequestedProcedureComments",
        "NamesOfIntendedRecipientsOfResults",
        "ScheduledProcedureStepSequence",
    }
)

# The attributes inside each sequence that are known even where an item has no value for them.
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    STEP_SEQUENCE: _STEP_ALWAYS + _STEP_FURTHER,
    **dict.fromkeys((k for k in TOP_KEYWORDS | STEP_KEYWORDS if k.endswith("CodeSequence")), _CODE),
    **dict.fromkeys(
        (
            "IssuerOfAccessionNumberSequence",
            "IssuerOfAdmissionIDSequence",
            "OrderPlacerIdentifierSequence",
            "OrderFillerIdentifierSequence",
        ),
        _DESIGNATOR,
    ),
    "IssuerOfPatientIDQualifiersSequence": ("UniversalEntityID", "UniversalEntityIDType"),
    "OtherPatientIDsSequence": ("PatientID", "IssuerOfPatientID", "TypeOfPatientID"),
    "ReferencedStudySequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
    "ReferencedPatientSequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
}


def _procedure_description(item: WorklistItem) -> str:
    """Return a description whatever was ordered: it is 1C beside a code, and consoles leave out a row without both."""
    code = item.requested_procedure_code
    stated = item.requested_procedure_description or (code.meaning if code else "")
    return stated or item.scheduled_procedure_step_description or item.modality


def _step_description(item: WorklistItem) -> str:
    protocols = (code.meaning for code in item.scheduled_protocol_codes if code.meaning)
    return item.scheduled_procedure_step_description or next(protocols, "") or _procedure_description(item)


_FIELDS: Mapping[str, Callable[[WorklistItem], str]] = {
    "PatientName": lambda item: item.patient_name,
    "PatientID": lambda item: item.patient_id,
    "IssuerOfPatientID": lambda item: item.issuer_of_patient_id,
    "PatientBirthDate": lambda item: item.patient_birth_date,
    "PatientSex": lambda item: item.patient_sex,
    "AccessionNumber": lambda item: item.accession_number,
    "RequestedProcedureID": lambda item: item.requested_procedure_id,
    "RequestedProcedureDescription": _procedure_description,
    "StudyInstanceUID": lambda item: item.study_instance_uid,
}
_STEP_FIELDS: Mapping[str, Callable[[WorklistItem], str]] = {
    "ScheduledProcedureStepStartDate": lambda item: item.scheduled_procedure_step_start_date,
    "ScheduledProcedureStepStartTime": lambda item: item.scheduled_procedure_step_start_time,
    "Modality": lambda item: item.modality,
    "ScheduledPerformingPhysicianName": lambda item: item.scheduled_performing_physician_name,
    "ScheduledProcedureStepDescription": _step_description,
    "ScheduledProcedureStepID": lambda item: item.scheduled_procedure_step_id,
}
# Stations are resolved when somebody asks, and the status follows what is performed.
_CHANGING_STEP_FIELDS: Mapping[str, Callable[[WorklistItem], str]] = {
    "ScheduledStationAETitle": lambda item: "\\".join(item.scheduled_station_ae_titles),
    "ScheduledProcedureStepStatus": lambda item: item.status.value,
}


@dataclass(frozen=True, slots=True)
class Entity:
    """An item of a sequence, or the whole answer: values by keyword, and the items of its sequences."""

    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sequences: "dict[str, tuple[Entity, ...]]" = field(default_factory=dict)


def answer_entity(item: WorklistItem) -> Entity:
    """Return what an item has to say beside its step, whoever asks."""
    answer = _entity({**_others(item), **_values_of(_FIELDS, item)})
    answer.sequences["RequestedProcedureCodeSequence"] = _codes(filter(None, [item.requested_procedure_code]))
    answer.sequences.pop(STEP_SEQUENCE, None)
    return answer


def step_entity(item: WorklistItem) -> Entity:
    """Return what an item's step has to say, but for `step_keywords_of` and what the viewer adds."""
    further = {k: v for k, v in item.attributes.items() if k in STEP_KEYWORDS}
    step = _entity({**further, **_values_of(_STEP_FIELDS, item)})
    step.sequences["ScheduledProtocolCodeSequence"] = _codes(item.scheduled_protocol_codes)
    return step


def step_keywords_of(item: WorklistItem) -> dict[str, str]:
    """Return what of a resolved item's step may change after it was planned, by keyword."""
    return _values_of(_CHANGING_STEP_FIELDS, item)


def members(sequence: str) -> tuple[str, ...]:
    """Return the attributes known inside the items of a sequence; none where the sequence itself is unknown."""
    return _MEMBERS.get(sequence, ())


def always(sequence: str) -> tuple[str, ...]:
    """Return the attributes that an item asked for as a whole shows even when they are empty."""
    return _STEP_ALWAYS if sequence == STEP_SEQUENCE else ()


def is_code_sequence(sequence: str) -> bool:
    """Tell whether the items are codes, which are only ever given whole: value, scheme and meaning."""
    return _MEMBERS.get(sequence) == _CODE


def values_of(keyword: str, text: str) -> tuple[str, ...]:
    """Return the values of an attribute's text; none for empty text. A backslash divides only what may be several."""
    return _divided(_kind(keyword), text)


class _Kind(Enum):
    """What an attribute's text holds."""

    UNKNOWN = auto()
    ITEMS = auto()
    ONE_TEXT = auto()  # a backslash is a character of it
    ONE = auto()
    SEVERAL = auto()


_ITEMS, _UNKNOWN = _Kind.ITEMS, _Kind.UNKNOWN


@lru_cache(maxsize=1024)
def _kind(keyword: str) -> _Kind:
    if keyword not in keyword_dict:
        return _Kind.UNKNOWN
    vr = dictionary_VR(tag_of(keyword))
    if vr == "SQ":
        return _Kind.ITEMS
    if vr in ONE_TEXT:
        return _Kind.ONE_TEXT
    return _Kind.ONE if dictionary_VM(tag_of(keyword)) == "1" else _Kind.SEVERAL


@lru_cache(maxsize=1024)  # a sender states the same few attributes in all its messages
def _kinds(keywords: tuple[str, ...]) -> tuple[_Kind, ...]:
    return tuple(map(_kind, keywords))


def _divided(kind: _Kind, text: str) -> tuple[str, ...]:
    if not text:
        return ()
    if kind is _Kind.ONE_TEXT or "\\" not in text:
        return (text,)
    return (text.replace("\\", "/"),) if kind is _Kind.ONE else tuple(text.split("\\"))


def _values_of(fields: Mapping[str, Callable[[WorklistItem], str]], item: WorklistItem) -> dict[str, str]:
    return {keyword: read(item) for keyword, read in fields.items()}


def _others(item: WorklistItem) -> dict[str, str]:
    others = {k: v for k, v in item.attributes.items() if k not in STEP_KEYWORDS}
    identifiers = others.get("OtherPatientIDs", "")
    if identifiers and "OtherPatientIDsSequence" not in others:
        others["OtherPatientIDsSequence"] = json.dumps([{"PatientID": text} for text in identifiers.split("\\")])
    return others


def _entity(texts: Mapping[str, str]) -> Entity:
    values: dict[str, tuple[str, ...]] = {}
    sequences: dict[str, tuple[Entity, ...]] = {}
    for (keyword, text), kind in zip(texts.items(), _kinds(tuple(texts)), strict=True):
        if kind is _ITEMS:
            sequences[keyword] = _items(text) if len(text) < _SHORT else _items.__wrapped__(text)
        elif kind is not _UNKNOWN:
            values[keyword] = ((text,) if "\\" not in text else _divided(kind, text)) if text else ()
    return Entity(values, sequences)


@lru_cache(maxsize=1024)  # a site's authorities and codes: they are the same in thousands of items
def _items(text: str) -> tuple[Entity, ...]:
    try:
        items = json.loads(text)
    except ValueError:
        return ()  # no sequence: better an answer without it than none
    if not isinstance(items, list):
        return ()
    return tuple(_entity({k: _text(v) for k, v in item.items()}) for item in items if isinstance(item, dict))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _codes(codes: Iterable[Code]) -> tuple[Entity, ...]:
    # A code is never sent with an empty value, nor cut: the description stands alone then (PS3.3 8.8).
    usable = (code for code in codes if 0 < len(code.value) <= 16)
    return tuple(
        Entity({
            "CodeValue": values_of("CodeValue", code.value),
            "CodingSchemeDesignator": values_of("CodingSchemeDesignator", code.scheme),
            "CodeMeaning": values_of("CodeMeaning", code.meaning),
        })
        for code in usable
    )  # fmt: skip
