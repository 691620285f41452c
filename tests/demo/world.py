"""One world of the demo: its environment, its PACS, its patient and order; every peer a process of its own."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.demo.screen import NotVerified
from tests.peers.broker import MODALITY, Environment, Serving, destination
from tests.peers.commands_process import Commands
from tests.peers.processes import end, run, running, wait_for

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "fixtures" / "dicom" / name
    for name in ("us-image-retired-rgb.dcm", "us-cine-jpeg-30-frames.dcm", "comprehensive-sr.dcm")
]
DEVICE = "us-room-2"
DOCUMENT = MODALITY + "\n[makes]\nreport = true\n"
# The default asks for three exams on two days; nobody waits for a demo that long.
SOAK = "[promotion]\nsoak_exams = 1\nsoak_days = 1\n"
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


def ultrasound_listens(folder: Path, stack: ExitStack) -> int:
    """Start the console's own port, which answers C-ECHO; return it."""
    log = folder / "ultrasound.log"
    unused = ("--port", "0", "--called", "NOBODY", "--calling", "US_ROOM2")
    command = [sys.executable, "-m", "tests.demo.ultrasound", *unused, "listen"]
    process = stack.enter_context(running(command, log, {"PYTHONPATH": str(ROOT)}))
    wait_for("the ultrasound listens", lambda: process.poll() is not None or log.read_text().endswith("}\n"))
    if process.poll() is not None:
        raise NotVerified("the ultrasound listens", f"it ended with exit code {process.returncode}: see its log")
    return int(json.loads(log.read_text())["port"])


@dataclass
class World:
    """One world, its processes and what was seen in it. `name` is the environment's."""

    name: str
    broker_title: str
    pacs_title: str
    exam: Exam
    folder: Path
    stack: ExitStack
    commands: Commands  # runs `broker` commands as processes
    token: str = ""  # of ann, who configures it
    eve: str = ""  # the token of who approves
    request: str = ""  # for promotion, as the commands take it
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
        # It keeps nothing, and so cannot prove that it does.
        pacs = destination("main-pacs", port, self.pacs_title, 'proof = "none"\n')
        profile = Environment(self.folder, self.name, self.name, self.broker_title, pacs + SOAK, is_installed=True)
        self.environment = profile.write()

    def broker(self, *words: str | Path, code: int = 0, token: str | None = None) -> str:
        """Run `broker WORDS` as who configures it, or as another; return what it says. It must end with this code."""
        result = self.commands.run(*words, BROKER_TOKEN=self.token if token is None else token)
        said = (result.stdout + result.stderr).strip()
        if result.returncode != code:
            raise NotVerified(f"exit code {code} of broker {' '.join(map(str, words[:3]))}", said)
        return said if code else result.stdout.strip()

    def here(self, *words: str | Path) -> str:
        """Run `broker WORDS --env` of this environment likewise."""
        return self.broker(*words, "--env", self.environment.profile)

    def ask(self, *words: str) -> Any:
        """Run a listing and return what it prints as JSON."""
        self.environment.await_index()
        return json.loads(self.here(*words, "--json"))

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

    def store(self, files: Sequence[Path] = tuple(FILES), *, begin: bool = True, end: bool = True) -> dict[str, Any]:
        """Let the ultrasound make and store an exam for the worklist's item, or the first or the last part of it."""
        item = self.folder / f"item-{self.name}.json"
        item.write_text(json.dumps(self.items[0]), encoding="utf-8")
        parts = [flag for flag, is_given in (("--begin", begin), ("--end", end)) if is_given]
        place = ("--item", item, "--folder", self.folder / f"exam-{self.name}")
        return self._ultrasound("US_ROOM2", "store", *place, *parts, *files)

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
