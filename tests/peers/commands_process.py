"""Commands as processes that may be killed anywhere: `python -m tests.peers.commands_process`.

The product is imported once; for each line on standard input (JSON: words, variables) it forks a process that runs
`broker` with these words, and says how it ended (the exit code, or the negative signal) and what it wrote.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from broker.cli import main as broker
from broker.cli import promote as _promote  # noqa: F401 - what a command imports is imported once
from tests import tables as _tables  # noqa: F401 - likewise

_PATIENCE = 30.0


def main() -> None:
    """Run one command a line, until standard input closes."""
    for line in sys.stdin:
        words, variables = json.loads(line)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), sys.stdout.fileno())
                os.dup2(errors.fileno(), sys.stderr.fileno())
                _run(words, variables)
            _, status = os.waitpid(child, 0)
            said = [_written(stream) for stream in (output, errors)]
        print(json.dumps([os.waitstatus_to_exitcode(status), *said]), flush=True)


def _run(words: list[str], variables: dict[str, str]) -> None:
    os.environ |= variables
    code = 1
    try:
        broker(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _written(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")


class Commands:
    """Runs one command after the other."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        command = [sys.executable, "-m", "tests.peers.commands_process"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._turn = threading.Lock()

    def run(self, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `broker WORDS` with these variables; the exit code is negative for the signal that killed it."""
        asked = [str(word) for word in words]
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps((asked, variables)) + "\n")
            self._process.stdin.flush()
            assert select.select([self._process.stdout], [], [], _PATIENCE)[0], "it does not end"
            line = self._process.stdout.readline()
        assert line, Path(self._log.name).read_text()[-3000:]
        code, output, errors = json.loads(line)
        return subprocess.CompletedProcess(asked, code, output, errors)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE)
        self._process.stdout.close()
        self._log.close()


@contextmanager
def commands(log: Path) -> Iterator[Commands]:
    """Commands, for the block."""
    made = Commands(log)
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main()
