"""A PostgreSQL cluster of the test run's own, in a temporary folder on a free loopback port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.processes import free_port


@contextmanager
def cluster() -> Iterator[str]:
    """Run a server for the block and give the SQLAlchemy URL of its database `postgres`, without the database name."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="broker-pg-"))
    data = folder / "data"
    port = free_port()
    as_postgres = _as_unprivileged(folder)
    _run([*as_postgres, binaries / "initdb", "-D", data, "-U", "broker", "-A", "trust", "-E", "UTF8", "--no-sync"])
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(part) for part in [*as_postgres, binaries / "postgres", "-D", data, "-p", port, "-k", folder]]
            + ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        _run([binaries / "pg_isready", "-h", "127.0.0.1", "-p", port, "-t", "20"], tries=100)
        yield f"postgresql+psycopg://broker@127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "PostgreSQL is missing: apt-get install postgresql"
    return found[-1].parent


def _as_unprivileged(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: become `postgres` then."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _run(command: list[object], tries: int = 1) -> None:
    for left in range(tries - 1, -1, -1):
        result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return
        if left == 0:
            raise AssertionError(f"{command[0]}: {result.stdout}{result.stderr}")
