"""An ultrasound for the demo, on pynetdicom: asks for its worklist, makes, reports and stores an exam of real files.

Run as `python -m tests.demo.ultrasound worklist|store|listen …`; says what it saw as one JSON object on stdout.
Nothing of ours is imported: it stands for a console that somebody else wrote.
"""

import argparse
import hashlib
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydicom import Dataset, dcmread
from pydicom.uid import UID, generate_uid
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind, Verification

from tests.peers.steady import steady

# Send the bytes of the file's data set as they are; otherwise pynetdicom decodes and encodes them anew.
_config.STORE_SEND_CHUNKED_DATASET = True

SITE_ZONE = ZoneInfo("Europe/Berlin")  # by which a console's clock goes, whatever this machine's is
TIMEOUT = 15.0
# pynetdicom on a busy machine takes a rejection that comes at once for an abort, about once in a hundred starts, where
# a plain socket reads A-ASSOCIATE-RJ every time.
_TRIES = 3
PENDING = (0xFF00, 0xFF01)
# A worklist item's attributes that go into every object of its exam as they are (IHE RAD TF-2, appendix A).
COPIED = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyInstanceUID",
    "ReferringPhysicianName",
)
RETURNED = (*COPIED[1:], "RequestedProcedureID", "RequestedProcedureDescription")
COPIED_TO_STEP = ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex")
EMPTY_IN_STEP = (
    "ReferencedPatientSequence",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "ProcedureCodeSequence",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)
EMPTY_IN_SERIES = (
    "PerformingPhysicianName",
    "OperatorsName",
    "SeriesDescription",
    "RetrieveAETitle",
    "ReferencedNonImageCompositeSOPInstanceSequence",
)
STEP_RETURNED = (
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledPerformingPhysicianName",
)


@dataclass(frozen=True, slots=True)
class Exposed:
    """One object of the exam, as it lies on the console's disk."""

    file: Path
    sop_class: UID
    frames: int  # 1 for what is no cine loop
    sop_instance: UID
    transfer_syntax: UID
    data: bytes  # the data set as it is sent


def main() -> None:
    """Do one thing and say what was seen."""
    arguments = _parser().parse_args()
    result: dict[str, Any] = arguments.do(arguments)
    json.dump(result, sys.stdout, ensure_ascii=False)
    print()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", required=True, help="the broker's AE title")
    parser.add_argument("--calling", required=True, help="our AE title")
    verbs = parser.add_subparsers(required=True)
    worklist = verbs.add_parser("worklist")
    worklist.add_argument("--date", required=True, help="DA")
    worklist.set_defaults(do=_worklist)
    store = verbs.add_parser("store")
    store.add_argument("--item", type=Path, required=True, help="the chosen worklist item, DICOM JSON")
    store.add_argument("--folder", type=Path, required=True, help="where the exam's objects are written")
    store.add_argument("--begin", action="store_true", help="verify, and say that the performed step begins")
    store.add_argument("--end", action="store_true", help="say that the performed step is completed")
    store.add_argument("files", type=Path, nargs="+")
    store.set_defaults(do=_store)
    listen = verbs.add_parser("listen")
    listen.set_defaults(do=_listen)
    return parser


def _worklist(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask as a console does: its own station, its modality, one day."""
    association = _associate(arguments, [build_context(ModalityWorklistInformationFind)])
    if not association.is_established:
        return _refusal(association)
    query = _query(arguments.calling, arguments.date)
    items, status = [], None
    for answer, identifier in association.send_c_find(query, ModalityWorklistInformationFind):
        status = answer.get("Status")
        if status in PENDING:
            items.append(identifier.to_json_dict())
    association.release()
    return {"association": "accepted", "status": status, "items": items}


def _query(station: str, date: str) -> Dataset:
    step = Dataset()
    step.Modality = "US"
    step.ScheduledStationAETitle = station
    step.ScheduledProcedureStepStartDate = date
    for keyword in STEP_RETURNED:
        setattr(step, keyword, None)
    query = Dataset()
    for keyword in RETURNED:
        setattr(query, keyword, None)
    query.ScheduledProcedureStepSequence = [step]
    return query


def _store(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the exam's objects from `files`, store them over one association, and report the step around them."""
    item = Dataset.from_json(arguments.item.read_text(encoding="utf-8"))
    exam = _examine(item, arguments.files, arguments.folder)
    contexts = [build_context(one.sop_class, one.transfer_syntax) for one in exam]
    contexts += [build_context(Verification), build_context(ModalityPerformedProcedureStep)]
    association = _associate(arguments, contexts)
    if not association.is_established:
        return _refusal(association)
    reported = []
    if arguments.begin:
        reported.append(association.send_c_echo().get("Status"))
        reported.append(_began(association, arguments, item))
    objects = [_sent(association, one) for one in exam]
    if arguments.end:
        reported.append(_ended(association, arguments, exam))
    association.release()
    return {"association": "accepted", "objects": objects, "reported": reported}


def _began(association: Association, arguments: argparse.Namespace, item: Dataset) -> int | None:
    """N-CREATE with every attribute of type 1 and 2 (PS3.4 table F.7.2-1); its UID is kept for the end."""
    uid, now = generate_uid(), datetime.now(SITE_ZONE)
    (arguments.folder / "step.txt").write_text(uid)
    step = Dataset()
    for keyword in COPIED_TO_STEP:
        setattr(step, keyword, item.get(keyword))
    step.ScheduledStepAttributesSequence = [_scheduled(item)]
    step.PerformedProcedureStepID = "PPS1"
    step.PerformedStationAETitle = arguments.calling
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.Modality = "US"
    for keyword in EMPTY_IN_STEP:
        setattr(step, keyword, None)
    return _status(association.send_n_create(step, ModalityPerformedProcedureStep, uid)[0])


def _ended(association: Association, arguments: argparse.Namespace, exam: Sequence[Exposed]) -> int | None:
    """N-SET to COMPLETED, with the series that were made."""
    now, uid = datetime.now(SITE_ZONE), (arguments.folder / "step.txt").read_text()
    series = Dataset()
    series.SeriesInstanceUID, series.ProtocolName = generate_uid(), "Abdomen"
    for keyword in EMPTY_IN_SERIES:
        setattr(series, keyword, None)
    series.ReferencedImageSequence = [_reference(one) for one in exam]
    step = Dataset()
    step.PerformedProcedureStepStatus = "COMPLETED"
    step.PerformedProcedureStepEndDate, step.PerformedProcedureStepEndTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    step.PerformedSeriesSequence = [series]
    return _status(association.send_n_set(step, ModalityPerformedProcedureStep, uid)[0])


def _scheduled(item: Dataset) -> Dataset:
    """Return the item of the Scheduled Step Attributes Sequence: what the worklist said comes back."""
    scheduled = _requested(item)
    scheduled.StudyInstanceUID, scheduled.AccessionNumber = item.StudyInstanceUID, item.AccessionNumber
    scheduled.RequestedProcedureDescription = item.RequestedProcedureDescription
    scheduled.ReferencedStudySequence = scheduled.ScheduledProtocolCodeSequence = None
    return scheduled


def _reference(one: Exposed) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = one.sop_class, one.sop_instance
    return reference


def _status(answer: Dataset) -> int | None:
    status: int | None = answer.get("Status")
    return status


def _listen(arguments: argparse.Namespace) -> dict[str, Any]:
    """Answer C-ECHO on a free loopback port until SIGTERM, as the console of an ultrasound does."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    entity = AE(ae_title=arguments.calling)
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    print(json.dumps({"event": "listening", "port": server.socket.getsockname()[1]}), flush=True)
    stop.wait()
    entity.shutdown()
    return {"event": "ended"}


def _examine(item: Dataset, files: Sequence[Path], folder: Path) -> list[Exposed]:
    folder.mkdir(parents=True, exist_ok=True)
    series = {modality: generate_uid() for modality in ("US", "SR")}
    return [_exposed(item, file, number, series, folder) for number, file in enumerate(files, start=1)]


def _exposed(item: Dataset, file: Path, number: int, series: dict[str, UID], folder: Path) -> Exposed:
    data_set = dcmread(file)
    for keyword in COPIED:
        if keyword in item:
            setattr(data_set, keyword, item[keyword].value)
    now = datetime.now(SITE_ZONE)
    data_set.StudyDate = data_set.ContentDate = now.strftime("%Y%m%d")
    data_set.StudyTime = data_set.ContentTime = now.strftime("%H%M%S")
    data_set.StudyID = item.RequestedProcedureID
    data_set.RequestAttributesSequence = [_requested(item)]
    data_set.SeriesInstanceUID = series[data_set.Modality]
    data_set.InstanceNumber = number
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    target = folder / f"{number}.dcm"
    data_set.save_as(target, enforce_file_format=True)
    syntax = data_set.file_meta.TransferSyntaxUID
    frames = int(data_set.get("NumberOfFrames", 1))
    return Exposed(target, data_set.SOPClassUID, frames, data_set.SOPInstanceUID, syntax, _data_set_bytes(target))


def _requested(item: Dataset) -> Dataset:
    """Return the item of the Request Attributes Sequence: for which requested procedure and step this was made."""
    step = item.ScheduledProcedureStepSequence[0]
    requested = Dataset()
    requested.RequestedProcedureID = item.RequestedProcedureID
    requested.ScheduledProcedureStepID = step.ScheduledProcedureStepID
    requested.ScheduledProcedureStepDescription = step.ScheduledProcedureStepDescription
    return requested


def _data_set_bytes(file: Path) -> bytes:
    """Return what follows the file meta, whose length its first element states (PS3.10 7.1)."""
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def _sent(association: Association, one: Exposed) -> dict[str, Any]:
    # Without an association nothing can be sent any more: no status, then.
    status = association.send_c_store(one.file).get("Status") if association.is_established else None
    return {
        "name": _name(one),
        "sop_instance_uid": one.sop_instance,
        "transfer_syntax": one.transfer_syntax.name,
        "octets": len(one.data),
        "sha256": hashlib.sha256(one.data).hexdigest(),
        "status": status,
    }


def _name(one: Exposed) -> str:
    retired = " (retired)" if one.sop_class.is_retired else ""
    return f"{one.sop_class.name}{retired}{f', {one.frames} frames' if one.frames > 1 else ''}"


def _associate(arguments: argparse.Namespace, contexts: list[PresentationContext]) -> Association:
    entity = AE(ae_title=arguments.calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = TIMEOUT
    for _ in range(_TRIES):
        association = entity.associate("127.0.0.1", arguments.port, contexts=contexts, ae_title=arguments.called)
        if association.is_established or association.is_rejected:
            break
    return steady(association)


def _refusal(association: Association) -> dict[str, Any]:
    if not association.is_rejected:
        return {"association": "aborted, or no connection"}
    answer = association.acceptor.primitive
    return {
        "association": "rejected",
        "result": answer.result,
        "source": answer.result_source,
        "reason": answer.diagnostic,
        "text": answer.reason_str,
    }


if __name__ == "__main__":
    main()
