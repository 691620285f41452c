"""The sample corpus' worklist entries as items, asked its queries: the answers that wlmscpfs gave to them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from broker.clock import SystemClock
from broker.database import METADATA, Database, sqlite_url
from broker.dimse.service import FindRequest
from broker.orders.model import Order, Patient, ScheduledStep
from broker.worklist import find, store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.model import Viewer
from broker.worklist.plan import plan
from broker.worklist.stations import Stations
from tests.unit.worklist.building import decoded, encoded, set_keys

QUERIES = range(13)
STATED_OF_STEP = ("ScheduledStationName", "ScheduledProcedureStepLocation")
_LINE = re.compile(r"\s*\(([0-9a-f]{4}),([0-9a-f]{4})\) (\w\w|-)\s*(.*)")

# DCMTK corrected a birth date (there is no 31 April) after its answers had been recorded by Orthanc's tests.
BIRTH_DATE_WHEN_RECORDED = {"17320331": "17320431"}


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """Tag and value of each line of a dump."""
    for line in file.read_text(encoding="latin-1").splitlines():
        found = _LINE.match(line.split("#")[0])
        if found:
            yield int(found[1] + found[2], 16), found[4].strip().strip("[]").strip()


def read(file: Path) -> tuple[dict[str, str], dict[str, str], bool]:
    """The values of a dump, those of its step, and whether it has a step."""
    outer: dict[str, str] = {}
    inner: dict[str, str] = {}
    inside, has_step = False, False
    for tag, value in lines(file):
        keyword = keyword_for_tag(tag)
        if tag == 0x00400100:
            inside = has_step = True
        elif tag == 0xFFFEE0DD:
            inside = False
        elif keyword and not keyword.endswith("Sequence") and tag >> 16 != 0xFFFE:
            (inner if inside else outer).setdefault(keyword, value)  # one entry states its number twice
    return outer, inner, has_step


def order(file: Path) -> Order:
    """The order of a worklist entry."""
    outer, inner, _ = read(file)
    step = ScheduledStep(
        scheduled_procedure_step_id=inner["ScheduledProcedureStepID"],
        modality=inner["Modality"],
        scheduled_procedure_step_start_date=inner["ScheduledProcedureStepStartDate"],
        scheduled_procedure_step_start_time=inner["ScheduledProcedureStepStartTime"],
        scheduled_station_ae_titles=tuple(inner["ScheduledStationAETitle"].split("\\")),
        scheduled_procedure_step_description=inner.get("ScheduledProcedureStepDescription", ""),
        scheduled_performing_physician_name=inner.get("ScheduledPerformingPhysicianName", ""),
        attributes={
            key: inner[key] for key in ("ScheduledStationName", "ScheduledProcedureStepLocation") if key in inner
        },
    )
    further = ("RequestingPhysician", "RequestedProcedurePriority")
    return Order(
        patient=Patient(
            outer["PatientID"],
            "",
            outer["PatientName"],
            BIRTH_DATE_WHEN_RECORDED.get(outer["PatientBirthDate"], outer["PatientBirthDate"]),
            outer["PatientSex"],
            {key: outer[key] for key in ("MedicalAlerts", "Allergies") if outer.get(key)},
        ),
        accession_number=outer["AccessionNumber"],
        requested_procedure_id=outer["RequestedProcedureID"],
        requested_procedure_description=outer["RequestedProcedureDescription"],
        study_instance_uid=outer["StudyInstanceUID"],
        steps=(step,),
        attributes={key: outer[key] for key in further if outer.get(key)},
    )


@pytest.fixture(scope="module")
def corpus(samples: Path | None) -> Path:
    if samples is None:
        pytest.skip("BROKER_SAMPLES is not set: these entries are part of the sample corpus")
    return samples / "worklist"


@pytest.fixture(scope="module")
def database(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(sqlite_url(tmp_path_factory.mktemp("corpus") / "broker.db"))
    METADATA.create_all(opened.engine)
    with opened.write("orders") as tx:
        for number, file in enumerate(sorted(corpus.glob("dcmtk__wklist*.dump")), 1):
            store.replace(tx, number, plan(order(file), number))
    yield opened
    opened.close()


def identifier(file: Path) -> bytes:
    outer, inner, has_step = read(file)
    asked = Dataset()
    set_keys(asked, outer)
    if has_step:
        step = Dataset()
        set_keys(step, inner)
        asked.ScheduledProcedureStepSequence = Sequence([step])
    return encoded(asked)


@pytest.mark.parametrize("number", QUERIES)
def test_the_answers_of_wlmscpfs_are_ours(database: Database, corpus: Path, number: int) -> None:
    asked = identifier(corpus / f"dcmtk__wlistqry{number}.dump")
    expected = json.loads((corpus / f"orthanc-tests__expected-all-{number}.json").read_text(encoding="utf-8"))
    request = FindRequest(1, "1.2.840.10008.5.1.4.31", IMPLICIT_LITTLE_ENDIAN, asked, lambda: False)
    answers = list(find.answers(database, request, Viewer(), Stations(), SystemClock()))
    found = [decoded(answer.identifier) for answer in answers if answer.identifier]
    assert answers[-1].status == 0x0000
    assert sorted(map(values, found)) == sorted(map(stated, expected))


def values(answer: Dataset) -> list[tuple[str, str]]:
    """The valued attributes of an answer beside its step."""
    plain = (element for element in answer if element.VR != "SQ" and element.value)
    return [(f"{element.tag:08x}".replace(" ", ""), str(element.value).strip()) for element in plain]


def stated(lines_of: list[str]) -> list[tuple[str, str]]:
    """The same of an expected answer."""
    found = (re.match(r"\((\w{4}),(\w{4})\) (\w\w) \[(.*)\]", line) for line in lines_of)
    return [(match[1] + match[2], match[4].strip()) for match in found if match and match[3] != "SQ"]
