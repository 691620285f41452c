"""`python -m tests.bench.orders [--quick]`: durable, acknowledged orders a second, against parsers that keep nothing.

Each AA follows a committed, synced transaction, after which the worklist answers with the order; the same messages
are merely parsed by hl7apy and by the PyPI package `hl7` in the same run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers import pypi_hl7
from tests.peers.broker import Environment
from tests.peers.dcmtk import findscu
from tests.peers.processes import run

GOALS = {1: 300, 16: 800}

_MESSAGE = (
    "MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131102233+0100||ORM^O01|{control}|T|2.3.1||||||8859/1\r"
    "PID|||{patient}^^^HOSP&1.2.3&ISO^MR||M\xfcller^Eva^M^Jr^Dr||19800229|F|||Weg 1^^Ort^^12345||0123 456\r"
    "PV1||O|US^2^1|||||77^Refer^Rita|||||||||||V{number}^^^HOSP\r"
    "ORC|NW|P{number}^HIS|F{number}^RIS||SC||^^^20260201093000^^S||20260131102200|||16^Order^Olga\r"
    "OBR|1|P{number}^HIS|F{number}^RIS|USABD^Abdomen US^L^USLIV^Liver^L||||||||||||16^Order^Olga||{accession}"
    "|RP{number}|S1||||US||||||WALK|^Pain RUQ\r"
    "ZDS|1.2.826.0.1.3680043.9.7.{number}^100^Application^DICOM\r"
)


@dataclass(frozen=True)
class Sent:
    """What one run of senders saw, and what it took: a busy machine is not slow code."""

    orders: int
    seconds: float
    waits: list[float]  # milliseconds, sorted
    cpu: float  # seconds of the broker's processes
    others: float  # cores that neither the broker nor the senders had

    @property
    def rate(self) -> float:
        return self.orders / self.seconds

    def percentile(self, share: float) -> float:
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * share))]


def message(number: int) -> bytes:
    """Return one order of a patient of its own."""
    text = _MESSAGE.format(control=f"C{number}", patient=f"4{number}", number=number, accession=f"A{number}")
    return text.encode("latin-1")


def main() -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.orders", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    count = 200 if parser.parse_args().quick else 2000
    parsed = {name: _parsed(name, count // 4) for name in ("hl7apy", "hl7")}
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder)).write()
        environment.register()
        with environment.serving() as serving:
            broker, start = serving.process.pid, serving.ready_processor_seconds
            _send(environment, broker, Path(folder) / "warm", range(1_000_000, 1_000_096), 16)
            found = {}
            for connections in GOALS:
                numbers = range(first := connections * 10_000_000, first + count)
                found[connections] = _send(environment, broker, Path(folder) / f"n{connections}", numbers, connections)
            accession = f"A{16 * 10_000_000 + found[16].orders - 1}"
            keys = [f"AccessionNumber={accession}", "ScheduledProcedureStepSequence[0].Modality=US"]
            answered = findscu(environment.dicom, "US_ROOM2", keys)
            seen = "Find Response: 1 (Pending)" in answered.stdout + answered.stderr
    _show(found, parsed)
    print(f"ready after {start:.1f} s of processor time, {start / _loading():.1f} times that of its libraries alone")
    print(f"the order of the last acknowledgement is on the next worklist query: {'yes' if seen else 'NO'}")
    return 0 if seen else 1


def _send(environment: Environment, broker: int, folder: Path, numbers: range, connections: int) -> Sent:
    """Send orders to the broker, the session of whose processes is given, an equal share over each connection."""
    folder.mkdir()
    share = len(numbers) // connections
    for connection in range(connections):
        own = numbers[connection * share : (connection + 1) * share]
        frames = b"".join(b"\x0b" + message(number) + b"\x1c\r" for number in own)
        (folder / f"{connection:03d}").write_bytes(frames)
    command = [sys.executable, "-m", "tests.bench.ris", str(environment.ports["hl7"]), str(folder)]
    begun, before = time.monotonic(), (_cpu(broker), _senders_cpu(), _machine_cpu())
    done = run(command, 600)
    took = [now - then for now, then in zip((_cpu(broker), _senders_cpu(), _machine_cpu()), before, strict=True)]
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["codes"] == {"AA": share * connections}, said["codes"]
    others = max(0.0, (took[2] - took[1] - took[0]) / (time.monotonic() - begun))
    return Sent(share * connections, said["seconds"], said["waits"], took[0], others)


def _cpu(session: int) -> float:
    """Return the CPU seconds that the processes of a session have had, user and system."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _senders_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _machine_cpu() -> float:
    """Return the CPU seconds that all cores were busy: idle and waiting for disks are columns 4 and 5."""
    columns = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(columns) - columns[3] - columns[4]) / os.sysconf("SC_CLK_TCK")


def _parsed(name: str, count: int) -> float:
    """Return messages a second that a parser takes apart, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "messages"
        file.write_bytes(b"\x1c".join(message(number) for number in range(count)))
        python = Path(sys.executable) if name == "hl7apy" else pypi_hl7.python()
        done = subprocess.run(
            [python, Path(__file__).with_name("parse.py"), name, file], capture_output=True, text=True, check=True
        )
    return count / float(done.stdout)


def _loading() -> float:
    """Return the processor seconds that the libraries of a start alone take to load."""
    code = "import apscheduler, click, pydicom, pynetdicom, sqlmodel, structlog, time; print(time.process_time())"
    return min(float(run([sys.executable, "-c", code], 60).stdout) for _ in range(3))


def _show(found: dict[int, Sent], parsed: dict[str, float]) -> None:
    columns = _columns(["CPU/order", "others", *(f"/ {name}" for name in parsed)])
    print(f"{'connections':<12}{'orders/s':>9}{'p50':>10}{'p99':>10}{columns}  goal")
    for connections, sent in found.items():
        cost = _columns([f"{sent.cpu / sent.orders * 1000:.2f} ms", f"{sent.others:.1f} cores"])
        ratios = _columns([f"{sent.rate / rate:.1f} x" for rate in parsed.values()])
        goal = GOALS[connections]
        verdict = f"{goal}/s: {'reached' if sent.rate >= goal else 'NOT reached'}"
        waits = f"{sent.percentile(0.5):>7.2f} ms{sent.percentile(0.99):>7.2f} ms"
        print(f"{connections:<12}{sent.rate:>9.0f}{waits}{cost}{ratios}  {verdict}")
    for name, rate in parsed.items():
        print(f"{name} merely parses {rate:.0f} messages a second")


def _columns(texts: Sequence[str]) -> str:
    return "".join(f"{text:>12}" for text in texts)


if __name__ == "__main__":
    begun = time.monotonic()
    code = main()
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(code)
