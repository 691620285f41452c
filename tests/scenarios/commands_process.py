"""Commands as processes that may be killed anywhere: `python -m tests.scenarios.commands_process`.

The product is imported once; for each line on standard input (JSON: words, variables) it forks a process that runs
`broker` with these words, and says how it ended: the exit code, or the negative signal.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.cli import main as broker
from broker.cli import promote as _promote  # noqa: F401 - what a command imports is imported once
from tests import tables as _tables  # noqa: F401 - likewise

_PATIENCE = 30.0


def main() -> None:
    """Run one command a line, until standard input closes."""
    for line in sys.stdin:
        words, variables = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(words, variables)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(words: list[str], variables: dict[str, str]) -> None:
    os.environ |= variables
    sys.stdout = sys.stderr
    code = 1
    try:
        broker(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stderr.flush()
        os._exit(code)


class Commands:
    """Runs one command after the other."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        command = [sys.executable, "-m", "tests.scenarios.commands_process"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def run(self, *words: str, **variables: str) -> int:
        """Run `broker WORDS` with these variables; return the exit code, negative for the signal that killed it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps((words, variables)) + "\n")
        self._process.stdin.flush()
        assert select.select([self._process.stdout], [], [], _PATIENCE)[0], "it does not end"
        line = self._process.stdout.readline()
        assert line, Path(self._log.name).read_text()[-3000:]
        return int(line)

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
