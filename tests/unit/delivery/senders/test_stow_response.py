"""The Store Instances Response in both forms, and everything that is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.delivery.senders.stow_response import NOTHING, Statement, data_sets, read


def sequence(*items: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def item(uid: object, **reasons: object) -> dict[str, Any]:
    said = {tag.removeprefix("t"): {"vr": "US", "Value": [reason]} for tag, reason in reasons.items()}
    return {"00081155": {"vr": "UI", "Value": [uid]}, **said}


def test_each_list_is_read() -> None:
    document = {
        "00081190": {"vr": "UR", "Value": ["https://pacs.example/studies/1.2.3"]},
        "00081199": sequence(item("1.1"), item("1.2", t00081196=45056)),
        "00081198": sequence(item("1.3", t00081197=42752)),
        "0008119A": sequence({"00081197": {"vr": "US", "Value": [272]}}, {}),
    }
    expected = Statement({"1.1": None, "1.2": 0xB000}, {"1.3": 0xA700}, (0x0110, None))
    assert read(json.dumps(document).encode()) == expected
    assert read(b"\xef\xbb\xbf \r\n" + json.dumps([document]).encode()) == expected


def test_numbers_may_be_text_and_uids_padded() -> None:
    document = {"00081198": sequence(item("1.3\0", t00081197="49442"), item(" 1.4 ", t00081197=" 272 "))}
    assert read(json.dumps(document).encode()).failed == {"1.3": 0xC122, "1.4": 0x0110}


@pytest.mark.parametrize("reason", [-1, 65536, True, 1.5, None, "A700", "9" * 5000, [], {"a": 1}])
def test_a_reason_that_is_no_number_is_none(reason: object) -> None:
    document = {"00081198": sequence(item("1.3", t00081197=reason))}
    assert read(json.dumps(document).encode()).failed == {"1.3": None}


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"00081199": None},
        {"00081199": []},
        {"00081199": {"vr": "SQ"}},
        {"00081199": {"vr": "SQ", "Value": {"00081155": "1.1"}}},
        {"00081199": {"vr": "SQ", "Value": ["1.1", None, 3, ["1.1"]]}},
        {"00081199": sequence({"00081155": "1.1"}, item(None), item(3), item({"Value": "1.1"}))},
        {"ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "1.1"}]},
    ],
)
def test_what_has_another_shape_states_nothing(document: object) -> None:
    assert read(json.dumps(document).encode()) == NOTHING


XML = (
    '<NativeDicomModel{space}><DicomAttribute tag="00081199" vr="SQ"><Item number="1">'
    '<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.1</Value></DicomAttribute>'
    "</Item></DicomAttribute></NativeDicomModel>"
)


@pytest.mark.parametrize("space", ["", ' xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'])
@pytest.mark.parametrize("head", ["", '<?xml version="1.0" encoding="UTF-8"?>\n', '<?xml version="1.0"?><!-- x -->'])
def test_xml_is_read_with_and_without_its_namespace(space: str, head: str) -> None:
    assert read((head + XML.format(space=space)).encode()).stored == {"1.1": None}


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>1.1</body></html>",
        "<NativeDicomModel>",
        XML.format(space="") + "<x/>",
        XML.format(space="").replace("NativeDicomModel", "Other"),
        "<!DOCTYPE NativeDicomModel>" + XML.format(space=""),
        '<!DOCTYPE x [<!ENTITY a "' + "b" * 1000 + '">]>' + XML.format(space="").replace("1.1", "&a;" * 1000),
        '<?xml version="1.0" encoding="no-such"?>' + XML.format(space=""),
        "<" * 1000,
        "<a>" * 200_000,
    ],
)
def test_other_xml_states_nothing(text: str) -> None:
    assert read(text.encode()) == NOTHING


def test_nesting_without_end_states_nothing() -> None:
    assert read(b"[" * 1_000_000) == NOTHING
    assert read(b'{"00081199":' * 100_000) == NOTHING


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    assert read(body) == NOTHING
    assert read(b"{" + body) == NOTHING
    read(b"<" + body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("1.1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["00081199", "00081198", "0008119A", "00081155", "00081196", "00081197", "Value", "vr"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_without_an_error_and_states_texts_and_numbers_alone(document: object) -> None:
    statement = read(json.dumps(document).encode())
    for said in (statement.stored, statement.failed):
        assert all(isinstance(uid, str) for uid in said)
        assert all(reason is None or 0 <= reason <= 0xFFFF for reason in said.values())


def test_a_search_s_answer_is_a_list_of_data_sets() -> None:
    assert data_sets(b'[{"a": 1}, 2, {"b": 3}]') == [{"a": 1}, {"b": 3}]
    assert data_sets(b"") == []
