"""The associations that are open now: their rows are written with the first fact that refers to them, or at the end.

Writing at once would cost a sync before every first answer; an association that did nothing has its row at its end.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from broker import __version__
from broker.associations import store
from broker.associations.model import Association, Context, Result
from broker.database import Transaction
from broker.dimse.service import AcceptedAssociation, AssociationRequest


class OpenAssociations:
    """Thread-safe. `write` and `written` come in pairs around a commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Association] = {}
        self._written: set[str] = set()
        self._notes: dict[str, bytes] = {}

    def add(self, association: Association) -> None:
        """Remember an association that was just accepted."""
        with self._lock:
            self._open[association.id] = association

    def get(self, association_id: str) -> Association:
        """Return what is known of an open association."""
        with self._lock:
            return self._open[association_id]

    def with_context(
        self, association_id: str, calling_ae_title: str, called_ae_title: str, sop_class_uid: str
    ) -> tuple[str, str] | None:
        """Return an open association of a peer on which a SOP class was accepted, and its transfer syntax.

        The one of this id where it is open, else another of the same two titles.
        """
        with self._lock:
            found = sorted(self._open.values(), key=lambda one: one.id != association_id)
        for one in found:
            syntaxes = [c.transfer_syntax for c in one.contexts if c.abstract_syntax == sop_class_uid]
            if syntaxes and (one.calling_ae_title, one.called_ae_title) == (calling_ae_title, called_ae_title):
                return one.id, syntaxes[0]
        return None

    def note(self, association_id: str, make: Callable[[Association], bytes]) -> bytes:
        """Return what stands beside each of its instances in the spool, made once."""
        with self._lock:
            found, association = self._notes.get(association_id), self._open[association_id]
        if found is None:
            found = self._notes[association_id] = make(association)
        return found

    def write(self, tx: Transaction, association_id: str) -> None:
        """Add its row in the caller's transaction, unless an earlier committed one did."""
        with self._lock:
            association = None if association_id in self._written else self._open[association_id]
        if association:
            store.add(tx, association)

    def written(self, association_id: str) -> None:
        """Take note that the transaction given to `write` is committed."""
        with self._lock:
            self._written.add(association_id)

    def end(self, tx: Transaction, association_id: str, result: Result, reason: str, at: datetime) -> None:
        """Write its end, with the whole row where none was written."""
        with self._lock:
            association = self._open[association_id]
            was_written = association_id in self._written
        if was_written:
            store.end(tx, association_id, result, reason, at)
        else:
            store.add(tx, replace(association, result=result, reason=reason, ended=at))

    def forget(self, association_id: str) -> None:
        """Take note that it is over."""
        with self._lock:
            self._open.pop(association_id, None)
            self._written.discard(association_id)
            self._notes.pop(association_id, None)


def accepted(association: AcceptedAssociation, device: str, revision: str, now: datetime) -> Association:
    """Return the row's value of an association that was accepted."""
    facts = _facts(association.id, association.request, now)
    contexts = tuple(Context(c.abstract_syntax, c.transfer_syntax) for c in association.contexts)
    return replace(facts, contexts=contexts, device=device, revision=revision)


def rejected(association_id: str, request: AssociationRequest, reason: str, nearest: str, now: datetime) -> Association:
    """Return the row's value of an association that was refused; the proposed contexts stay out, they may be many."""
    facts = _facts(association_id, request, now)
    return replace(facts, result=Result.REJECTED, reason=reason, nearest=nearest, ended=now)


def _facts(association_id: str, request: AssociationRequest, now: datetime) -> Association:
    return Association(
        id=association_id,
        started=now,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        address=request.address,
        implementation_class_uid=request.implementation_class_uid,
        implementation_version_name=request.implementation_version_name,
        contexts=(),
        device="",
        revision="",
        software=__version__,
    )


class KnownAssociations:
    """Associations of another process, as their instances tell of them. Of one thread."""

    def __init__(self) -> None:
        self._last = ""  # instances of one association come one after the other

    def ensure(self, tx: Transaction, values: Mapping[str, str] | None) -> None:
        """Add the row of what `note` tells, unless there is one; it knows no contexts."""
        if not values or values["id"] == self._last:
            return
        store.ensure(tx, noted(values))
        self._last = values["id"]


def note(association: Association) -> dict[str, str]:
    """Return what an index that was lost has to know of an association."""
    return {"started": association.started.isoformat(), **{name: getattr(association, name) for name in _NOTED}}


def noted(values: Mapping[str, str]) -> Association:
    """Return the row's value that `note` speaks of."""
    started = datetime.fromisoformat(values["started"])
    texts = [values[name] for name in _NOTED]
    identifier, calling, called, address, class_uid, version_name, device, revision, software = texts
    return Association(
        identifier, started, calling, called, address, class_uid, version_name, (), device, revision, software
    )


_NOTED = (
    "id",
    "calling_ae_title",
    "called_ae_title",
    "address",
    "implementation_class_uid",
    "implementation_version_name",
    "device",
    "revision",
    "software",
)
