"""The product's HL7 intake as a process: `python -m tests.torture.hl7_server FOLDER [tls]` prints its ports.

Flows on a fresh SQLite database, the MLLP listener with the product's own limits; it serves until stdin closes.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired

from broker import failpoints
from broker.clock import SystemClock
from broker.database import sqlite_url
from broker.dimse import tls
from broker.dimse.tls import Certificates
from broker.environments import profile as profiles
from broker.journal import configure
from broker.listeners.mllp import listen
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from tests.peers import nursery
from tests.peers.certificates import Authority

_PROFILE = """\
name = "torture"
kind = "test"
site = "General Hospital"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 0
processing_ids = ["T", "D", "P"]
[[hl7.sources]]
name = "addressed"
sending_application = "ADDRESSED"
receiving_applications = ["BROKER", "MWL"]
receiving_facilities = ["HOSP", ""]
[dicom]
host = "127.0.0.1"
port = 0
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 0
"""


@dataclass(frozen=True)
class Served:
    """Where it listens, and which process it is."""

    folder: Path
    port: int
    tls_port: int
    process_id: int


def main() -> None:
    """Serve until standard input closes."""
    folder = Path(sys.argv[1])
    file = folder / "torture.toml"
    file.write_text(_PROFILE)
    profile = replace(profiles.read(file), database_url=sqlite_url(database_file(folder)))
    configure(profile.name, profile.colour)
    failpoints.arm_from_environment()
    database = open_database(profile)
    clock = SystemClock()
    flows = Flows(profile, database, RegistryCache(database), Spool(folder / "spool"), clock)
    server = listen(profile.hl7, 0, flows, clock)
    servers = [server] if len(sys.argv) < 3 else [server, listen(profile.hl7, 0, flows, clock, _contexts(folder))]
    sys.setswitchinterval(0.0005)  # as app.py does
    print(*(one.start() for one in servers), flush=True)
    sys.stdin.read()
    for one in servers:
        one.stop(1.0)
    database.close()


def _contexts(folder: Path) -> tls.Contexts:
    """Return contexts as a hospital has them; clients find theirs in the same folder."""
    hospital, stranger = Authority(folder, "hospital"), Authority(folder, "stranger")
    own = hospital.issue("broker")
    for name in ("ris", "other"):
        hospital.issue(name)
    stranger.issue("ris")
    return tls.server(Certificates(own.certificate, own.key, hospital.certificate))


def database_file(folder: Path) -> Path:
    """Return where the process keeps its database."""
    return folder / "broker.db"


def kept(folder: Path) -> set[str]:
    """Return the hashes of every message in the inbox: of its bytes, and of its payload without MSH-7."""
    with closing(sqlite3.connect(database_file(folder))) as connection:
        rows = connection.execute("SELECT sha256, payload_sha256 FROM inbox").fetchall()
    return {value for row in rows for value in row}


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Served]:
    """Run it; give its ports and process id. With the option "tls" there is a TLS port too."""
    with (folder / "log").open("ab") as log:
        words = [str(folder), *options]
        process = nursery.program("tests.torture.hl7_server", words, log, environment, takes_input=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()[-2000:]
        ports = [*map(int, line.split()), 0]
        yield Served(folder, ports[0], ports[1], process.pid)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    main()
