"""Which segments belong together, and how many may."""

import pytest

from broker.orders.messages.grouping import MOST, order_groups, patient_groups
from hl7.message import Message
from tests.unit.orders.messages.said import OBR, ORC, PID, message, refused


def _names(*segments: str) -> list[dict[str, int]]:
    groups = order_groups(Message.read(message(*segments)))
    return [{name: len(found) for name, found in group.segments.items()} for group in groups]


def test_orc_opens_an_order_and_what_follows_hangs_on_it() -> None:
    assert _names(PID, ORC, OBR, "NTE|1", "OBX|1", "NTE|1", "ZDS|1.2", "ZXX|1") == [
        {"ORC": 1, "OBR": 1, "NTE": 2, "OBX": 1, "ZDS": 1, "ZXX": 1}
    ]


def test_second_obr_opens_an_order_of_the_same_orc() -> None:
    assert _names(PID, ORC, OBR, OBR) == [{"ORC": 1, "OBR": 1}, {"ORC": 1, "OBR": 1}]


def test_study_after_the_last_of_several_is_everyone_s() -> None:
    assert [group["ZDS"] for group in _names(PID, ORC, OBR, ORC, OBR, "ZDS|1.2")] == [1, 1]
    assert ["ZDS" in group for group in _names(PID, ORC, OBR, "ZDS|1.2", ORC, OBR)] == [True, False]


def test_what_stands_before_the_first_pid_is_everyone_s() -> None:
    groups = patient_groups(Message.read(message("EVN|A40", PID, "MRG|1", PID, "MRG|2", kind="ADT^A40")))
    assert [sorted(group.segments) for group in groups] == [["EVN", "MRG", "MSH", "PID"]] * 2


@pytest.mark.parametrize(
    ("segments", "kind", "name"),
    [
        ([PID, *[ORC] * (MOST + 1)], "ORM^O01", "ORC"),
        ([PID, ORC, *[OBR] * (MOST + 1)], "ORM^O01", "OBR"),
        ([PID, ORC, OBR, *["IPC|A1"] * (MOST + 1)], "OMI^O23", "IPC"),
        ([PID, *["MRG|1"] * (MOST + 1)], "ADT^A40", "MRG"),
        ([PID] * (MOST + 1), "ADT^A08", "PID"),
    ],
)
def test_flood_is_refused_before_it_is_read(segments: list[str], kind: str, name: str) -> None:
    assert refused(message(*segments, kind=kind)) == ("AE", "102", f"{name}^{MOST + 1}")
