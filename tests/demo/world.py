"""One world of the demo: its environment, its PACS, its patient and order; every peer a process of its own."""

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.demo.screen import NotVerified
from tests.peers.broker import Environment, Serving, destination
from tests.peers.processes import end, run, running, wait_for

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "fixtures" / "dicom" / name
    for name in ("us-image-retired-rgb.dcm", "us-cine-jpeg-30-frames.dcm", "comprehensive-sr.dcm")
]
ORDER = (
    "MSH|^~\\&|RIS|GENERAL|BROKER|RADIOLOGY|{sent}||ORM^O01|{control_id}|{processing_id}|2.3.1||||||UNICODE UTF-8\r"
    "PID|||{patient_id}^^^GENERAL^MR||{patient_name}||{birth_date}|F\r"
    "PV1||O||||||7701^Refer^Rita^^^Dr.\r"
    "ORC|NW|P{number}^RIS|F{number}^RIS||SC||^^^{start}^^R\r"
    "OBR|1|P{number}|F{number}|USABD^Ultrasound of the abdomen^L||||||||||||7701^Refer^Rita||"
    "{accession_number}|RP{number}|SPS{number}||||US\r"
    "ZDS|{study_instance_uid}^RIS^Application^DICOM\r"
)


@dataclass(frozen=True, slots=True)
class Exam:
    """Whom and what the RIS orders; the keywords of DICOM."""

    number: int
    processing_id: str
    patient_name: str
    patient_id: str
    birth_date: str
    start: datetime

    @property
    def accession_number(self) -> str:
        return f"A{self.number}"

    @property
    def control_id(self) -> str:
        return f"MSG{self.number}"

    @property
    def study_instance_uid(self) -> str:
        return f"2.25.{self.start:%Y%m%d%H%M%S}{self.number}"

    def message(self, processing_id: str = "", control_id: str = "") -> bytes:
        """Return the ORM^O01."""
        text = ORDER.format(
            sent=f"{self.start:%Y%m%d%H%M%S%z}",
            start=f"{self.start:%Y%m%d%H%M}",
            number=self.number,
            processing_id=processing_id or self.processing_id,
            control_id=control_id or self.control_id,
            patient_id=self.patient_id,
            patient_name=self.patient_name,
            birth_date=self.birth_date,
            accession_number=self.accession_number,
            study_instance_uid=self.study_instance_uid,
        )
        return text.encode("utf-8")


@dataclass
class World:
    """One world, its processes and what was seen in it. `name` is the environment's."""

    name: str
    broker_title: str
    pacs_title: str
    exam: Exam
    folder: Path
    stack: ExitStack
    environment: Environment = field(init=False)
    serving: Serving | None = None
    items: list[dict[str, Any]] = field(default_factory=list)  # the worklist's answers, DICOM JSON
    sent: list[dict[str, Any]] = field(default_factory=list)  # what the ultrasound stored

    @property
    def pacs_log(self) -> Path:
        return self.folder / f"pacs-{self.name}.log"

    def start_pacs(self) -> None:
        """Start the PACS, and write the profile with it as the destination `main-pacs`."""
        command = [sys.executable, "-m", "tests.demo.pacs", "--ae-title", self.pacs_title]
        process = self.stack.enter_context(running(command, self.pacs_log, {"PYTHONPATH": str(ROOT)}))
        wait_for("the PACS listens", lambda: process.poll() is not None or self.pacs_said())
        if process.poll() is not None:
            raise NotVerified("the PACS listens", f"it ended with exit code {process.returncode}: see its log")
        port = self.pacs_said()[0]["port"]
        self.environment = Environment(
            self.folder, self.name, self.name, self.broker_title, destination("main-pacs", port, self.pacs_title)
        ).write()

    def serve(self) -> None:
        """Start `broker serve`; it ends with the demo, however that ends."""
        self.serving = self.environment.start()
        self.stack.callback(end, self.serving.process)
        self.stack.callback(self.serving.kill)

    def pacs_said(self) -> list[dict[str, Any]]:
        """Return every fact that the PACS has written so far."""
        lines = self.pacs_log.read_text("utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def received(self) -> list[dict[str, Any]]:
        """Return the instances that the PACS has received so far."""
        return [fact for fact in self.pacs_said() if fact["event"] == "received"]

    def ris(self, message: bytes) -> dict[str, Any]:
        """Let the RIS send a message; return its acknowledgement."""
        file = self.folder / f"{self.name}.hl7"
        file.write_bytes(message)
        return self._peer("ris", "--port", self.environment.ports["hl7"], file)

    def worklist(self, calling: str = "US_ROOM2") -> dict[str, Any]:
        """Let the ultrasound ask for its worklist of the day."""
        return self._ultrasound(calling, "worklist", "--date", f"{self.exam.start:%Y%m%d}")

    def store(self) -> dict[str, Any]:
        """Let the ultrasound make and store an exam for the worklist's item."""
        item = self.folder / f"item-{self.name}.json"
        item.write_text(json.dumps(self.items[0]), encoding="utf-8")
        return self._ultrasound(
            "US_ROOM2", "store", "--item", item, "--folder", self.folder / f"exam-{self.name}", *FILES
        )

    def _ultrasound(self, calling: str, *arguments: object) -> dict[str, Any]:
        port = self.environment.ports["dicom"]
        return self._peer("ultrasound", "--port", port, "--called", self.broker_title, "--calling", calling, *arguments)

    def _peer(self, program: str, *arguments: object) -> dict[str, Any]:
        command = [sys.executable, "-m", f"tests.demo.{program}", *map(str, arguments)]
        result = run(command, 30.0, PYTHONPATH=str(ROOT))
        log = self.folder / f"{program}-{self.name}.log"
        with log.open("a", encoding="utf-8") as file:
            file.write(result.stdout + result.stderr)
        if result.returncode:
            last = (result.stderr.strip().splitlines() or [""])[-1]
            raise NotVerified(f"the {program} does its work", f"it ended with exit code {result.returncode}: {last}")
        found: dict[str, Any] = json.loads(result.stdout)
        return found
