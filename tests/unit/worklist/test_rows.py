"""An item's provenance as a column's text: what JSON itself would write."""

import json

from broker.orders.model import Origin
from broker.worklist.rows import provenance_from_json, provenance_to_json

PROVENANCE = {
    "AccessionNumber": Origin("OBR-18", "", 17),
    "Modality": Origin("OBR-24", 'RUS means "US"', 17),
    "StudyInstanceUID": Origin("", "derived from environment, patient, …", 4),
}


def test_provenance_is_what_the_encoder_of_the_standard_library_writes() -> None:
    assert provenance_to_json(PROVENANCE) == json.dumps(PROVENANCE, ensure_ascii=False)
    assert provenance_to_json({}) == json.dumps({})


def test_provenance_comes_back_whole() -> None:
    assert provenance_from_json(provenance_to_json(PROVENANCE)) == PROVENANCE
