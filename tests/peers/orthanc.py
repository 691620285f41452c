"""Orthanc as a PACS, with its DICOMweb plugin where Debian's package is there."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.processes import accepts, free_port, program, running, wait_for

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    port: int
    http_port: int
    ae_title: str
    login: str = ""  # user:password of its REST API

    @property
    def dicomweb(self) -> str:
        """The base of its DICOMweb services."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def get(self, path: str) -> Any:
        """Ask its REST API."""
        return json.loads(self._asked(path))

    def wado(self, study: str, series: str, instance: str) -> bytes:
        """Retrieve an instance by WADO-RS as it was stored: the Part 10 file."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        answer = self._asked(path, Accept='multipart/related; type="application/dicom"; transfer-syntax=*')
        boundary = answer.partition(b"\r\n")[0]
        return answer.partition(b"\r\n\r\n")[2].removesuffix(boundary + b"--\r\n").removesuffix(b"\r\n")

    def file(self, instance: str) -> bytes:
        """Return the Part 10 file that it keeps of an instance."""
        return self._asked(f"/instances/{instance}/file")

    def stows(self, file: bytes) -> bool:
        """Tell whether it takes a Part 10 file by STOW-RS from somebody else than us."""
        content_type = 'multipart/related; type="application/dicom"; boundary=ours'
        body = b"--ours\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--ours--\r\n"
        try:
            self._asked("/dicom-web/studies", "POST", body, **{"Content-Type": content_type})
        except urllib.error.HTTPError:
            return False
        return True

    def call(self, method: str, path: str, document: Any) -> Any:
        """Send a JSON document to its REST API; return the answer, None where it is empty."""
        body = json.dumps(document).encode()
        content = self._asked(path, method, body)
        return json.loads(content) if content else None

    def know(self, name: str, ae_title: str, port: int) -> None:
        """Register a modality on loopback under `name`."""
        self.call("PUT", f"/modalities/{name}", {"AET": ae_title, "Host": "127.0.0.1", "Port": port})

    def _asked(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> bytes:
        if self.login:
            headers["Authorization"] = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60) as answer:
            content: bytes = answer.read()
        return content

    def statistics(self) -> dict[str, Any]:
        """Return its counts."""
        found: dict[str, Any] = self.get("/statistics")
        return found


@contextmanager
def orthanc(
    folder: Path, port: int = 0, ae_title: str = "ORTHANC", *, login: str = "", http_port: int = 0, **more: Any
) -> Iterator[Orthanc]:
    """Run Orthanc on free loopback ports with its storage in `folder`; `more` are settings of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    assert PLUGIN.exists(), "the DICOMweb plugin is missing: apt-get install orthanc-dicomweb"
    server = Orthanc(port or free_port(), http_port or free_port(), ae_title, login)
    settings = {
        "Name": "test",
        "DefaultEncoding": "Utf8",
        "DicomAet": ae_title,
        "DicomPort": server.port,
        "DicomCheckCalledAet": True,
        "HttpPort": server.http_port,
        "HttpServerEnabled": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": bool(login),  # user:password
        "RegisteredUsers": dict([login.split(":", 1)]) if login else {},
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True},
        "UnknownSopClassAccepted": True,
        "OverwriteInstances": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        **more,
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings))
    with running([program("Orthanc", "orthanc"), file], folder / "orthanc.log") as process:
        wait_for(
            "Orthanc listens",
            lambda: process.poll() is None and accepts(server.http_port) and accepts(server.port),
            40,
        )
        yield server
