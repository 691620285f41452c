"""Two days of a device: registered in Test, it proves itself by its own traffic in three exams, while an impostor earns
nothing; planned, approved by another, applied, its images in the PACS of Production; rolled back in the middle of an
exam. Every step by the running product and its command line, DCMTK, Orthanc and a simulated console."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association

from broker.delivery.model import DeliveryState
from tests.peers import dcmtk
from tests.peers.broker import MODALITY, Environment, commanded, destination
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.processes import free_port, program, run, wait_for
from tests.peers.steady import steady
from tests.unit.procedures.building import creation, dataset, ending, item

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.timeout(300)]

STILL, LOOP, REPORT = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("6.1", "3.1", "88.33"))
FIND, STEP, ECHO = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.1"
ZONE = ZoneInfo("Europe/Berlin")
NAME = "Müller^Jürgen"
DOCUMENT = MODALITY + "\n[makes]\nreport = true\n"
COMMITTING = DOCUMENT + '[commitment]\nasks = true\nmode = "stored"\n'
PUSH, PUSH_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
KEYS = ("AccessionNumber={}", "PatientName", "PatientID", "StudyInstanceUID", "ScheduledProcedureStepSequence")


@cache
def dcmtk_s_version() -> str:
    """DCMTK is part of the device, as in many a console: it says the same of itself."""
    found = re.search(r"v(\d+\.\d+\.\d+)", run([program("echoscu", "dcmtk"), "--version"]).stdout)
    assert found
    return found[1]


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
        message = _message(number, self.day).replace("|T|2.3.1", f"|{self.environment.kind[0].upper()}|2.3.1")
        file.write_bytes(message.encode())
        self.do("order", "send", str(file))

    @contextmanager
    def calling(self, address: str = "127.0.0.1", **implementation: str) -> Iterator[Association]:
        """An association from the console, or from somebody who uses its title."""
        ae = AE("US_ROOM2")
        ae.implementation_class_uid = UID(f"1.2.276.0.7230010.3.0.{dcmtk_s_version()}")
        ours = f"OFFIS_DCMTK_{dcmtk_s_version().replace('.', '')}"
        ae.implementation_version_name = implementation.get("version", ours)
        for sop_class in (ECHO, FIND, STEP, STILL, LOOP, REPORT, PUSH):
            ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
        node = self.environment.dicom
        link = steady(ae.associate("127.0.0.1", node.port, ae_title=node.ae_title, bind_address=(address, 0)))
        assert link.is_established
        yield link
        link.release()

    def exam(self, number: int, middle: Callable[[], None] = lambda: None, **who: str) -> None:
        """One whole exam: worklist, MPPS, still, loop, report; `middle` happens after the still image."""
        with self.calling(**who) as link:
            assert link.send_c_echo().Status == 0
            (entry,) = _listed(link, number)
            step = self._begin(link, entry, number)
            for kind, sop_class in enumerate((STILL, LOOP, REPORT)):
                assert link.send_c_store(self._image(entry, number, kind, sop_class)).Status == 0
                if sop_class == STILL:
                    middle()
            assert link.send_n_set(ending(), STEP, step)[0].Status == 0

    def exam_by_dcmtk(self, number: int) -> None:
        """Likewise, but that DCMTK verifies, asks and stores."""
        node, title = self.environment.dicom, "US_ROOM2"
        assert dcmtk.echoscu(node, title).returncode == 0
        assert f"E{number}" in dcmtk.findscu(node, title, [key.format(f"E{number}") for key in KEYS]).stderr
        with self.calling() as link:
            (entry,) = _listed(link, number)
            step = self._begin(link, entry, number)
            files = []
            for kind, sop_class in enumerate((STILL, LOOP, REPORT)):
                files.append(self.environment.folder / f"{number}.{kind}.dcm")
                self._image(entry, number, kind, sop_class).save_as(files[-1], enforce_file_format=True)
            assert dcmtk.dcmsend(node, title, files).returncode == 0
            assert link.send_n_set(ending(), STEP, step)[0].Status == 0

    def commit(self, number: int) -> None:
        """The console asks whether what it sent is kept, and hears of it on its own port."""
        asked = dataset(
            TransactionUID=f"1.2.826.0.1.3680043.9.79.{number}",
            ReferencedSOPSequence=[
                dataset(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=_uid(number, kind))
                for kind, sop_class in enumerate((STILL, LOOP, REPORT))
            ],
        )
        with self.calling() as link:
            assert link.send_n_action(asked, 1, PUSH, PUSH_INSTANCE)[0].Status == 0
        state = wait_for("it is told", lambda: self.checks()["storage_commitment"]["state"] == "passed")
        assert state

    def _begin(self, link: Association, entry: Dataset, number: int) -> str:
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
        return uid

    def _image(self, entry: Dataset, number: int, kind: int, sop_class: str) -> Dataset:
        made = dataset(
            SpecificCharacterSet=entry.SpecificCharacterSet,
            SOPClassUID=sop_class,
            SOPInstanceUID=_uid(number, kind),
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


def _uid(number: int, kind: int) -> str:
    return f"1.2.826.0.1.3680043.9.78.{number}.{kind}"


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
    """The console's own port, which answers C-ECHO and takes reports of what is kept."""
    ae, port = AE("US_ROOM2"), free_port()
    ae.add_supported_context(ECHO)
    ae.add_supported_context(PUSH, scu_role=True, scp_role=True)
    reports = [(evt.EVT_N_EVENT_REPORT, lambda _: (0x0000, None))]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=reports)
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
            bench.environment.register(COMMITTING)
            bench.do("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(console))
            bench.environment.token = bench.environment.add_user("ann", "administrator")
            for number in (1, 2):
                bench.order(number)
            impostor(bench)
            bench.do("promote", "state", "us-room-2", "one_device", "--text", "a laptop on the bench, taken away")
            bench.at("20261123", "0910")
            bench.exam(1)
            assert {"soak", "verification_out", "largest_loop", "storage_commitment"} <= _open(bench.checks())
            bench.exam_by_dcmtk(2)
            bench.do("modality", "echo", "us-room-2")
            bench.at("20261124", "0905")
            bench.order(3)
            bench.exam(3)
            bench.commit(3)
            for check in ("largest_loop", "images_look_right", "measurements_right"):
                bench.do("promote", "state", "us-room-2", check, "--text", "seen on the workstation")
            wait_for("everything is delivered", bench.is_delivered)
            assert {name: bench.checks()[name]["text"] for name in _open(bench.checks())} == {}
            proven = bench.checks()
            assert proven["soak"]["text"] == "3 of 3 exams on 2 of 2 days"
            assert proven["one_device"]["text"].startswith("Maker Sono, serial S1, software 5.0, OFFIS_DCMTK_")
            with orthanc(tmp_path / "orthanc") as production_pacs:
                promoted(bench, production_pacs)
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


def promoted(bench: Bench, pacs: Orthanc) -> None:
    """What was proven goes live with a second pair of eyes, and comes back in the middle of an exam."""
    live = Environment(
        bench.environment.folder,
        "production",
        "production",
        "BROKER",
        destinations=destination("main-pacs", pacs.port, pacs.ae_title, keys='proof = "none"\n'),
    ).write()
    live.token = ann = live.add_user("ann", "administrator")
    eve = live.add_user("eve", "approver")
    sides = ("us-room-2", "--from", str(bench.environment.profile), "--to", str(live.profile))
    with live.serving():
        plan = _broker("promote", "plan", *sides, "--json", token=ann)
        made = json.loads(plan.stdout)
        assert (plan.returncode, made["ready"]) == (0, True), [c for c in made["checks"] if c["state"] != "passed"]
        assert (made["source"]["life"], made["target"]["life"]) == ("ready", "draft")
        bench.at("20261124", "0910")
        asked = _broker("promote", "request", *sides, "--why", "tested", "--json", token=ann)
        assert asked.returncode == 0, asked.stderr
        id_ = f"{live.profile}/{json.loads(asked.stdout)['id'].rpartition('/')[2]}"
        assert "this needs approver" in _broker("promote", "approve", id_, token=ann).stderr
        assert "not approved" in _broker("promote", "apply", id_, token=ann).stderr
        bench.at("20261124", "0911")
        assert _broker("promote", "approve", id_, token=eve).returncode == 0
        applied = _broker("promote", "apply", id_, token=ann)
        assert applied.returncode == 0, applied.stderr
        exported = [each.command("modality", "export", "us-room-2").stdout for each in (bench.environment, live)]
        assert exported[0] == exported[1]
        assert _broker("promote", "plan", *sides, "--json", token=ann).stdout.count('"field"') == 0
        front = copy(bench)  # the console, set to Production
        front.environment = live
        for number in (7, 8):
            front.order(number)
        front.exam(7)
        wait_for("its images are in the PACS", lambda: _kept(pacs) == {_uid(7, kind) for kind in range(3)})
        front.exam(8, middle=partial(rolled_back, front))
        of_both = {_uid(number, kind) for number in (7, 8) for kind in range(3)}
        wait_for("the exam that was open is in the PACS, whole", lambda: _kept(pacs) == of_both)
        packet = live.folder / "packet.html"
        assert _broker("promote", "packet", id_, "--out", str(packet), token=ann).returncode == 0
        assert (
            "the very same" in _broker("promote", "verify", str(packet), "--env", str(live.profile), token=ann).stdout
        )


def rolled_back(front: Bench) -> None:
    """The device gets no new item any more; the exam that is open goes on."""
    live = front.environment
    back = live.command("promote", "rollback", "us-room-2", "--why", "the probe is broken")
    assert "is suspended" in back.stdout, back.stderr
    front.order(6)
    with front.calling() as link:
        assert _listed(link, 6) == []
    whats = [line["what"] for line in live.ask("promote", "history", "us-room-2")]
    assert (whats[0], whats[-1]) == ("suspended", "applied")


def _kept(pacs: Orthanc) -> set[str]:
    """What the PACS has, by SOP Instance UID."""
    return {each["MainDicomTags"]["SOPInstanceUID"] for each in pacs.get("/instances?expand")}


def _broker(*words: str, token: str) -> subprocess.CompletedProcess[str]:
    return commanded(words, token)
