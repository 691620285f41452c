"""Takes a device's N-ACTION: kept durably before it is answered (PS3.4 J.3.2). Writes in its caller's transaction."""

from collections.abc import Iterable
from datetime import datetime

from broker import journal
from broker.commitment import dataset
from broker.commitment.devices import store
from broker.commitment.devices.model import Asker
from broker.commitment.model import REQUEST, SOP_INSTANCE, CommitmentRefused, Reference, Request
from broker.database import Transaction
from broker.dimse.service import NormalizedRequest

_PROCESSING_FAILURE = 0x0110
_NO_SUCH_INSTANCE = 0x0112
_NO_SUCH_ACTION = 0x0123


def read(request: NormalizedRequest) -> Request:
    """Return what a device asks for. Raises CommitmentRefused."""
    if request.sop_instance_uid != SOP_INSTANCE:
        raise CommitmentRefused(_NO_SUCH_INSTANCE, f"only {SOP_INSTANCE} takes requests")
    if request.type_id != REQUEST:
        raise CommitmentRefused(_NO_SUCH_ACTION, "the action type is not 1")
    return dataset.read_request(request.data_set, request.transfer_syntax)


def keep(tx: Transaction, request: Request, asker: Asker, now: datetime) -> int:
    """Keep a request; return its number. What is asked again is answered again. Raises CommitmentRefused."""
    known = store.known(tx, asker.calling_ae_title, request.transaction_uid)
    names = {"transaction": request.transaction_uid, "device": asker.device, "calling": asker.calling_ae_title}
    if known is None:
        number = store.keep(tx, request, asker, now)
        instances = len(request.references)
        journal.record(tx, now, "commitment.requested", request=number, instances=instances, **names)
        return number
    if not _names_the_same(request.references, (line.reference for line in store.lines(tx, known.id))):
        raise CommitmentRefused(_PROCESSING_FAILURE, "this TransactionUID was used for other instances")
    store.asked_again(tx, known.id, asker, now)
    journal.record(tx, now, "commitment.requested-again", request=known.id, **names)
    return known.id


def _names_the_same(one: Iterable[Reference], other: Iterable[Reference]) -> bool:
    return set(one) == set(other)
