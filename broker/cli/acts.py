"""How a command's act is put into the audit. Writes nothing itself."""

from broker.audit.model import AuditEntry
from broker.cli.context import Opened


def act(here: Opened, action: str, subject: str, **detail: object) -> AuditEntry:
    """Return what the audit keeps of an act of this moment; `detail` is without patient data."""
    return AuditEntry(here.clock.now(), here.actor, action, subject, detail)
