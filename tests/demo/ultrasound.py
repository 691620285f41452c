"""An ultrasound for the demo, on pynetdicom: asks for its worklist, makes an exam of real files, stores it.

Run as `python -m tests.demo.ultrasound worklist|store …`; says what it saw as one JSON object on stdout. Nothing of
ours is imported: it stands for a console that somebody else wrote.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import UID, generate_uid
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind

# Send the bytes of the file's data set as they are; otherwise pynetdicom decodes and encodes them anew.
_config.STORE_SEND_CHUNKED_DATASET = True

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
    store.add_argument("files", type=Path, nargs="+")
    store.set_defaults(do=_store)
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
    """Make the exam's objects from `files` and store them over one association."""
    item = Dataset.from_json(arguments.item.read_text(encoding="utf-8"))
    exam = _examine(item, arguments.files, arguments.folder)
    contexts = [build_context(one.sop_class, one.transfer_syntax) for one in exam]
    association = _associate(arguments, contexts)
    if not association.is_established:
        return _refusal(association)
    objects = [_sent(association, one) for one in exam]
    association.release()
    return {"association": "accepted", "objects": objects}


def _examine(item: Dataset, files: Sequence[Path], folder: Path) -> list[Exposed]:
    folder.mkdir(parents=True, exist_ok=True)
    series = {modality: generate_uid() for modality in ("US", "SR")}
    return [_exposed(item, file, number, series, folder) for number, file in enumerate(files, start=1)]


def _exposed(item: Dataset, file: Path, number: int, series: dict[str, UID], folder: Path) -> Exposed:
    data_set = dcmread(file)
    for keyword in COPIED:
        if keyword in item:
            setattr(data_set, keyword, item[keyword].value)
    now = datetime.now()
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
    return association


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
