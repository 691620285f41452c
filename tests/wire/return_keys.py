"""What a worklist answer may hold, by our own reading of PS3.4 table K.6-1 and PS3.5 6.2. Knows no product.

A row: keyword, VR, type, and how many values. Type 1 has a value, 2 is there, 1C goes in pairs (`EITHER`), 3 may be
left out; attributes of a sequence are indented below it. What is asked for is there even when it is of type 3.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_CODE = """
    CodeValue                                       SH 1  1
    CodingSchemeDesignator                          SH 1  1
    CodeMeaning                                     LO 1  1
"""
# At least one of the two identifiers (PS3.3 table 10-17).
_ISSUER = """
    LocalNamespaceEntityID                          UT 1C 1
    UniversalEntityID                               UT 1C 1
    UniversalEntityIDType                           CS 3  1
"""
_REFERENCE = """
    ReferencedSOPClassUID                           UI 1  1
    ReferencedSOPInstanceUID                        UI 1  1
"""
_TEXT = f"""
SpecificCharacterSet                                CS 3  n
StudyDate                                           DA 3  1
StudyTime                                           TM 3  1
AccessionNumber                                     SH 2  1
IssuerOfAccessionNumberSequence                     SQ 3  1{_ISSUER}
InstitutionName                                     LO 3  1
ReferringPhysicianName                              PN 2  1
ReferencedStudySequence                             SQ 2  n{_REFERENCE}
ReferencedPatientSequence                           SQ 2  n{_REFERENCE}
PatientName                                         PN 1  1
PatientID                                           LO 1  1
IssuerOfPatientID                                   LO 3  1
IssuerOfPatientIDQualifiersSequence                 SQ 3  1
    UniversalEntityID                               UT 1  1
    UniversalEntityIDType                           CS 1  1
PatientBirthDate                                    DA 2  1
PatientSex                                          CS 2  1
PatientPrimaryLanguageCodeSequence                  SQ 3  n{_CODE}
OtherPatientIDs                                     LO 3  n
OtherPatientIDsSequence                             SQ 3  n
    PatientID                                       LO 1  1
    IssuerOfPatientID                               LO 3  1
    TypeOfPatientID                                 CS 3  1
PatientSize                                         DS 3  1
PatientWeight                                       DS 2  1
PatientAddress                                      LO 3  1
MedicalAlerts                                       LO 2  n
Allergies                                           LO 2  n
PatientTelephoneNumbers                             SH 3  n
PregnancyStatus                                     US 2  1
PatientComments                                     LT 3  1
StudyInstanceUID                                    UI 1  1
RequestingPhysician                                 PN 2  1
RequestingService                                   LO 3  1
RequestedProcedureDescription                       LO 1C 1
RequestedProcedureCodeSequence                      SQ 1C 1{_CODE}
AdmissionID                                         LO 2  1
IssuerOfAdmissionIDSequence                         SQ 3  1{_ISSUER}
RouteOfAdmissions                                   LO 3  1
AdmittingDate                                       DA 3  1
AdmittingTime                                       TM 3  1
SpecialNeeds                                        LO 2  1
CurrentPatientLocation                              LO 2  1
PatientState                                        LO 2  1
OrderPlacerIdentifierSequence                       SQ 3  1{_ISSUER}
OrderFillerIdentifierSequence                       SQ 3  1{_ISSUER}
ScheduledProcedureStepSequence                      SQ 1  1
    ScheduledStationAETitle                         AE 1  n
    ScheduledProcedureStepStartDate                 DA 1  1
    ScheduledProcedureStepStartTime                 TM 1  1
    ScheduledProcedureStepEndDate                   DA 3  1
    ScheduledProcedureStepEndTime                   TM 3  1
    Modality                                        CS 1  1
    ScheduledPerformingPhysicianName                PN 2  1
    ScheduledProcedureStepDescription               LO 1C 1
    ScheduledProtocolCodeSequence                   SQ 1C n{_CODE.replace("    ", "        ")}
    ScheduledProcedureStepID                        SH 1  1
    ScheduledStationName                            SH 2  n
    ScheduledProcedureStepLocation                  SH 2  1
    PreMedication                                   LO 2  1
    RequestedContrastAgent                          LO 2  1
    ScheduledProcedureStepStatus                    CS 3  1
    CommentsOnTheScheduledProcedureStep             LT 3  1
RequestedProcedureID                                SH 1  1
ReasonForTheRequestedProcedure                      LO 3  1
RequestedProcedurePriority                          SH 2  1
PatientTransportArrangements                        LO 2  1
ConfidentialityCode                                 LO 3  1
ReasonForRequestedProcedureCodeSequence             SQ 3  n{_CODE}
NamesOfIntendedRecipientsOfResults                  PN 3  n
RequestedProcedureComments                          LT 3  1
IssueDateOfImagingServiceRequest                    DA 3  1
IssueTimeOfImagingServiceRequest                    TM 3  1
OrderEnteredBy                                      PN 3  1
OrderEntererLocation                                SH 3  1
OrderCallbackPhoneNumber                            SH 3  1
PlacerOrderNumberImagingServiceRequest              LO 3  1
FillerOrderNumberImagingServiceRequest              LO 3  1
ConfidentialityConstraintOnPatientDataDescription   LO 2  1
"""
EITHER = (
    ("RequestedProcedureDescription", "RequestedProcedureCodeSequence"),
    ("ScheduledProcedureStepDescription", "ScheduledProtocolCodeSequence"),
    ("LocalNamespaceEntityID", "UniversalEntityID"),
)


@dataclass(frozen=True)
class Row:
    """One attribute, and those in the items of a sequence."""

    keyword: str
    vr: str
    kind: str
    several: bool
    members: "dict[int, Row]"


Table = dict[int, Row]


def _read(lines: Sequence[str]) -> Table:
    """Read rows; those that are indented more than the first belong to the row above them."""
    found: Table = {}
    own = [at for at, line in enumerate(lines) if _depth(line) == _depth(lines[0])]
    for at, after in zip(own, [*own[1:], len(lines)], strict=True):
        keyword, vr, kind, count = lines[at].split()
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        found[tag] = Row(keyword, vr, kind, count == "n", _read(lines[at + 1 : after]) if at + 1 < after else {})
    return found


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


TABLE = _read([line for line in _TEXT.splitlines() if line])


def violations(answer: Dataset) -> list[str]:
    """Return what of an answer, as it was encoded, is not as the table says."""
    named = answer.get_item(0x00080005) if 0x00080005 in answer else None
    text = named.value.decode("ascii").rstrip() if isinstance(named, RawDataElement) and named.value else "ISO_IR 6"
    return list(_of_item(answer, TABLE, convert_encodings(text.split("\\"))))


def _of_item(item: Dataset, table: Table, encodings: list[str], asked: bool = True) -> Iterator[str]:
    tags = [int(tag) for tag in item.keys()]  # noqa: SIM118 - a Dataset iterates over elements
    if tags != sorted(tags):
        yield "tags are not in ascending order"
    yield from (f"{tag:08X} has a value" for tag in tags if tag not in table and _has_value(item, tag))
    for tag, row in table.items():
        if tag in item:
            yield from (f"{row.keyword}: {one}" for one in _of_element(item, tag, row, encodings))
        elif row.kind in ("1", "2") and (asked or row.kind == "1"):
            yield f"{row.keyword} is missing"
    for one, other in EITHER:
        if tag_for_keyword(one) in table and not item.get(one) and not item.get(other):
            yield f"{one} and {other} are both empty"


def _has_value(item: Dataset, tag: int) -> bool:
    """Tell whether an attribute of which we say nothing is more than a name, as it was asked for."""
    return bool(item.get_item(tag).value)


def _of_element(item: Dataset, tag: int, row: Row, encodings: list[str]) -> Iterator[str]:
    raw = item.get_item(tag)
    if row.vr != raw.VR:
        yield f"VR {raw.VR}"
    if row.vr == "SQ":
        yield from _of_sequence(item[tag].value, row, encodings)
        return
    # What is empty comes decoded where pydicom knows no empty value.
    data = (raw.value if isinstance(raw, RawDataElement) else None) or b""
    assert data or raw.value in (None, b"", ""), "it was decoded before"
    if len(data) % 2:
        yield "odd length"
    if not data:
        if row.kind == "1":
            yield "is empty"
        return
    yield from _of_value(data, row, encodings)


def _of_sequence(items: Sequence[Dataset], row: Row, encodings: list[str]) -> Iterator[str]:
    if not items and row.kind == "1":
        yield "has no item"
    if len(items) > 1 and not row.several:
        yield f"{len(items)} items"
    for inner in items:
        # The attributes of the step are asked for one by one, of other items what they have.
        is_step = row.keyword == "ScheduledProcedureStepSequence"
        yield from _of_item(inner, row.members, encodings, is_step)


# --- values (PS3.5 table 6.2-1) -----------------------------------------------------------------------------------

_CHARACTERS = {"AE": 16, "CS": 16, "DA": 8, "DS": 16, "LO": 64, "LT": 10240, "SH": 16, "TM": 14, "UI": 64}
_CHARACTERS |= {"PN": 64 * 3 + 2, "UT": 2**31}
_FORMS = {
    "AE": r"[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*",
    "CS": r"[A-Z0-9 _]+",
    "DA": r"\d{8}",
    "DS": r" *[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)? *",
    "TM": r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)? *",
    "UI": r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*",
    "LT": r"[^\x00-\x09\x0b\x0e-\x1f\x7f-\x9f]*",
    "UT": r"[^\x00-\x09\x0b\x0e-\x1f\x7f-\x9f]*",
}
_NO_CONTROL = r"[^\x00-\x1f\x7f-\x9f\\]*"


def _of_value(data: bytes, row: Row, encodings: list[str]) -> Iterator[str]:
    if row.vr == "US":
        if len(data) != 2:
            yield f"{len(data)} bytes"
        return
    padding = b"\0" if row.vr == "UI" else b" "
    text = data[:-1] if data.endswith(padding) else data
    if row.vr in ("LO", "LT", "PN", "SH", "UT"):
        decoded = decode_bytes(text, encodings, {"\\", "\r", "\n", "\f", "^", "="})
    else:
        decoded = text.decode("ascii")
    values = [decoded] if row.vr in ("LT", "UT") else decoded.split("\\")
    if len(values) > 1 and not row.several:
        yield f"{len(values)} values"
    for value in values:
        yield from _of_text(value, row.vr)


def _of_text(value: str, vr: str) -> Iterator[str]:
    if len(value) > _CHARACTERS[vr]:
        yield f"{len(value)} characters"
    if not value or value != value.strip():
        yield "an empty value, or blanks around it"
    if not re.fullmatch(_FORMS.get(vr, _NO_CONTROL), value) or "\ufffd" in value:
        yield f"no {vr}"
    if vr == "DA":
        yield from _of_date(value)
    if vr == "PN":
        yield from _of_name(value)


def _of_date(value: str) -> Iterator[str]:
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        yield "no day of the calendar"


def _of_name(value: str) -> Iterator[str]:
    groups = value.split("=")
    if len(groups) > 3 or any(len(group) > 64 or group.count("^") > 4 for group in groups):
        yield "over 3 groups of 64 characters and 5 components"
    if not value.strip("^="):
        yield "delimiters alone"
