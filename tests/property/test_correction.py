"""Whatever a data set is made of: a corrected copy differs in the named attributes and in what tells of it."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from broker.delivery.content import CannotCorrect
from broker.delivery.correction.model import Correction, Reason
from tests.peers import raw_sender
from tests.unit.delivery.correction.reading import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ORIGINAL_ATTRIBUTES,
    but_for,
    corrected_bytes,
    dataset,
    is_implicit,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dicom"
WANTED = {
    "PatientID": "P-4711",
    "IssuerOfPatientID": "HOSPITAL",
    "PatientName": "Doe^Jane^^Dr",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "AccessionNumber": "A-0815",
    "ReferringPhysicianName": "House^G",
}
GROUP_LENGTHS = {tag << 16 for tag in (0x0008, 0x0010, 0x0400)}


def wanted(**values: str) -> Correction:
    return Correction(1, values or WANTED, Reason.COERCE, datetime(2026, 2, 1, tzinfo=UTC), "US", "BROKER")


def check(data: bytes, syntax: str, correction: Correction) -> None:
    """Compare a data set with its corrected copy, as pydicom reads both."""
    made, keywords = corrected_bytes(data, syntax, correction)
    if not keywords:
        assert made == data
        return
    changed = {int(Tag(keyword)) for keyword in keywords} | {ORIGINAL_ATTRIBUTES} | GROUP_LENGTHS
    assert but_for(made, syntax, changed) == but_for(data, syntax, changed)
    before, after = dataset(data, syntax), dataset(made, syntax)
    for keyword, value in correction.values.items():
        if keyword in keywords or keyword not in ("IssuerOfPatientID",):
            assert str(after[keyword].value).rstrip("^ ") == value
    told = after.OriginalAttributesSequence
    assert len(told) == len(before.get("OriginalAttributesSequence", ())) + 1
    old = told[-1].ModifiedAttributesSequence[0]
    assert set(keywords) <= {element.keyword for element in old}
    for element in old:
        assert element.value == before[element.tag].value if element.tag in before else not element.value
    again, nothing = corrected_bytes(made, syntax, correction)
    assert (again, nothing) == (made, ())


# --- made data sets ----------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\^="), max_size=16)
KEYWORDS = st.sampled_from(
    [
        *WANTED,
        "StudyDate",
        "Modality",
        "StationName",
        "StudyDescription",
        "PatientComments",
        "SeriesNumber",
        "Rows",
        "PerformedProcedureStepDescription",
        "FrameIncrementPointer",
    ]
)
NUMBERS = {"US", "SL", "UL"}
PRIVATE = st.tuples(st.integers(0x10, 0xFF), st.binary(max_size=20).map(lambda octets: octets + bytes(len(octets) % 2)))
PIXELS = st.binary(min_size=2, max_size=40).map(lambda octets: octets + bytes(len(octets) % 2))


def value(draw: st.DrawFn, keyword: str) -> object:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = dictionary_VR(tag)[:2]
    if vr in NUMBERS:
        return draw(st.integers(0, 1000))
    if vr == "AT":
        return 0x00181063
    if vr == "DA":
        return "20260201"
    return draw(TEXTS) if vr != "IS" else str(draw(st.integers(0, 99)))


@st.composite
def datasets(draw: st.DrawFn, depth: int = 0) -> Dataset:
    made = Dataset()
    for keyword in draw(st.lists(KEYWORDS, unique=True, max_size=10)):
        setattr(made, keyword, value(draw, keyword))
    for element, octets in draw(st.lists(PRIVATE, max_size=3, unique_by=lambda pair: pair[0])):
        made.add_new((0x0029, 0x1000 + element), "OB" if element % 2 else "UN", octets)
    if depth < 3:
        for keyword in draw(
            st.lists(st.sampled_from(["RequestAttributesSequence", "OriginalAttributesSequence"]), max_size=2)
        ):
            items = Sequence(draw(st.lists(datasets(depth + 1), max_size=3)))
            items.is_undefined_length = draw(st.booleans())
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
            setattr(made, keyword, items)
    return made


def encoded(made: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = is_implicit(syntax), syntax != BIG_ENDIAN
    write_dataset(stream, made)
    content: bytes = stream.getvalue()
    return content


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=datasets(), pixels=PIXELS, named=st.sets(st.sampled_from(sorted(WANTED)), min_size=1))
def test_a_made_data_set_differs_only_in_what_was_named(
    made: Dataset, pixels: bytes, named: set[str], syntax: str
) -> None:
    made.add_new(0x7FE00010, "OW", pixels)
    check(encoded(made, syntax), syntax, wanted(**{keyword: WANTED[keyword] for keyword in named}))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=datasets(), at=st.integers(0, 10_000), octets=st.binary(min_size=1, max_size=8))
def test_a_damaged_data_set_is_corrected_or_refused_and_nothing_else(made: Dataset, at: int, octets: bytes) -> None:
    data = bytearray(encoded(made, EXPLICIT))
    at %= len(data) + 1
    data[at : at + len(octets)] = octets
    with suppress(CannotCorrect):
        corrected_bytes(bytes(data), EXPLICIT, wanted())


# --- the corpus --------------------------------------------------------------------------------------------------


UNREADABLE = {  # data sets of which no reader can tell what comes next, or that were no data set to begin with
    "dcm4che__no_preamble_dicm_in_data.dcm",
    "dicom-swift__jpeg_baseline_synthetic.dcm",
    "fo-dicom__GH179A.dcm",
    "fo-dicom__GH364.dcm",
    "fo-dicom__GH626.dcm",
}


@pytest.mark.filterwarnings("ignore:Incorrect value for Specific Character Set")
def test_the_corpus_differs_only_in_what_was_named(samples: Path | None) -> None:
    refused: set[str] = set()
    checked = 0
    for file in sorted((samples / "dicom" if samples else FIXTURES).glob("*.dcm")):
        content = file.read_bytes()
        if content[128:132] != b"DICM":
            continue
        item = raw_sender.cut_part10(content)
        try:
            check(item.data, item.transfer_syntax, wanted())
            checked += 1
        except CannotCorrect:
            refused.add(file.name)
    assert refused <= UNREADABLE
    assert checked > (150 if samples else 0)
