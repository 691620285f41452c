"""Install what the tests talk to, when it is missing and the user may: Debian packages; npm's and PyPI's beside us.

Run by `make peers`, before the virtual environment is used; standard library only. A package that is missing and
cannot be installed is a failure that names it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# What a package gives us -> the package.
PACKAGES = {
    "storescp": "dcmtk",
    "/usr/sbin/Orthanc": "orthanc",
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so": "orthanc-dicomweb",
    "/usr/lib/postgresql/*/bin/initdb": "postgresql",
    "node": "nodejs",
    "npm": "npm",
    "/usr/sbin/haproxy": "haproxy",
    "chromium": "chromium",
    "pdftotext": "poppler-utils",
    "strace": "strace",
    "/usr/sbin/mkfs.ext4": "e2fsprogs",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf": "fonts-droid-fallback",
}
NPM = Path(__file__).with_name("npm")  # package.json and its lock; what they name is installed beside them
STAMP = NPM / "node_modules" / ".lock-sha256"
PYPI = Path(__file__).with_name("pypi")  # requirements.txt; what it names is installed into an environment beside it
PYPI_STAMP = PYPI / ".venv" / ".requirements-sha256"


def missing() -> list[str]:
    """Return the packages that are not there."""
    return [package for thing, package in PACKAGES.items() if not _is_there(thing)]


def _is_there(thing: str) -> bool:
    if not thing.startswith("/"):
        return shutil.which(thing) is not None
    return any(Path("/").glob(thing.lstrip("/")))


def main() -> int:
    """Install what is missing; return the exit code."""
    return _install_debian_packages() or _install_npm_packages() or install_pypi_packages()


def install_pypi_packages() -> int:
    """Install what the requirements name into an environment of its own, unless it has been; return the exit code."""
    requirements = PYPI / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if PYPI_STAMP.is_file() and PYPI_STAMP.read_text() == wanted:
        return 0
    print("installing for the tests: hl7 from PyPI", flush=True)
    environment = PYPI / ".venv"
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(environment)], [*pip, "-r", str(requirements)]):
        code, said = _run(command, os.environ)
        if code:
            print(said)
            print(f"cannot install hl7 from PyPI: '{' '.join(command)}' failed")
            return 1
    PYPI_STAMP.write_text(wanted)
    return 0


def _install_npm_packages() -> int:
    """Install what the lock names, unless it has been; then npm and the network are not asked at all."""
    wanted = hashlib.sha256((NPM / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return 0
    print("installing for the tests: dcmjs-dimse, node-hl7-client and simple-hl7 from npm", flush=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    code, said = _run(command, os.environ, NPM)
    if code:
        print(said)
        print(f"cannot install npm's packages: run '{' '.join(command)}' in {NPM}")
        return 1
    STAMP.write_text(wanted)
    return 0


def _install_debian_packages() -> int:
    packages = missing()
    if not packages:
        return 0
    print("installing for the tests:", ", ".join(packages), flush=True)
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
        code, said = _run([*prefix, *command], environment)
        if code:
            print(said)
            print(f"cannot install {', '.join(missing())}: run 'apt-get install {' '.join(missing())}' as root")
            return 1
    still = missing()
    if still:
        print(f"still missing after the installation: {', '.join(still)}")
    return 1 if still else 0


def _run(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> tuple[int, str]:
    """Return the exit code and the end of what was said; a program that is not there has failed too."""
    try:
        result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return 127, str(error)
    return result.returncode, f"{result.stdout[-2000:]}\n{result.stderr[-2000:]}"


if __name__ == "__main__":
    sys.exit(main())
