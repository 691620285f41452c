"""Install what the tests talk to, when it is missing and the user may: Debian packages, and npm's beside them.

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
}
NPM = Path(__file__).with_name("npm")  # package.json and its lock; what they name is installed beside them
STAMP = NPM / "node_modules" / ".lock-sha256"


def missing() -> list[str]:
    """Return the packages that are not there."""
    return [package for thing, package in PACKAGES.items() if not _is_there(thing)]


def _is_there(thing: str) -> bool:
    if not thing.startswith("/"):
        return shutil.which(thing) is not None
    return any(Path("/").glob(thing.lstrip("/")))


def main() -> int:
    """Install what is missing; return the exit code."""
    return _install_debian_packages() or _install_npm_packages()


def _install_npm_packages() -> int:
    """Install what the lock names, unless it has been; then npm and the network are not asked at all."""
    wanted = hashlib.sha256((NPM / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return 0
    print("installing for the tests: dcmjs-dimse from npm", flush=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    code, said = _run(command, os.environ, NPM)
    if code:
        print(said)
        print(f"cannot install dcmjs-dimse: run '{' '.join(command)}' in {NPM}")
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
