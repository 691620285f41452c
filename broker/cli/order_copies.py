"""Messages that came more than once because their sender tries again: one matter for a person. Changes nothing."""

from collections.abc import Iterable

from broker.database import Transaction
from broker.inbox import store as inbox
from broker.inbox.model import FOR_PEOPLE, InboxEntry
from broker.orders.messages import header_facts

_MOST = 5000  # waiting messages without a control ID


def grouped(entries: Iterable[InboxEntry]) -> list[tuple[InboxEntry, list[int]]]:
    """Return each message once, by its newest copy, with the numbers of the others. `entries` are newest first."""
    found: dict[str, tuple[InboxEntry, list[int]]] = {}
    for entry in entries:
        if (key := _payload(entry)) in found:
            found[key][1].append(entry.id)
        else:
            found[key] = entry, []
    return list(found.values())


def waiting_copies(tx: Transaction, entry: InboxEntry) -> list[InboxEntry]:
    """Return the other copies of a message that wait for a person."""
    named = inbox.by_control_id(tx, entry.control_id) if entry.control_id else inbox.entries(tx, FOR_PEOPLE, _MOST)
    own = _payload(entry)
    return [one for one in named if one.id != entry.id and one.state in FOR_PEOPLE and _payload(one) == own]


def _payload(entry: InboxEntry) -> str:
    """Return what tells a message from others: all of it but MSH-7, which a sender renews when it sends again."""
    return header_facts(entry.raw).payload_sha256 or entry.sha256
