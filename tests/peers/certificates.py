"""Certificate authorities as hospitals run them, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "rsa:2048", "-nodes")


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: Path
    key: Path

    @property
    def dcmtk(self) -> tuple[str, ...]:
        """DCMTK's options that show it."""
        return ("+tls", str(self.key), str(self.certificate))

    def replace(self, newer: "Issued") -> None:
        """Put a newer one in its place, as a renewal does: each file at once, one after the other."""
        for old, new in ((self.certificate, newer.certificate), (self.key, newer.key)):
            beside = old.with_suffix(".new")
            beside.write_bytes(new.read_bytes())
            beside.replace(old)


class Authority:
    """Issues certificates for the loopback address. `certificate` is what those who trust it have."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self.certificate = self._folder / "ca.pem"
        self._key = self._folder / "ca.key"
        _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", *_out(self.certificate, self._key))

    @property
    def dcmtk(self) -> tuple[str, ...]:
        """DCMTK's options that trust it."""
        return ("+cf", str(self.certificate))

    def issue(self, name: str) -> Issued:
        """Issue a certificate."""
        issued = Issued(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        issuer = ("-CA", str(self.certificate), "-CAkey", str(self._key))
        names = ("-addext", "subjectAltName=IP:127.0.0.1", "-subj", f"/O=Hospital/CN={name}")
        _openssl("req", "-x509", *issuer, *_KEY, "-days", "2", *names, *_out(issued.certificate, issued.key))
        return issued


def _out(certificate: Path, key: Path) -> tuple[str, ...]:
    return ("-out", str(certificate), "-keyout", str(key))


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)
