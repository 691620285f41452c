"""HAProxy as hospitals put it before a DICOMweb server: TLS, client certificates, limits, and its own failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.certificates import Authority, Issued
from tests.peers.processes import accepts, free_port, program, running, wait_for

_CONFIGURATION = """\
global
    log stderr local0
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:{port} ssl crt {pem} ca-file {trusted} verify required alpn http/1.1 ssl-min-ver TLSv1.2
{rules}
    default_backend back
backend back
    server pacs 127.0.0.1:{backend}
"""


@dataclass(frozen=True)
class HaProxy:
    """A running HAProxy."""

    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def haproxy(
    folder: Path, backend: int, own: Issued, trusted: Authority, *, port: int = 0, rules: str = ""
) -> Iterator[HaProxy]:
    """Run it before the backend's port on loopback: it asks callers for a certificate of `trusted`."""
    folder.mkdir(parents=True, exist_ok=True)
    pem = folder / "front.pem"
    pem.write_bytes(own.certificate.read_bytes() + own.key.read_bytes())
    front = HaProxy(port or free_port())
    file = folder / "haproxy.cfg"
    file.write_text(
        _CONFIGURATION.format(port=front.port, pem=pem, trusted=trusted.certificate, backend=backend, rules=rules)
    )
    with running([program("haproxy", "haproxy"), "-db", "-f", file], folder / "haproxy.log") as process:
        wait_for("haproxy listens", lambda: process.poll() is None and accepts(front.port))
        yield front
