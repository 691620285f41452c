"""dcmjs-dimse, an upper layer in JavaScript: as the modality that performs, and as the provider that is passed it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.orders.model import StepStatus
from tests.peers import npm_mpps
from tests.peers.dcmtk import Node
from tests.unit.procedures.building import UID, creation, discontinued, ending
from tests.unit.procedures.world import World
from tests.wire.mpps_service import served
from tests.wire.test_mpps import passed_on

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("dcmjs")]

ITEM = {
    "StudyInstanceUID": "1.2.3",
    "AccessionNumber": "A1",
    "RequestedProcedureID": "RP1",
    "ScheduledProcedureStepID": "S1",
}
CREATION: dict[str, Any] = {
    "ScheduledStepAttributesSequence": [ITEM],
    "PatientName": "Muster^Eva",
    "PatientID": "4711",
    "PerformedProcedureStepID": "PPS1",
    "PerformedStationAETitle": "US1",
    "PerformedProcedureStepStartDate": "20260201",
    "PerformedProcedureStepStartTime": "093100",
    "PerformedProcedureStepStatus": "IN PROGRESS",
    "Modality": "US",
    "PerformedSeriesSequence": [],
}
ENDING: dict[str, Any] = {
    "PerformedProcedureStepStatus": "COMPLETED",
    "PerformedProcedureStepEndDate": "20260201",
    "PerformedProcedureStepEndTime": "094500",
    "PerformedSeriesSequence": [
        {
            "SeriesInstanceUID": "1.2.3.1",
            "ProtocolName": "Abdomen",
            "ReferencedImageSequence": [
                {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "ReferencedSOPInstanceUID": "1.2.3.1.1"}
            ],
        }
    ],
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Node, World]]:
    with served(tmp_path) as (port, world):
        yield Node(port, "BROKER"), world


def test_its_exam_is_taken_and_what_follows_is_refused(service: tuple[Node, World]) -> None:
    node, world = service
    world.order()
    said = npm_mpps.send(
        node,
        "US1",
        [
            npm_mpps.request("create", UID, **CREATION),
            npm_mpps.request("create", UID, **CREATION),
            npm_mpps.request("set", UID, **ENDING),
            npm_mpps.request("set", UID, **ENDING),
            npm_mpps.request("set", f"{UID}.9", **ENDING),
        ],
    )
    assert said.events == []
    assert said.statuses == [0, 0x0111, 0, 0x0110, 0x0112]
    assert said.comments[3] == "Performed Procedure Step Object may no longer be updated"
    assert world.statuses() == [StepStatus.COMPLETED]
    assert world.stored().step.series[0].instances[0].sop_instance_uid == "1.2.3.1.1"


def test_its_incomplete_exam_is_refused(service: tuple[Node, World]) -> None:
    node, _ = service
    without = {keyword: value for keyword, value in CREATION.items() if keyword != "PerformedProcedureStepStartDate"}
    said = npm_mpps.send(node, "US1", [npm_mpps.request("create", UID, **without)])
    assert (said.statuses, said.events) == ([0x0120], [])
    assert "PerformedProcedureStepStartDate" in said.comments[0]


def test_it_is_passed_what_others_performed(service: tuple[Node, World], tmp_path: Path) -> None:
    _, world = service
    world.destinations = ("ris",)
    world.create(creation(PatientName="Muster^Eva"))
    world.set(ending())
    world.create(uid=f"{UID}.2")
    world.set(discontinued("110514"), uid=f"{UID}.2")
    folder = tmp_path / "kept"
    with npm_mpps.scp(folder) as node:
        assert passed_on(world, node.port) == 4
    found = npm_mpps.kept(folder)
    assert [(one["kind"], one["uid"]) for one in found] == [
        ("create", UID),
        ("set", UID),
        ("create", f"{UID}.2"),
        ("set", f"{UID}.2"),
    ]
    assert found[0]["attributes"]["PerformedProcedureStepStatus"] == "IN PROGRESS"
    assert found[3]["attributes"]["PerformedProcedureStepStatus"] == "DISCONTINUED"
