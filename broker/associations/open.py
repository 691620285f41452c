"""The associations that are open now: their rows are written with the first fact that refers to them, or at the end.

Writing at once would cost a sync before every first answer; an association that did nothing has its row at its end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker import __version__
from broker.associations import store
from broker.associations.model import Association, Context, Result
from broker.database import Transaction
from broker.dimse.service import AcceptedAssociation, AssociationRequest

Owed = Callable[[Transaction], None]
"""What refers to an association and is still to be written, in whatever transaction writes the association next."""


@dataclass(slots=True)
class _Open:
    """One open association, and what of it is committed."""

    association: Association
    result: Result = Result.OPEN  # as committed
    is_written: bool = False
    owed: list[Owed] = field(default_factory=list)
    note: bytes | None = None


class OpenAssociations:
    """Thread-safe: each association is one thread's. `write` and `written`, `settle` and `settled` are pairs around a
    commit.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def add(self, association: Association) -> None:
        """Remember an association that was just accepted."""
        self._open[association.id] = _Open(association)

    def get(self, association_id: str) -> Association:
        """Return what is known of an open association."""
        return self._open[association_id].association

    def with_context(
        self, association_id: str, calling_ae_title: str, called_ae_title: str, sop_class_uid: str
    ) -> tuple[str, str] | None:
        """Return an open association of a peer on which a SOP class was accepted, and its transfer syntax.

        The one of this id where it is open, else another of the same two titles.
        """
        every = [one.association for one in list(self._open.values())]  # others come and go meanwhile
        for one in sorted(every, key=lambda one: one.id != association_id):
            syntaxes = [c.transfer_syntax for c in one.contexts if c.abstract_syntax == sop_class_uid]
            if syntaxes and (one.calling_ae_title, one.called_ae_title) == (calling_ae_title, called_ae_title):
                return one.id, syntaxes[0]
        return None

    def note(self, association_id: str, make: Callable[[Association], bytes]) -> bytes:
        """Return what stands beside each of its instances in the spool, made once."""
        one = self._open[association_id]
        if one.note is None:
            one.note = make(one.association)
        return one.note

    def write(self, tx: Transaction, association_id: str) -> None:
        """Add its row in the caller's transaction, unless an earlier committed one did."""
        one = self._open[association_id]
        if not one.is_written:
            store.add(tx, one.association)

    def written(self, association_id: str) -> None:
        """Take note that the transaction given to `write` is committed."""
        self._open[association_id].is_written = True

    def owe(self, association_id: str, work: Owed) -> None:
        """Remember what is to be written when it is settled next."""
        self._open[association_id].owed.append(work)

    def is_settled(self, association_id: str, result: Result) -> bool:
        """Tell whether it is written with this result, and everything that it owes."""
        one = self._open[association_id]
        return one.result is result and not one.owed

    def settle(self, tx: Transaction, association_id: str, result: Result, reason: str, at: datetime) -> None:
        """Write what it owes, and how it ended unless it is open; the whole row where none was written."""
        one = self._open[association_id]
        if result is Result.OPEN:
            self.write(tx, association_id)
        elif one.is_written:
            store.end(tx, association_id, result, reason, at)
        else:
            store.add(tx, replace(one.association, result=result, reason=reason, ended=at))
        for work in one.owed:
            work(tx)

    def settled(self, association_id: str, result: Result) -> None:
        """Take note that the transaction given to `settle` is committed."""
        one = self._open[association_id]
        one.result, one.is_written = result, True
        one.owed.clear()

    def forget(self, association_id: str) -> None:
        """Take note that it is over."""
        self._open.pop(association_id, None)


def accepted(association: AcceptedAssociation, device: str, revision: str, now: datetime) -> Association:
    """Return the row's value of an association that was accepted."""
    contexts = tuple(Context(c.abstract_syntax, c.transfer_syntax) for c in association.contexts)
    return _facts(association.id, association.request, now, contexts, device, revision)


def rejected(association_id: str, request: AssociationRequest, reason: str, nearest: str, now: datetime) -> Association:
    """Return the row's value of an association that was refused; the proposed contexts stay out, they may be many."""
    facts = _facts(association_id, request, now)
    return replace(facts, result=Result.REJECTED, reason=reason, nearest=nearest, ended=now)


def _facts(  # noqa: PLR0917 - a row's columns, in their order
    association_id: str,
    request: AssociationRequest,
    now: datetime,
    contexts: tuple[Context, ...] = (),
    device: str = "",
    revision: str = "",
) -> Association:
    return Association(
        id=association_id,
        started=now,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        address=request.address,
        implementation_class_uid=request.implementation_class_uid,
        implementation_version_name=request.implementation_version_name,
        contexts=contexts,
        device=device,
        revision=revision,
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
