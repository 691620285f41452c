"""Origins as text: what JSON itself would write, grouped by message and step."""

import json

from broker.orders.model import Origin
from broker.orders.snapshot import origins_from_json, origins_to_json

ORIGINS = {
    ("", "PatientName"): Origin("PID-5", "", 4),
    ("", "AccessionNumber"): Origin("", 'the "filler" number, since …', 17),
    ("S1", "Modality"): Origin("OBR-24", "", 17),
    ('S"2\\', "Modality"): Origin("OBR-24", "", 17),
    ("", "StudyInstanceUID"): Origin("ZDS-1", "", 17),
}


def test_origins_are_grouped_by_message_and_step() -> None:
    assert json.loads(origins_to_json(ORIGINS)) == {
        "4": {"": {"PatientName": "PID-5"}},
        "17": {
            "": {"AccessionNumber": ['the "filler" number, since …'], "StudyInstanceUID": "ZDS-1"},
            "S1": {"Modality": "OBR-24"},
            'S"2\\': {"Modality": "OBR-24"},
        },
    }


def test_origins_are_what_the_encoder_of_the_standard_library_writes() -> None:
    plain = json.dumps(json.loads(origins_to_json(ORIGINS)), ensure_ascii=False, separators=(",", ":"))
    assert origins_to_json(ORIGINS) == plain


def test_origins_come_back_with_their_rule_and_their_message() -> None:
    found = origins_from_json(origins_to_json(ORIGINS))
    assert found == ORIGINS
    assert origins_from_json(origins_to_json({})) == {}
