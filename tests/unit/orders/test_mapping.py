"""Sources as a mapping writes them."""

import pytest

from broker.orders.mapping import Form, Rule, Source, source
from broker.orders.model import Origin


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("OBR-18", Source("OBR", 18)),
        ("ORC-7.4", Source("ORC", 7, 4)),
        ("PID-3.4.2", Source("PID", 3, 4, 2)),
        ("PID-3[2]", Source("PID", 3, repetition=2)),
        ("ZX1-3.1.2[4]", Source("ZX1", 3, 1, 2, 4)),
    ],
)
def test_path_is_read_and_written_alike(path: str, expected: Source) -> None:
    assert source(path) == expected
    assert source(path).path == path
    assert source(path).origin == Origin(path)


@pytest.mark.parametrize("path", ["", "OBR", "OBR-0", "obr-18", "OBR-18.", "OBR-18.0", "OBR 18", "OBR-18[0]", "OBRX-1"])
def test_other_texts_are_no_paths(path: str) -> None:
    with pytest.raises(ValueError, match="SEG-field"):
        source(path)


def test_rule_tells_what_reading_needs() -> None:
    rule = Rule("PatientWeight", Form.KILOGRAMS, (source("OBX-5"),))
    assert rule.of_several
    assert rule.places == (("OBX", 5, source("OBX-5")),)
