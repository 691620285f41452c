"""TLS contexts for DICOM by PS3.15 B.12 (BCP 195), rebuilt when their files change. Opens no connection."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from broker.errors import Misconfigured

log = structlog.get_logger()

# PS3.15 B.12, RFC 9325 4.2: ephemeral keys and authenticated encryption only. TLS 1.3's suites need no list.
_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Our certificate chain and key, and whom we trust: PEM files. `trusted` empty asks the peer for none."""

    certificate: Path | None
    key: Path | None
    trusted: Path | None = None

    def files(self) -> tuple[Path, ...]:
        """Return the files there are."""
        return tuple(path for path in (self.certificate, self.key, self.trusted) if path is not None)


class Contexts:
    """Gives the context for each new connection; certificates replaced on disk take effect with the next one.

    A replacement that cannot be read leaves the context before it in use: renewal must not stop the images.
    """

    def __init__(self, files: Certificates, build: Callable[[Certificates], ssl.SSLContext]) -> None:
        self._files = files
        self._build = build
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._context = self._built()

    def __call__(self) -> ssl.SSLContext:
        """Return the context of the files as they are."""
        with self._lock:
            stamp = self._stamp()
            if stamp != self._seen:
                self._renew(stamp)
            return self._context

    def _renew(self, stamp: tuple[tuple[int, int, int], ...]) -> None:
        self._seen = stamp
        try:
            self._context = self._built()
        except Misconfigured:
            log.error("tls.not-renewed", files=[str(path) for path in self._files.files()])
        else:
            log.info("tls.renewed", files=[str(path) for path in self._files.files()])

    def _built(self) -> ssl.SSLContext:
        for path in self._files.files():
            _refuse_unreadable(path)
        try:
            return self._build(self._files)
        except (OSError, ValueError) as error:
            names = ", ".join(str(path) for path in self._files.files())
            raise Misconfigured(f"TLS: one of {names} cannot be used: {error}") from error

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(_file_stamp(path) for path in self._files.files())


def server(files: Certificates) -> Contexts:
    """Return contexts for a listener; with `trusted`, callers must show a certificate. Raises Misconfigured."""
    return Contexts(files, _server_context)


def client(files: Certificates, checks_host: bool = True) -> Contexts:
    """Return contexts for our calls. Raises Misconfigured.

    Without `checks_host` any certificate of a trusted issuer is taken: devices often have one without their address.
    """
    return Contexts(files, lambda given: _client_context(given, checks_host))


def _server_context(files: Certificates) -> ssl.SSLContext:
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    if files.certificate is None:
        raise ValueError("a listener needs a certificate")
    context.load_cert_chain(files.certificate, files.key, _refuse_password)
    if files.trusted is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.trusted)
    return context


def _client_context(files: Certificates, checks_host: bool) -> ssl.SSLContext:
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = checks_host
    if files.trusted is not None:
        context.load_verify_locations(files.trusted)
    else:
        context.load_default_certs()
    if files.certificate is not None:
        context.load_cert_chain(files.certificate, files.key, _refuse_password)
    return context


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _refuse_unreadable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        # OpenSSL would not say which file it is.
        raise Misconfigured(f"TLS: {path} cannot be read: {error.strerror}") from error


def _refuse_password() -> str:
    # Without this OpenSSL asks at the terminal, and waits for ever.
    raise ValueError("the key is encrypted: there is nobody to type its password; store it decrypted")


def _file_stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)  # in the middle of being replaced, perhaps
    return (status.st_mtime_ns, status.st_size, status.st_ino)
