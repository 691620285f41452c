"""A corrected copy: what differs, what does not, and what is told of it."""

import json
import zlib
from typing import Literal

import pytest
from pydicom import Dataset
from pydicom.tag import Tag

from broker.delivery.content import CannotCorrect
from broker.delivery.correction.model import Reason
from broker.delivery.correction.walk import MAXIMUM_DEPTH
from tests.unit.delivery.correction.reading import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    ORIGINAL_ATTRIBUTES,
    SYNTAXES,
    but_for,
    corrected_bytes,
    correction,
    dataset,
    elements,
)
from tests.unit.spool.datasets import UNDEFINED, data_set, element

PATIENT = {"PatientName": "Doe^Jane", "PatientID": "P2", "PatientBirthDate": "19700101", "PatientSex": "F"}


def received(syntax: str = EXPLICIT, /, **changes: bytes | None) -> bytes:
    plain = data_set("1.2.3.4", syntax=EXPLICIT if syntax == DEFLATED else syntax, pixels=64, **changes)
    if syntax != DEFLATED:
        return plain
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(plain) + deflate.flush()


def item_of(data: bytes, syntax: str = EXPLICIT) -> Dataset:
    """Return the last item of Original Attributes Sequence."""
    found: Dataset = dataset(data, syntax).OriginalAttributesSequence[-1]
    return found


def with_elements(*further: bytes, **changes: bytes | None) -> bytes:
    """Return a data set with further elements before its pixels."""
    whole = data_set("1.2.3.4", syntax=EXPLICIT, pixels=64, **changes)
    pixels = whole.rindex(bytes.fromhex("e07f1000"))
    return whole[:pixels] + b"".join(further) + whole[pixels:]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_named_attributes_are_the_orders_and_the_old_ones_are_told(syntax: str) -> None:
    data = received(syntax)
    made, keywords = corrected_bytes(data, syntax, correction(AccessionNumber="A2", **PATIENT))
    found = dataset(made, syntax)
    assert {keyword: str(found[keyword].value) for keyword in PATIENT} == PATIENT
    assert found.AccessionNumber == "A2"
    assert set(keywords) == {*PATIENT, "AccessionNumber"}
    (told,) = found.OriginalAttributesSequence
    assert told.AttributeModificationDateTime == "20260201083000.000000+0000"
    assert told.ReasonForTheAttributeModification == "COERCE"
    assert told.SourceOfPreviousValues == "US_ROOM2"
    assert told.ModifyingSystem == "MODALITY_BROKER1 BROKER"
    (old,) = told.ModifiedAttributesSequence
    assert (str(old.PatientName), old.PatientID, old.AccessionNumber) == ("Secret^Name", "P1", "A1")
    # They were absent; so was the issuer, which tells whose identifier the old one was.
    assert [old.get(keyword) for keyword in ("PatientBirthDate", "PatientSex", "IssuerOfPatientID")] == [""] * 3
    assert len(old) == 6


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_other_byte_is_the_received_one(syntax: str) -> None:
    data = received(syntax)
    made, keywords = corrected_bytes(data, syntax, correction(**PATIENT))
    changed = {int(Tag(keyword)) for keyword in keywords} | {ORIGINAL_ATTRIBUTES}
    assert but_for(made, syntax, changed) == but_for(data, syntax, changed)
    assert len(made) % 2 == 0


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_says_the_same_already_is_sent_as_it_came(syntax: str) -> None:
    data = received(syntax, PatientName=b"Secret^Name^^", PatientID=b" P1 ")
    assert corrected_bytes(data, syntax, correction(PatientName="Secret^Name", PatientID="P1")) == (data, ())


def test_what_the_order_does_not_say_stays() -> None:
    made, keywords = corrected_bytes(received(), EXPLICIT, correction(PatientID="P2", PatientName=""))
    assert keywords == ("PatientID",)
    assert dataset(made, EXPLICIT).PatientName == "Secret^Name"


def test_a_second_correction_adds_an_item_and_keeps_the_first() -> None:
    once, _ = corrected_bytes(received(), EXPLICIT, correction(PatientID="P2"))
    twice, _ = corrected_bytes(once, EXPLICIT, correction(Reason.CORRECT, PatientID="P3"))
    first, second = dataset(twice, EXPLICIT).OriginalAttributesSequence
    assert first.ModifiedAttributesSequence[0].PatientID == "P1"
    assert second.ModifiedAttributesSequence[0].PatientID == "P2"
    assert second.ReasonForTheAttributeModification == "CORRECT"


def test_items_of_another_system_are_preserved_whatever_their_lengths() -> None:
    theirs = element(0xFFFEE000, "", element(0x04000563, "LO", b"PACS"), length=UNDEFINED) + element(0xFFFEE00D, "")
    for length, end in ((None, b""), (UNDEFINED, element(0xFFFEE0DD, ""))):
        data = with_elements(element(ORIGINAL_ATTRIBUTES, "SQ", theirs + end, length=length))
        made, _ = corrected_bytes(data, EXPLICIT, correction(PatientID="P2"))
        assert theirs in made
        systems = [each.ModifyingSystem for each in dataset(made, EXPLICIT).OriginalAttributesSequence]
        assert systems == ["PACS", "MODALITY_BROKER1 BROKER"]


def test_an_identifier_takes_its_issuer_along() -> None:
    wanted = correction(PatientID="P2", IssuerOfPatientID="HOSP", AccessionNumber="A1")
    data = with_elements()
    made, keywords = corrected_bytes(data, EXPLICIT, wanted)
    assert set(keywords) == {"PatientID", "IssuerOfPatientID"}
    assert dataset(made, EXPLICIT).IssuerOfPatientID == "HOSP"


def test_an_issuer_does_not_stay_with_another_identifier() -> None:
    qualifiers = element(0x00100024, "SQ", element(0xFFFEE000, "", element(0x00400032, "UT", b"1.2.3 ")))
    data = data_set()
    place = data.index(bytes.fromhex("20000d00"))
    data = data[:place] + element(0x00100021, "LO", b"OTHER") + qualifiers + data[place:]
    made, keywords = corrected_bytes(data, EXPLICIT, correction(PatientID="P2"))
    assert set(keywords) == {"PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"}
    assert "IssuerOfPatientID" not in dataset(made, EXPLICIT)
    old = item_of(made).ModifiedAttributesSequence[0]
    assert old.IssuerOfPatientID == "OTHER"
    assert old.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_an_issuer_that_is_a_sequence_is_written(syntax: str) -> None:
    issuer = '[{"UniversalEntityIDType": "ISO", "UniversalEntityID": "1.2.3"}]'
    wanted = correction(AccessionNumber="A2", IssuerOfAccessionNumberSequence=issuer)
    made, _ = corrected_bytes(received(syntax), syntax, wanted)
    (found,) = dataset(made, syntax).IssuerOfAccessionNumberSequence
    assert (found.UniversalEntityID, found.UniversalEntityIDType) == ("1.2.3", "ISO")


def test_an_issuer_that_the_character_set_lacks_widens_it_too() -> None:
    issuer = json.dumps([{"LocalNamespaceEntityID": "Łódź"}])
    wanted = correction(AccessionNumber="A2", IssuerOfAccessionNumberSequence=issuer)
    made, _ = corrected_bytes(received(), EXPLICIT, wanted)
    found = dataset(made, EXPLICIT)
    found.decode()
    assert found.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "Łódź"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_retired_group_lengths_are_kept_right(syntax: str) -> None:
    data = received(syntax, PatientID=None, PatientName=None)
    order: Literal["big", "little"] = "big" if syntax == BIG_ENDIAN else "little"
    place = data.index((0x0020).to_bytes(2, order) + (0x000D).to_bytes(2, order))
    patient = element(0x00100010, "PN", b"A^B", syntax=syntax) + element(0x00100020, "LO", b"P1", syntax=syntax)
    group = element(0x00100000, "UL", len(patient).to_bytes(4, order), syntax=syntax)
    data = data[:place] + group + patient + data[place:]
    made, _ = corrected_bytes(data, syntax, correction(**PATIENT))
    lengths = [len(content) for tag, content in elements(made, syntax) if 0x00100000 < tag < 0x00110000]
    assert dataset(made, syntax)[0x00100000].value == sum(lengths)


# --- character sets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Łęcka^Zoë"),
        ("ISO_IR 144", "Иванов^Иван"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_text_is_written_in_the_data_sets_own_character_set(terms: str, name: str) -> None:
    data = data_set(SpecificCharacterSet=terms.encode())
    made, keywords = corrected_bytes(data, EXPLICIT, correction(PatientName=name))
    found = dataset(made, EXPLICIT)
    found.decode()
    assert str(found.PatientName) == name
    assert keywords == ("PatientName",)
    unchanged = {0x00100010, ORIGINAL_ATTRIBUTES}
    assert but_for(made, EXPLICIT, unchanged) == but_for(data, EXPLICIT, unchanged)


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        (None, "Müller", "ISO_IR 100"),
        (None, "Łęcka", "ISO_IR 192"),
        (b"ISO_IR 100", "Łęcka", "ISO_IR 192"),
        (b"ISO_IR 101", "Иванов", "ISO_IR 192"),
    ],
)
def test_where_all_else_is_ascii_a_wider_character_set_is_taken(before: bytes | None, name: str, after: str) -> None:
    data = data_set(SpecificCharacterSet=before)
    made, _ = corrected_bytes(data, EXPLICIT, correction(PatientName=name))
    found = dataset(made, EXPLICIT)
    assert (found.SpecificCharacterSet, str(found.PatientName)) == (after, name)
    # The old values are read by the old set.
    old = found.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert old.SpecificCharacterSet == ((before or b"").decode() or "")
    unchanged = {0x00080005, 0x00100010, ORIGINAL_ATTRIBUTES}
    assert but_for(made, EXPLICIT, unchanged) == but_for(data, EXPLICIT, unchanged)


def test_an_old_name_outside_ascii_does_not_hinder_a_wider_set_and_stays_readable() -> None:
    data = data_set(PatientName="Müller".encode("latin-1"))
    made, _ = corrected_bytes(data, EXPLICIT, correction(PatientName="Łęcka"))
    old = item_of(made).ModifiedAttributesSequence[0]
    old.decode()
    assert (old.SpecificCharacterSet, str(old.PatientName)) == ("ISO_IR 100", "Müller")


@pytest.mark.parametrize(
    "other",
    [
        element(0x00400254, "LO", "Schädel".encode("latin-1")),
        element(0x00400275, "SQ", element(0xFFFEE000, "", element(0x00400007, "LO", "Schädel".encode("latin-1")))),
        element(0x00291010, "UN", "Schädel".encode("latin-1")),
    ],
)
def test_where_other_text_would_be_read_otherwise_nothing_is_corrected(other: bytes) -> None:
    with pytest.raises(CannotCorrect, match="ISO_IR 100 has not all characters of the order's PatientName") as error:
        corrected_bytes(with_elements(other), EXPLICIT, correction(PatientName="Łęcka"))
    assert "Łęcka" not in str(error.value)


def test_private_bytes_are_no_text_where_the_data_set_has_no_character_set() -> None:
    data = with_elements(element(0x00291010, "UN", b"\xff\xfe\x1b\x00"), SpecificCharacterSet=None)
    made, _ = corrected_bytes(data, EXPLICIT, correction(PatientName="Müller"))
    assert str(dataset(made, EXPLICIT).PatientName) == "Müller"


# --- what cannot be corrected ------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        item = element(0xFFFEE000, "", content, length=UNDEFINED) + element(0xFFFEE00D, "")
        content = element(0x00400275, "SQ", item, length=UNDEFINED) + element(0xFFFEE0DD, "")
    return content


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (with_elements(element(0x4FFE0001, "SQ", b"")), "digitally signed"),
        (with_elements(element(0x00080005, "CS", b"ISO_IR 100")), "order of their tags"),
        (with_elements(element(0x00400275, "SQ", b"", length=50_000)), "a length exceeds"),
        (with_elements(element(ORIGINAL_ATTRIBUTES, "UN", b"")), "not encoded as a sequence"),
        (with_elements(nested(MAXIMUM_DEPTH + 1)), "nested deeper"),
        (with_elements(element(0xFFFEE000, "")), "outside a sequence"),
        (with_elements(b"\x40\x00\x53\x02\x00\x00\x00\x00"), "no value representation"),
        (data_set()[:-70], "ends inside an element"),
        (data_set(PatientName=b"x" * 65_534), "a value to be replaced"),
    ],
)
def test_what_cannot_be_corrected_safely_is_not(data: bytes, why: str) -> None:
    if why == "ends inside an element":
        data = data[: data.index(bytes.fromhex("10002000")) + 5]
    if why == "a value to be replaced":
        data = data_set(syntax=IMPLICIT, PatientName=b"x" * 100_000)
    with pytest.raises(CannotCorrect, match=why):
        corrected_bytes(data, IMPLICIT if "replaced" in why else EXPLICIT, correction(**PATIENT))


def test_a_private_transfer_syntax_is_not_guessed() -> None:
    with pytest.raises(CannotCorrect, match="private"):
        corrected_bytes(data_set(), "1.3.46.670589.33.1.4.1", correction(**PATIENT))


def test_pixels_are_not_looked_at() -> None:
    data = with_elements()
    broken = data[: data.rindex(bytes.fromhex("e07f1000"))] + element(0x7FE00010, "OB", b"junk", length=UNDEFINED)
    made, _ = corrected_bytes(broken, EXPLICIT, correction(PatientID="P2"))
    assert made.endswith(element(0x7FE00010, "OB", b"junk", length=UNDEFINED))


def test_a_deflated_data_set_that_is_cut_is_not_corrected() -> None:
    with pytest.raises(CannotCorrect, match="not whole"):
        corrected_bytes(received(DEFLATED)[:-20], DEFLATED, correction(**PATIENT))
