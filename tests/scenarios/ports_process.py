"""The HL7 and DICOM ports as a process that may be killed hundreds of times: `python -m tests.scenarios.ports_process`.

What it needs is imported once; for each line on standard input (`BROKER_FAIL`'s value, then a trace file's path, both
may be empty) it forks a process that opens the database as if after a power cut, serves, and prints its ports. When
that has ended, by whatever signal, a line says so.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from broker import failpoints
from broker.clock import SystemClock
from broker.database import Database
from broker.dimse.acceptor import Server
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.journal import configure
from broker.listeners.dicom import Services
from broker.listeners.mllp import listen
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from tests import tables as _tables  # noqa: F401 - what a start imports is imported once

LIVES_AT_MOST = 300  # seconds, should nobody be left to end it
_PATIENCE = 20.0


def main() -> None:
    """Serve, once a line, until standard input closes."""
    profile = profiles.read(Path(sys.argv[1]))
    configure(profile.name, profile.colour)
    for line in sys.stdin:
        fail, _, trace = line.rstrip("\n").partition("\t")
        child = os.fork()
        if child == 0:
            _serve(profile, fail, trace)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


def _serve(profile: Profile, fail: str, trace: str) -> None:
    signal.alarm(LIVES_AT_MOST)
    os.environ |= {"BROKER_TEST_HOOKS": "1", "BROKER_FAIL": fail}
    if trace:
        os.environ["BROKER_FAIL_TRACE"] = trace
    failpoints.arm_from_environment()
    database, clock = Database(profile.database_url), SystemClock()
    flows = Flows(profile, database, RegistryCache(database), Spool(profile.state / "spool"), clock)
    hl7 = listen(profile.hl7, 0, flows, clock)
    dicom = Server("127.0.0.1", 0, Services(flows), clock)
    sys.setswitchinterval(0.0005)  # as app.py does
    print(os.getpid(), hl7.start(), dicom.start(), flush=True)
    signal.pause()
    os._exit(0)


# --- for the tests -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Serving:
    """One life of the ports."""

    process_id: int
    hl7: int
    dicom: int


class Ports:
    """Starts one life after the other."""

    def __init__(self, profile: Path) -> None:
        self._log = profile.with_suffix(".ports.log").open("ab")
        command = [sys.executable, "-m", "tests.scenarios.ports_process", str(profile)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._serving: Serving | None = None

    def start(self, fail: str = "", trace: Path | None = None) -> Serving:
        """Start one, with what is to fail in it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{fail}\t{trace or ''}\n")
        self._process.stdin.flush()
        self._serving = Serving(*map(int, self._line().split()))
        return self._serving

    def ended(self) -> int:
        """Wait for its end and return the exit code, the negative signal where it was killed."""
        word, code = self._line().split()
        assert word == "ended"
        self._serving = None
        return int(code)

    def kill(self) -> None:
        """SIGKILL the one that runs."""
        assert self._serving is not None
        os.kill(self._serving.process_id, signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL

    def close(self) -> None:
        """End everything."""
        if self._serving is not None:
            with suppress(ProcessLookupError):
                os.kill(self._serving.process_id, signal.SIGKILL)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE)
        self._process.stdout.close()
        self._log.close()

    def _line(self) -> str:
        output = self._process.stdout
        assert output is not None
        assert select.select([output], [], [], _PATIENCE)[0], "it says nothing"
        line = output.readline()
        assert line, Path(self._log.name).read_text()[-3000:]
        return line


@contextmanager
def ports(profile: Path) -> Iterator[Ports]:
    """The ports of a profile whose database is there, for the block."""
    made = Ports(profile)
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main()
