"""A PACS for the demo, on pynetdicom: takes C-ECHO and C-STORE and says on stdout what it received.

Run as `python -m tests.demo.pacs --ae-title TITLE`: one JSON object a line, the first with the port it listens on.
Nothing of ours is imported: it stands for a program that somebody else wrote.
"""

import argparse
import hashlib
import json
import signal
import threading
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.presentation import build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification, register_uid

# Retired, and so not in pynetdicom's list.
RETIRED = {
    "1.2.840.10008.5.1.4.1.1.6": "UltrasoundImageStorageRetired",
    "1.2.840.10008.5.1.4.1.1.3": "UltrasoundMultiFrameImageStorageRetired",
}
# Implicit and Explicit Little Endian, JPEG Baseline, RLE Lossless: what the demo's ultrasound sends.
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"]
SUCCESS = 0x0000


def main() -> None:
    """Listen on a free loopback port until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ae-title", required=True)
    title: str = parser.parse_args().ae_title
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    entity = _entity(title)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, _store)])
    assert server is not None
    _say({"event": "listening", "port": server.socket.getsockname()[1]})
    stop.wait()
    entity.shutdown()


def _entity(title: str) -> AE:
    entity = AE(ae_title=title)
    entity.require_called_aet = True
    for uid, keyword in RETIRED.items():
        register_uid(uid, keyword, StorageServiceClass)
    classes = [context.abstract_syntax for context in AllStoragePresentationContexts]
    entity.supported_contexts = [build_context(uid, SYNTAXES) for uid in (*classes, *RETIRED)]
    entity.add_supported_context(Verification)
    return entity


def _store(event: evt.Event) -> int:
    data: bytes = event.request.DataSet.getvalue()
    _say({"event": "received", **_described(data, event), "sha256": hashlib.sha256(data).hexdigest()})
    return SUCCESS


def _described(data: bytes, event: evt.Event) -> dict[str, Any]:
    syntax = event.context.transfer_syntax
    data_set = dcmread(_as_file(data, syntax), stop_before_pixels=True)
    return {
        "calling": event.assoc.requestor.ae_title,
        "transfer_syntax": syntax,
        "octets": len(data),
        "sop_class_uid": event.request.AffectedSOPClassUID,
        "sop_instance_uid": event.request.AffectedSOPInstanceUID,
        "study_instance_uid": data_set.StudyInstanceUID,
        "accession_number": data_set.AccessionNumber,
        "patient_id": data_set.PatientID,
        "patient_name": str(data_set.PatientName),
    }


def _as_file(data: bytes, syntax: str) -> BytesIO:
    """Put a minimal file meta before a data set, so that it is read in its own transfer syntax."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    group = b"\x02\x00\x00\x00UL\x04\x00" + len(element).to_bytes(4, "little")
    return BytesIO(b"\0" * 128 + b"DICM" + group + element + data)


def _say(fact: dict[str, Any]) -> None:
    print(json.dumps(fact, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
