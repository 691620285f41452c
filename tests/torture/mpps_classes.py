"""Classes M01 and M02: every N-CREATE and N-SET that a modality may get wrong, as tables of defined answers.

Each case has an order of its own, by its number; what is sent goes over a real association.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from broker.dimse.message import CommandField
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import NormalizedRequest, Peer
from broker.orders.model import StepStatus
from broker.procedures import flow
from broker.procedures.model import SOP_CLASS
from tests.torture.measured import Tally
from tests.unit.orders.building import step
from tests.unit.procedures.building import (
    UID,
    creation,
    dataset,
    discontinued,
    encoded,
    ending,
    series,
    without,
)
from tests.unit.procedures.building import item as plain_item
from tests.unit.procedures.world import World, stated
from tests.wire.mpps_service import served

IMPLICIT = "1.2.840.10008.1.2"
SCHEDULED, STARTED, COMPLETED, DISCONTINUED = (
    StepStatus.SCHEDULED,
    StepStatus.STARTED,
    StepStatus.COMPLETED,
    StepStatus.DISCONTINUED,
)
OK, LIST_ERROR = 0x0000, 0x0107

Makes = Callable[[int], Dataset | bytes | None]


@dataclass(frozen=True)
class Sent:
    """One request: what it holds for the case's number, and for which step."""

    command: CommandField
    makes: Makes
    uid: Callable[[int], str] = f"{UID}.{{}}".format


@dataclass(frozen=True)
class Case:
    """What is sent, after what, and what is to come of it."""

    name: str
    sent: Sent
    status: int
    after: StepStatus  # of the order's step
    told: tuple[str, ...] = ()
    first: tuple[Sent, ...] = ()
    error_id: int | None = None


def item(number: int, **changes: object) -> Dataset:
    keys = {
        "StudyInstanceUID": f"1.2.3.{number}",
        "AccessionNumber": f"A{number}",
        "RequestedProcedureID": f"RP{number}",
    }
    return plain_item(**(keys | changes))


def create(uid: Callable[[int], str] = f"{UID}.{{}}".format, **changes: object) -> Sent:
    """An N-CREATE with these changes."""
    return Sent(CommandField.N_CREATE_RQ, lambda number: creation(item(number), **changes), uid)


def create_of(*changes: dict[str, object], **more: object) -> Sent:
    """An N-CREATE whose items have these changes."""
    return Sent(CommandField.N_CREATE_RQ, lambda n: creation(*(item(n, **each) for each in changes), **more))


def create_without(keyword: str) -> Sent:
    return Sent(CommandField.N_CREATE_RQ, lambda number: without(creation(item(number)), keyword))


def create_item_without(keyword: str) -> Sent:
    return Sent(CommandField.N_CREATE_RQ, lambda number: creation(without(item(number), keyword)))


def set_(made: Dataset | bytes | None) -> Sent:
    return Sent(CommandField.N_SET_RQ, lambda _number: made)


# --- M01 -------------------------------------------------------------------------------------------------------------

HARD = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepStatus",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
)
LENIENT = (
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "Modality",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
)
LENIENT_SEQUENCES = (
    "ReferencedPatientSequence",
    "ProcedureCodeSequence",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
    "PerformedProcedureStepDiscontinuationReasonCodeSequence",
)
OF_ITEM = (
    "AccessionNumber",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
)
ITEM_SEQUENCES = ("ReferencedStudySequence", "ScheduledProtocolCodeSequence")


def m01() -> Iterator[Case]:
    """N-CREATE."""
    for keyword in HARD:
        empty: object = [] if keyword.endswith("Sequence") else ""
        yield Case(f"{keyword} absent", create_without(keyword), 0x0120, SCHEDULED)
        yield Case(f"{keyword} empty", create(**{keyword: empty}), 0x0121, SCHEDULED)
    yield Case("Study UID absent", create_item_without("StudyInstanceUID"), 0x0120, SCHEDULED)
    yield Case("Study UID empty", create_of({"StudyInstanceUID": ""}), 0x0121, SCHEDULED)
    for keyword in LENIENT:
        yield Case(f"{keyword} absent", create_without(keyword), OK, STARTED)
        yield Case(f"{keyword} empty", create(**{keyword: ""}), OK, STARTED)
    for keyword in LENIENT_SEQUENCES:
        yield Case(f"{keyword} absent", create_without(keyword), OK, STARTED)
    for keyword in OF_ITEM:
        yield Case(f"{keyword} of the item absent", create_item_without(keyword), OK, STARTED)
        yield Case(f"{keyword} of the item empty", create_of({keyword: ""}), OK, STARTED)
    for keyword in ITEM_SEQUENCES:
        yield Case(f"{keyword} of the item absent", create_item_without(keyword), OK, STARTED)
    yield from _m01_statuses()
    yield from _m01_instances()
    yield from _m01_links()


def _m01_statuses() -> Iterator[Case]:
    for status in ("COMPLETED", "DISCONTINUED", "SCHEDULED", "STARTED", "IN_PROGRESS"):
        yield Case(f"status {status}", create(PerformedProcedureStepStatus=status), 0x0106, SCHEDULED)
    yield Case("status with blanks", create(PerformedProcedureStepStatus=" IN PROGRESS "), OK, STARTED)
    yield Case("no data set", Sent(CommandField.N_CREATE_RQ, lambda _: None), 0x0120, SCHEDULED)
    yield Case("no data set at all", Sent(CommandField.N_CREATE_RQ, lambda _: b"\xff" * 24), 0x0110, SCHEDULED)
    cut = Sent(CommandField.N_CREATE_RQ, lambda number: encoded(creation(item(number)))[:-5])
    yield Case("data set cut off", cut, 0x0110, SCHEDULED)


def _m01_instances() -> Iterator[Case]:
    for name, first, after in (
        ("in progress", (create(),), STARTED),
        ("completed", (create(), set_(ending())), COMPLETED),
        ("discontinued", (create(), set_(discontinued("110505"))), DISCONTINUED),
    ):
        yield Case(f"same again while {name}", create(), 0x0111, after, first=first)
    yield Case("another content under the UID", create(Modality="CT"), 0x0111, STARTED, first=(create(),))
    yield Case("another patient under the UID", create(PatientID="9"), 0x0111, STARTED, first=(create(),))
    yield Case("no UID", create(lambda _: ""), 0x0120, SCHEDULED)
    yield Case("UID of dots", create(lambda _: ".."), 0x0117, SCHEDULED)
    yield Case("UID too long", create(lambda _: "1." * 32 + "1"), 0x0117, SCHEDULED)
    yield Case("UID that climbs", create(lambda _: "../../x"), 0x0117, SCHEDULED)
    yield Case("UID with a leading zero", create("1.02.{}".format), OK, STARTED)


def _m01_links() -> Iterator[Case]:
    unknown: dict[str, object] = {"AccessionNumber": "A-1", "StudyInstanceUID": "1.9", "RequestedProcedureID": "R-1"}
    yield Case("unknown accession", create_of(unknown), OK, SCHEDULED, (flow.UNMATCHED,))
    bare: dict[str, object] = {
        "AccessionNumber": "",
        "RequestedProcedureID": "",
        "ScheduledProcedureStepID": "",
        "StudyInstanceUID": "1.9",
    }
    yield Case("unscheduled", create_of(bare), OK, SCHEDULED, (flow.UNSCHEDULED,))
    yield Case("another study, known accession", create_of({"StudyInstanceUID": "1.9"}), OK, STARTED)
    yield Case("known study, another accession", create_of({"AccessionNumber": "A-1"}), OK, STARTED)
    only_study = bare | {}
    del only_study["StudyInstanceUID"]
    yield Case("known study alone", create_of(only_study), OK, STARTED)
    yield Case("other patient of a known study", create(PatientID="9"), OK, STARTED, (flow.OTHER_PATIENT,))
    other = create_of({"StudyInstanceUID": "1.9"}, PatientID="9")
    yield Case("other patient of a known accession", other, OK, SCHEDULED, (flow.UNMATCHED,))
    yield Case("the same scheduled step twice", create_of({}, {}), OK, STARTED)
    yield Case("two scheduled steps, one unknown", create_of({}, unknown), OK, STARTED, (flow.UNMATCHED,))
    twice = Sent(CommandField.N_CREATE_RQ, lambda n: creation(item(n), item(n)), lambda n: f"{UID}.{n}.2")
    yield Case("appended while in progress", twice, OK, STARTED, first=(create(),))
    yield Case("appended after completion", twice, OK, STARTED, first=(create(), set_(ending())))


# --- M02 -------------------------------------------------------------------------------------------------------------

OVER = ["110500", "110502", "110503", "110504", "110505", "110507", "110508", "110509", "110510", "110511", "110512"]
BY_IMAGES = ["110501", "110506", "110513", "110515", "110516", "110518", "110519", "110526", "110527"]
FIXED: dict[str, object] = {
    "PatientID": "9",
    "PatientName": "Other^Olga",
    "PatientBirthDate": "19990101",
    "PatientSex": "M",
    "PerformedProcedureStepID": "PPS9",
    "PerformedStationAETitle": "CT9",
    "PerformedStationName": "CTROOM",
    "PerformedLocation": "ROOM 9",
    "PerformedProcedureStepStartDate": "20260202",
    "PerformedProcedureStepStartTime": "1015",
    "Modality": "CT",
    "StudyID": "X",
    "ScheduledStepAttributesSequence": [dataset(StudyInstanceUID="1.9")],
}
BEGUN = (create(),)


def m02() -> Iterator[Case]:
    """N-SET."""
    for name, made in (("completed", ending()), ("discontinued", discontinued()), ("changed", dataset())):
        yield Case(f"unknown UID {name}", set_(made), 0x0112, SCHEDULED)
    yield from _m02_after_final()
    yield from _m02_incomplete()
    yield from _m02_reasons()
    for keyword, value in FIXED.items():
        made = ending(**{keyword: value})
        yield Case(f"{keyword} changed at the end", set_(made), LIST_ERROR, COMPLETED, first=BEGUN)
    yield Case("same Modality again", set_(ending(Modality="US")), OK, COMPLETED, first=BEGUN)
    yield from _m02_malformed()


def _m02_after_final() -> Iterator[Case]:
    requests = {
        "COMPLETED": ending(),
        "DISCONTINUED": discontinued(),
        "IN PROGRESS": dataset(PerformedProcedureStepStatus="IN PROGRESS"),
        "no status": dataset(PerformedProcedureStepDescription="Liver"),
        "series": dataset(PerformedSeriesSequence=[series()]),
    }
    for end, after in ((ending(), COMPLETED), (discontinued("110505"), DISCONTINUED)):
        for name, made in requests.items():
            first = (create(), set_(end))
            yield Case(f"{name} after {after}", set_(made), 0x0110, after, first=first, error_id=0xA710)


def _m02_incomplete() -> Iterator[Case]:
    told = (flow.INCOMPLETE,)
    no_series = without(ending(), "PerformedSeriesSequence")
    yield Case("completed without series", set_(no_series), OK, COMPLETED, told, BEGUN)
    yield Case("completed with no series", set_(ending(PerformedSeriesSequence=[])), OK, COMPLETED, told, BEGUN)
    for name, made in {
        "series without UID": ending("COMPLETED", without(series(), "SeriesInstanceUID")),
        "series with empty UID": ending("COMPLETED", series(SeriesInstanceUID="")),
        "series without protocol": ending("COMPLETED", series(ProtocolName="")),
        "series without images": ending("COMPLETED", series(images=0)),
        "no end date": without(ending(), "PerformedProcedureStepEndDate"),
        "no end time": without(ending(), "PerformedProcedureStepEndTime"),
        "empty end": ending(PerformedProcedureStepEndDate="", PerformedProcedureStepEndTime=""),
    }.items():
        yield Case(f"completed, {name}", set_(made), OK, COMPLETED, first=BEGUN)


def _m02_reasons() -> Iterator[Case]:
    empty = discontinued()
    empty.PerformedProcedureStepDiscontinuationReasonCodeSequence = []
    bare = discontinued()
    bare.PerformedProcedureStepDiscontinuationReasonCodeSequence = [dataset(CodeValue="")]
    for name, made, after in (
        ("no reason", discontinued(), SCHEDULED),
        ("no reason, images", discontinued(images=1), DISCONTINUED),
        ("empty reason", empty, SCHEDULED),
        ("reason without code", bare, SCHEDULED),
        ("unknown reason", discontinued("999999"), SCHEDULED),
        ("unknown reason, images", discontinued("999999", images=1), DISCONTINUED),
        *((code, discontinued(code), DISCONTINUED) for code in OVER),
        *((code, discontinued(code), SCHEDULED) for code in BY_IMAGES),
        *((f"{code}, images", discontinued(code, images=1), DISCONTINUED) for code in BY_IMAGES),
        *((code, discontinued(code, images=1), SCHEDULED) for code in ("110528", "110529")),
    ):
        yield Case(f"discontinued, {name}", set_(made), OK, after, first=BEGUN)
    wrong = set_(discontinued("110514", images=3))
    yield Case("discontinued, incorrect worklist entry", wrong, OK, SCHEDULED, (flow.WRONG_ENTRY,), BEGUN)


def _m02_malformed() -> Iterator[Case]:
    yield Case("status unknown", set_(dataset(PerformedProcedureStepStatus="DONE")), 0x0106, STARTED, first=BEGUN)
    yield Case("status empty", set_(dataset(PerformedProcedureStepStatus="")), OK, STARTED, first=BEGUN)
    yield Case("no data set", set_(None), 0x0212, STARTED, first=BEGUN)
    yield Case("bytes that are no data set", set_(b"\xff" * 24), 0x0110, STARTED, first=BEGUN)
    yield Case("data set cut off", set_(encoded(ending())[:-5]), 0x0110, STARTED, first=BEGUN)
    yield Case("series while in progress", set_(dataset(PerformedSeriesSequence=[series()])), OK, STARTED, first=BEGUN)


CLASSES: dict[str, Callable[[], Iterator[Case]]] = {"M01 N-CREATE": m01, "M02 N-SET": m02}


# --- running ---------------------------------------------------------------------------------------------------------


def tallies(folder: Path) -> Iterator[Tally]:
    """Run every class against a service over an empty database in `folder`."""
    numbers = itertools.count(1)
    with served(folder) as (port, world):
        for name, cases in CLASSES.items():
            tally = Tally(name)
            with tally.measured(os.getpid()):
                for case in cases():
                    with tally.case(case.name):
                        run(case, next(numbers), world, port)
            yield tally


def run(case: Case, number: int, world: World, port: int) -> None:
    """Order something under the case's number, send its requests, and assert what came of the last one."""
    order_id = world.order(stated(number), steps=(step("S1"),))
    seen = len(world.events)
    peer = Peer("127.0.0.1", port, "BROKER", "US1")
    with EngineRequestor().associate(peer, [(SOP_CLASS, IMPLICIT)]) as association:
        for sent in case.first:
            assert association.request(_request(sent, number)).status == OK, "what comes first"
        seen = len(world.events) if case.first else seen
        answer = association.request(_request(case.sent, number))
    assert answer.status == case.status, f"status {answer.status:04X} {answer.error_comment}"
    assert bool(answer.error_comment) == (case.status != OK)
    assert answer.error_id == case.error_id
    assert bool(answer.attributes) == (case.status in (0x0120, LIST_ERROR))
    assert bool(answer.data_set) == (case.status in (0x0106, 0x0121))
    assert world.statuses(order_id) == [case.after]
    assert tuple(event.name for event in world.events[seen:]) == case.told


def _request(sent: Sent, number: int) -> NormalizedRequest:
    made = sent.makes(number)
    data = encoded(made) if isinstance(made, Dataset) else made
    return NormalizedRequest(sent.command, SOP_CLASS, sent.uid(number), data_set=data)
