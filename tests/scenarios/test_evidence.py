"""A device proves itself in Test by its own traffic: three exams on two days, an impostor, a change; every check by a
running product and its command line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association

from broker.delivery.model import DeliveryState
from tests.peers.broker import MODALITY, Environment, destination
from tests.peers.processes import free_port, wait_for
from tests.unit.procedures.building import creation, dataset, ending, item

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STILL, LOOP, REPORT = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("6.1", "3.1", "88.33"))
FIND, STEP, ECHO = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.1"
ZONE = ZoneInfo("Europe/Berlin")
NAME = "Müller^Jürgen"
DOCUMENT = MODALITY + "\n[makes]\nreport = true\n"


class Bench:
    """A device on the bench, and the clock of the hospital."""

    def __init__(self, folder: Path, pacs: int) -> None:
        self.shift = folder / "shift"
        self.environment = Environment(
            folder, destinations=destination("main-pacs", pacs, keys='proof = "none"\n')
        ).write()
        self.at("20261123", "0800")

    @property
    def variables(self) -> dict[str, str]:
        return {"BROKER_TEST_HOOKS": "1", "BROKER_CLOCK_OFFSET_FILE": str(self.shift)}

    def at(self, day: str, time: str) -> None:
        self.day, self.time = day, f"{time}00"
        wanted = datetime.strptime(f"{day}{time}", "%Y%m%d%H%M").replace(tzinfo=ZONE)
        self.shift.write_text(str((wanted - datetime.now(UTC)).total_seconds()))

    def checks(self) -> dict[str, Any]:
        """Every check by its name."""
        self.environment.await_index()
        result = self.environment.command("promote", "checks", "us-room-2", "--json")
        assert result.returncode in (0, 3), result.stderr
        return {check["check"]: check for check in json.loads(result.stdout)["checks"]}

    def is_delivered(self) -> bool:
        return all(each.state is DeliveryState.DELIVERED for each in self.environment.deliveries())

    def do(self, *words: str) -> None:
        result = self.environment.command(*words)
        assert result.returncode == 0, result.stdout + result.stderr

    def order(self, number: int) -> None:
        file = self.environment.folder / f"{number}.hl7"
        file.write_bytes(_message(number, self.day).encode())
        self.do("order", "send", str(file))

    @contextmanager
    def calling(self, address: str = "127.0.0.1", **implementation: str) -> Iterator[Association]:
        """An association from the console, or from somebody who uses its title."""
        ae = AE("US_ROOM2")
        ae.implementation_version_name = implementation.get("version", "CONSOLE_1")
        for sop_class in (ECHO, FIND, STEP, STILL, LOOP, REPORT):
            ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
        node = self.environment.dicom
        link = ae.associate("127.0.0.1", node.port, ae_title=node.ae_title, bind_address=(address, 0))
        assert link.is_established
        yield link
        link.release()

    def exam(self, number: int, **who: str) -> None:
        """One whole exam: worklist, MPPS, still, loop, report."""
        with self.calling(**who) as link:
            assert link.send_c_echo().Status == 0
            (entry,) = _listed(link, number)
            stated = item(
                StudyInstanceUID=entry.StudyInstanceUID,
                AccessionNumber=entry.AccessionNumber,
                RequestedProcedureID=entry.RequestedProcedureID,
                ScheduledProcedureStepID=entry.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID,
            )
            began = {"PerformedProcedureStepStartDate": self.day, "PerformedProcedureStepStartTime": self.time}
            begun = creation(stated, PatientID=entry.PatientID, PatientName=str(entry.PatientName), **began)
            uid = f"1.2.826.0.1.3680043.9.77.{number}"
            assert link.send_n_create(begun, STEP, uid)[0].Status == 0
            for kind, sop_class in enumerate((STILL, LOOP, REPORT)):
                assert link.send_c_store(self._image(entry, number, kind, sop_class)).Status == 0
            assert link.send_n_set(ending(), STEP, uid)[0].Status == 0

    def _image(self, entry: Dataset, number: int, kind: int, sop_class: str) -> Dataset:
        made = dataset(
            SpecificCharacterSet=entry.SpecificCharacterSet,
            SOPClassUID=sop_class,
            SOPInstanceUID=f"1.2.826.0.1.3680043.9.78.{number}.{kind}",
            ContentDate=self.day,
            ContentTime=self.time,
            AccessionNumber=entry.AccessionNumber,
            Modality="SR" if sop_class == REPORT else "US",
            Manufacturer="Maker",
            ManufacturerModelName="Sono",
            PatientName=str(entry.PatientName),
            PatientID=entry.PatientID,
            DeviceSerialNumber="S1",
            SoftwareVersions="5.0",
            StudyInstanceUID=entry.StudyInstanceUID,
            SeriesInstanceUID=f"1.2.826.0.1.3680043.9.78.{number}.9{kind}",
        )
        if sop_class == LOOP:
            made.NumberOfFrames = 30
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return made


def _listed(link: Association, number: int) -> list[Dataset]:
    step = dataset(ScheduledProcedureStepID="", ScheduledStationAETitle="US_ROOM2")
    asked = dataset(
        AccessionNumber=f"E{number}",
        PatientName="",
        PatientID="",
        StudyInstanceUID="",
        RequestedProcedureID="",
        ScheduledProcedureStepSequence=[step],
    )
    return [found for status, found in link.send_c_find(asked, FIND) if status.Status in (0xFF00, 0xFF01) and found]


def _message(number: int, day: str) -> str:
    segments = (
        f"MSH|^~\\&|RIS|HOSP|BROKER|RAD|{day}0600||ORM^O01|M{number}|T|2.3.1||||||UNICODE UTF-8",
        f"PID|||P{number}^^^HOSP^MR||{NAME}||19700101|M",
        "PV1||O|US^2^1",
        f"ORC|NW|PL{number}^HIS|F{number}^RIS||SC||^^^{day}0900^^R",
        f"OBR|1|PL{number}|F{number}|USABD^US Abdomen^L||||||||||||||E{number}|RP{number}|S1||||US",
    )
    return "".join(f"{segment}\r" for segment in segments)


@contextmanager
def _pacs() -> Iterator[int]:
    ae, port = AE("PACS"), free_port()
    for sop_class in (STILL, LOOP, REPORT, ECHO):
        ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)])
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def _answering() -> Iterator[int]:
    """The console's own port, which answers C-ECHO."""
    ae, port = AE("US_ROOM2"), free_port()
    ae.add_supported_context(ECHO)
    server = ae.start_server(("127.0.0.1", port), block=False)
    try:
        yield port
    finally:
        server.shutdown()


def _open(checks: dict[str, Any]) -> set[str]:
    return {name for name, check in checks.items() if check["state"] not in ("passed", "not applicable")}


def test_a_device_proves_itself_by_its_own_traffic_and_an_impostor_earns_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _pacs() as pacs, _answering() as console:
        bench = Bench(tmp_path, pacs)
        for name, value in bench.variables.items():
            monkeypatch.setenv(name, value)
        with bench.environment.serving():
            bench.environment.register(DOCUMENT)
            bench.do("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(console))
            bench.environment.token = bench.environment.add_user("ann", "administrator")
            for number in (1, 2):
                bench.order(number)
            impostor(bench)
            bench.do("promote", "state", "us-room-2", "one_device", "--text", "a laptop on the bench, taken away")
            bench.at("20261123", "0910")
            bench.exam(1)
            assert {"soak", "verification_out", "largest_loop"} <= _open(bench.checks())
            bench.exam(2)
            bench.do("modality", "echo", "us-room-2")
            bench.at("20261124", "0905")
            bench.order(3)
            bench.exam(3)
            for check in ("largest_loop", "images_look_right", "measurements_right"):
                bench.do("promote", "state", "us-room-2", check, "--text", "seen on the workstation")
            wait_for("everything is delivered", bench.is_delivered)
            assert {name: bench.checks()[name]["text"] for name in _open(bench.checks())} == {}
            proven = bench.checks()
            assert proven["soak"]["text"] == "3 of 3 exams on 2 of 2 days"
            assert proven["one_device"]["text"] == "Maker Sono, serial S1, software 5.0, CONSOLE_1, at 127.0.0.1"
            bench.do("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", "104")
            assert "stale" in {check["state"] for check in bench.checks().values()}


def impostor(bench: Bench) -> None:
    """A laptop with the device's title does a whole exam from another address."""
    bench.order(9)
    bench.exam(9, address="127.0.0.2", version="LAPTOP")
    checks = bench.checks()
    assert "passed" not in {check["state"] for check in checks.values()}
    assert checks["one_device"]["state"] == "failed"
    assert "from 127.0.0.2, while it was bound to 127.0.0.1" in checks["still_image"]["text"]
