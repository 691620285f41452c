"""The product as an operator runs it: `broker` as a process, with a profile of the test's own."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from broker.cli import main
from broker.database import Database, sqlite_url
from broker.delivery import store
from broker.delivery.model import Delivery
from broker.spool.segments import FOLDER, PACKED, TAKEN, WRITTEN
from tests.peers import nursery
from tests.peers.dcmtk import Node
from tests.peers.migrated import make_state
from tests.peers.processes import free_port, run

COMMAND = nursery.BROKER

MODALITY = """\
name = "us-room-2"
description = "Ultrasound, room 2"
modality = "US"
ae_titles = ["US_ROOM2"]
stations = ["US_ROOM2"]
station_name = "USROOM2"
location = "RADIOLOGY US2"
"""


@dataclass
class Environment:
    """One environment in a folder of its own: writes the profile, runs commands against it, serves it."""

    folder: Path
    name: str = "test"
    kind: str = "test"
    ae_title: str = "BROKER_TEST"
    hl7_keys: str = ""  # TOML that follows the keys of [hl7]
    dicom_keys: str = ""  # TOML that follows the keys of [dicom]
    destinations: str = ""  # TOML, [[destinations]] and [[routes]]
    policy: str = 'unknown_callers = "reject"'
    database_url: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    is_installed: bool = False  # `serve` is the installed command, even where programs are forked
    token: str = ""  # of whom the commands are; without one they are the operating-system user's

    @property
    def profile(self) -> Path:
        return self.folder / f"{self.name}.toml"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def dicom(self) -> Node:
        return Node(self.ports["dicom"], self.ae_title)

    def write(self) -> "Environment":
        """Write the profile; the ports are as they were before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.is_installed or self.database_url):
            make_state(self.folder / f"state-{self.name}")
        database = f'[database]\nurl = "{self.database_url}"\n' if self.database_url else ""
        port = self.ports = {noun: free_port() for noun in ("hl7", "dicom", "http")} | self.ports
        self.profile.write_text(
            f'name = "{self.name}"\nkind = "{self.kind}"\nsite = "General Hospital"\ntimezone = "Europe/Berlin"\n'
            f'state = "state-{self.name}"\n{database}'
            f'[hl7]\nhost = "127.0.0.1"\nport = {port["hl7"]}\n{self.hl7_keys}\n'
            f'[dicom]\nhost = "127.0.0.1"\nport = {port["dicom"]}\nae_title = "{self.ae_title}"\n'
            f"{self.dicom_keys}\n"
            f'[http]\nhost = "127.0.0.1"\nport = {port["http"]}\n'
            f"[policy]\n{self.policy}\n{self.destinations}\n"
        )
        return self

    def command(self, *arguments: str | Path, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run `broker ARGUMENTS --env <this>`."""
        return commanded([str(word) for word in (*arguments, "--env", self.profile)], self.token, seconds)

    def add_user(self, name: str, role: str) -> str:
        """Add a user and return the token."""
        result = self.command("user", "add", name, "--role", role, "--json")
        assert result.returncode == 0, result.stderr
        return str(json.loads(result.stdout)["token"])

    def ask(self, *arguments: str | Path) -> Any:
        """Run a listing with --json and return what it printed, once what was received is in it."""
        self.await_index()
        result = self.command(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def deliveries(self) -> list[Delivery]:
        """Return every delivery from the environment's database, for waits: a command takes a second of start.

        What was answered before is among them: the index follows the spool a moment later.
        """
        self.await_index()
        database = Database(self.database_url or sqlite_url(self.folder / f"state-{self.name}" / "broker.db"))
        try:
            with database.read() as tx:
                return store.deliveries(tx, None, limit=100_000)
        finally:
            database.close()

    def await_index(self, seconds: float = 5.0) -> None:
        """Wait until the index has read what is durable in the spool; where nothing serves, not for ever."""
        folder = self.folder / f"state-{self.name}" / "spool" / FOLDER
        deadline = time.monotonic() + seconds
        while (folder / WRITTEN).exists() and time.monotonic() < deadline:
            written, taken = ((folder / name).read_bytes()[:PACKED] for name in (WRITTEN, TAKEN))
            if written == taken:
                return
            time.sleep(0.02)

    def register(self, document: str = MODALITY) -> None:
        """Apply a modality document."""
        file = self.folder / "modality.toml"
        file.write_text(document)
        options = ["--break-glass", "--why", "test of the product"] if self.kind == "production" else []
        if options and not self.token:
            self.token = self.add_user("admin", "administrator")
        result = self.command("modality", "apply", file, *options)
        assert result.returncode == 0, result.stderr

    @contextmanager
    def serving(self, seconds: float = 20.0, **environment: str) -> Iterator["Serving"]:
        """Run `broker serve` for the block; at its end it is told to stop and must do so with exit code 0."""
        serving = self.start(seconds, **environment)
        try:
            yield serving
        except BaseException:
            serving.kill()
            raise
        else:
            serving.stop()

    def start(self, seconds: float = 20.0, **environment: str) -> "Serving":
        """Start `broker serve` and wait until it says that it is ready."""
        serving = Serving(self, environment)
        self.ports = serving.wait_ready(seconds)
        return serving


def destination(name: str, port: int, ae_title: str = "PACS", keys: str = "") -> str:
    """Return the TOML of a DIMSE destination, with further `keys`, to which everything is routed."""
    return (
        f'[[destinations]]\nname = "{name}"\nprotocol = "dimse"\nhost = "127.0.0.1"\nport = {port}\n'
        f'ae_title = "{ae_title}"\n{keys}\n[[routes]]\nto = ["{name}"]\n'
    )


class Serving:
    """A `broker serve` that runs."""

    def __init__(self, environment: Environment, variables: Mapping[str, str]) -> None:
        self._log = environment.log.open("ab")
        self.started = time.monotonic()
        start = nursery.started if environment.is_installed else nursery.program
        self.process = start("broker", ["serve", "--env", str(environment.profile)], self._log, variables)
        self._environment = environment

    def wait_ready(self, seconds: float) -> dict[str, int]:
        """Return the ports of the ready line."""
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        watchdog.cancel()
        self.ready_seconds = time.monotonic() - self.started
        if not line.startswith("ready "):
            self.kill()
            raise AssertionError(f"not ready: {line!r}; {self._environment.log.read_text()[-3000:]}")
        self.ready_processor_seconds = _processor_seconds(self.process.pid)
        ports: dict[str, int] = json.loads(line.removeprefix("ready "))
        return ports

    def stop(self, seconds: float = 40.0) -> None:
        """SIGTERM; it must end by itself with exit code 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        finally:
            self.kill()
        assert code == 0, f"exit code {code}: {self._environment.log.read_text()[-3000:]}"

    def kill(self) -> None:
        """SIGKILL to all of it, as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._log.close()


def _processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used (proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def commanded(words: Sequence[str], token: str = "", seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `broker WORDS` as the person whose token it is."""
    if _needs_a_process():
        return run([*COMMAND, *words], seconds, BROKER_TOKEN=token)
    return _ran_here(words, token)


def _needs_a_process() -> bool:
    """Tell whether a command may not run in this process: it would end it, or write over another one's output."""
    armed = {"BROKER_FAIL", "BROKER_FAIL_TRACE"} & os.environ.keys()
    return bool(armed) or threading.current_thread() is not threading.main_thread()


def _ran_here(words: Sequence[str], token: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the two seconds that a process of its own takes to start; it is the same code."""
    result = CliRunner(env={"BROKER_TOKEN": token}).invoke(main, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(list(words), result.exit_code, result.stdout, result.stderr)
