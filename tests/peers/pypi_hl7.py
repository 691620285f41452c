"""The PyPI package `hl7` in an environment of its own, since it shares our import name. `make peers` makes it."""

import json
import subprocess
from pathlib import Path

from tests.peers import install

_CLIENT = Path(__file__).with_name("pypi") / "client.py"


def python() -> Path:
    """Return the interpreter that imports it as `hl7`, and make its environment on first use."""
    assert install.install_pypi_packages() == 0, "hl7 of PyPI is missing: run 'make peers'"
    return install.PYPI / ".venv" / "bin" / "python"


def send(port: int, count: int, *, byte_by_byte: bool = False) -> list[tuple[str, str]]:
    """Send so many orders over one connection; return MSA-1 and MSA-2 of each answer as that package reads them."""
    asked = json.dumps({"port": port, "count": count, "byte_by_byte": byte_by_byte})
    command = [python(), "-I", _CLIENT]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [(code, control_id) for code, control_id in json.loads(done.stdout)["answers"]]
