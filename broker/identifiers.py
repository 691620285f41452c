"""Names for things: AE titles and UIDs as checked values, and the identifiers made here. Nothing is stored here."""

import re
import secrets
import uuid
from datetime import datetime

UID_ROOT = "2.25"
IMPLEMENTATION_CLASS_UID = "2.25.80594915265344872923703637800283390326"
IMPLEMENTATION_VERSION_NAME = "MODALITY_BROKER1"

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_UID_LIKE = re.compile(r"[0-9A-Za-z]+(\.[0-9A-Za-z]+)*")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_NAMESPACE = uuid.UUID("4c0a8b8e-6a63-5a5c-9b52-0f3b8e5d2a11")


class AETitle(str):
    """An application entity title: 1 to 16 characters of the default repertoire, outer blanks removed (PS3.5 6.2)."""

    __slots__ = ()

    def __new__(cls, text: str) -> "AETitle":
        """Return the title of `text`; raise ValueError that says what is wrong with it."""
        title = text.strip(" ")
        if not title:
            raise ValueError("an AE title cannot be empty or blank")
        if len(title) > 16:
            raise ValueError(f"AE title {title!r} has {len(title)} characters, at most 16 are allowed")
        if any(not 0x20 <= ord(c) <= 0x7E or c == "\\" for c in title):
            raise ValueError(f"AE title {title!r} has a backslash, a control or a non-ASCII character")
        return super().__new__(cls, title)


def is_uid(text: str) -> bool:
    """Tell whether `text` is a UID: at most 64 characters, numeric components without leading zeros (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_uid_like(text: str) -> bool:
    """Tell whether `text` may stand for a UID where refusing would leave an image behind.

    Leading zeros and letters are illegal (PS3.5 9.1) but sent by real devices, and harmless where a UID is only text.
    """
    return len(text) <= 64 and _UID_LIKE.fullmatch(text) is not None


def derived_uid(*key: str) -> str:
    """Return the UID that always belongs to this key: `2.25.` and a name-based UUID (PS3.5 B.2)."""
    return f"{UID_ROOT}.{uuid.uuid5(_NAMESPACE, chr(31).join(key)).int}"


def new_id(now: datetime) -> str:
    """Return a fresh 26-character identifier (ULID) that sorts by time and holds no text of a peer."""
    number = (int(now.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
