"""Answers given again from memory are those that would be encoded now."""

from dataclasses import replace

from pydicom import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import encode as encoded_by_pynetdicom

from broker.orders.model import StepStatus
from broker.worklist import memory as memories
from broker.worklist.dataset import encode
from broker.worklist.memory import AnswerMemory
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.plan import plan
from broker.worklist.query import Query, read
from tests.unit.worklist.building import ORDER

SYNTAX = "1.2.840.10008.1.2.1"
VIEWER = Viewer(device="us-room-2", stations=("US1",), modality="US")
ITEM = replace(plan(ORDER, 1)[0], id=1)


def query(name: str = "", **more: str) -> Query:
    asked, step = Dataset(), Dataset()
    asked.PatientName, asked.PatientID, asked.AccessionNumber = name, "", ""
    step.Modality, step.ScheduledProcedureStepStatus = "US", ""
    asked.ScheduledProcedureStepSequence = Sequence([step])
    for keyword, value in more.items():
        setattr(asked, keyword, value)
    data = encoded_by_pynetdicom(asked, False, True)
    assert data is not None
    return read(data, SYNTAX)


def answered(memory: AnswerMemory, asked: Query, item: WorklistItem, viewer: Viewer = VIEWER) -> bytes:
    found = memory.encoder(asked, viewer, SYNTAX).encode(item)
    assert found == encode(asked, item, viewer, SYNTAX)
    return found.identifier


def test_an_equal_question_gets_the_remembered_answer() -> None:
    memory = AnswerMemory()
    first = memory.encoder(query(), VIEWER, SYNTAX).encode(ITEM)
    assert memory.encoder(query("MUSTER*"), VIEWER, SYNTAX).encode(replace(ITEM)) is first


def test_whatever_changes_in_the_item_the_viewer_or_the_question_changes_the_answer() -> None:
    memory = AnswerMemory()
    before = answered(memory, query(), ITEM)
    assert answered(memory, query(), replace(ITEM, patient_name="Muster^Anna")) != before
    assert answered(memory, query(), replace(ITEM, status=StepStatus.STARTED)) != before
    asked_more = query(AdmissionID="")
    admitted = answered(memory, asked_more, replace(ITEM, attributes={"AdmissionID": "V1"}))
    assert answered(memory, asked_more, replace(ITEM, attributes={"AdmissionID": "V2"})) != admitted
    umlaut = replace(ITEM, patient_name="Müller^Eva")
    latin = answered(memory, query(), umlaut, replace(VIEWER, character_sets=("ISO_IR 100",)))
    assert answered(memory, query(), umlaut, replace(VIEWER, character_sets=("ISO_IR 192",))) != latin


def test_a_full_memory_forgets_the_older_half_and_never_grows() -> None:
    memory = AnswerMemory(maximum=10)
    for number in range(100):
        answered(memory, query(), replace(ITEM, id=number))
        assert len(memory._answers) <= 10
    assert memory.encoder(query(), VIEWER, SYNTAX).encode(replace(ITEM, id=99)) is memory.encoder(
        query(), VIEWER, SYNTAX
    ).encode(replace(ITEM, id=99))


def test_equal_hashes_of_two_askers_are_told_apart() -> None:
    one, other = memories._Asker(-1), memories._Asker(-2)  # CPython gives both the same hash
    assert hash(one) == hash(other)
    assert one != other
