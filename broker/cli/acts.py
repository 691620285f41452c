"""Few words for what commands share: an act for the audit, an answer. Writes nothing itself."""

from broker.audit.model import AuditEntry
from broker.cli.context import Opened


def act(here: Opened, action: str, subject: str, **detail: object) -> AuditEntry:
    """Return what the audit keeps of an act of this moment; `detail` is without patient data."""
    return AuditEntry(here.clock.now(), here.actor, action, subject, detail)


def answer_text(code: str, error: str, location: str) -> str:
    """Return an acknowledgement in a few words: "AE 103 at ORC^1^1"."""
    return " ".join(filter(None, (code or "no answer", error, f"at {location}" if location else "")))
