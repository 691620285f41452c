"""When a certificate ends: the one field that is read of it (RFC 5280 4.1.2.5). Checks nothing else."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from broker.errors import Misconfigured

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION = 0xA0  # [0] EXPLICIT, absent in version 1


def ends(file: Path) -> datetime:
    """Return when the first of a PEM file's certificates ends; a chain is sent with its own first.

    Raises Misconfigured where there is none that can be read.
    """
    try:
        found = _PEM.search(file.read_bytes())
        if found is None:
            raise ValueError("it holds no certificate")
        return _not_after(base64.b64decode(found[1]))
    except (OSError, ValueError, IndexError) as error:
        raise Misconfigured(f"{file}: {error}") from error


def _not_after(certificate: bytes) -> datetime:
    """Walk to Certificate, tbsCertificate, Validity, notAfter."""
    ((_, whole),) = list(_values(certificate))[:1]
    ((_, tbs),) = list(_values(whole))[:1]
    fields = [(tag, value) for tag, value in _values(tbs) if tag != _VERSION]
    validity = fields[3][1]  # after serialNumber, signature and issuer
    tag, text = list(_values(validity))[1]
    return _time(tag, text.decode("ascii"))


def _time(tag: int, text: str) -> datetime:
    if tag == _UTC_TIME:  # two digits: 50 and later are of the last century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("its validity is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and content of each value that stands side by side (X.690 8.1)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("it is cut short")
        yield tag, der[at : at + length]
        at += length
