"""A patient's name as a digest, so that the index can tell whether a name came back without having it. Pure."""

import hashlib
import unicodedata

DIGEST = "PatientNameDigest"
"""Under this the attributes of an instance have it; no keyword of DICOM is called so."""


def digest(name: str) -> str:
    """Return what is the same for the same name only; empty for none.

    Trailing empty components and groups are no difference (PS3.5 6.2.1.1), nor is how Unicode spells a letter.
    """
    groups = [group.rstrip("^ ") for group in unicodedata.normalize("NFC", name).strip().split("=")]
    written = "=".join(groups).rstrip("=")
    return hashlib.sha256(written.encode()).hexdigest()[:32] if written else ""
