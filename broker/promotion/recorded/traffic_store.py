"""What other stages keep of a device's traffic, read for its evidence: the newest of each kind. Writes nothing."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, exists, func, or_, select

from broker.alerts.store import AlertRow
from broker.associations.model import Result
from broker.associations.store import AssociationRow
from broker.audit.store import AuditRow
from broker.commitment.devices.store import CommitmentReferenceRow, CommitmentRequestRow
from broker.commitment.proof.store import ProofRow
from broker.database import Transaction, table_of
from broker.delivery.tables import DeliveryRow
from broker.identifiers import AETitle
from broker.procedures.store import PerformedStepRow
from broker.promotion.recorded.model import AnsweredQuery, Bound, Call, Commitment, Incident, Item, KeptImage, Sent
from broker.registry.model import Binding
from broker.spool.store import InstanceRow
from broker.worklist.store import WorklistItemRow, WorklistQueryRow

_MOST = 5000  # of the newest rows of each kind
_MOST_STEPS = 500
_BATCH = 500  # identifiers in one statement
_TOLD_ELSEWHERE = ("worklist.cut", "promotion.watch")  # alerts about a device that say nothing against it
_LONGEST_CALL = timedelta(days=1)  # what came since an instant may have come over an older association

_ALERT = table_of(AlertRow)
_ASSOCIATION = table_of(AssociationRow)
_AUDIT = table_of(AuditRow)
_REQUEST = table_of(CommitmentRequestRow)
_REFERENCE = table_of(CommitmentReferenceRow)
_STEP = table_of(PerformedStepRow)
_PROOF = table_of(ProofRow)
_DELIVERY = table_of(DeliveryRow)
_INSTANCE = table_of(InstanceRow)
_ITEM = table_of(WorklistItemRow)
_QUERY = table_of(WorklistQueryRow)


# --- who called, and where it was to be --------------------------------------------------------------------------


def calls(tx: Transaction, device: str, since: datetime | None = None) -> list[Call]:
    """Return the newest associations that were taken under a title of the device, newest first.

    With `since` those over which something may have come since then: some began a day earlier.
    """
    begun = [] if since is None else [_ASSOCIATION.c.started >= since - _LONGEST_CALL]
    query = select(_ASSOCIATION).where(_ASSOCIATION.c.device == device, *begun).order_by(_ASSOCIATION.c.id.desc())
    return [
        Call(
            id=row.id,
            started=row.started,
            address=row.address,
            revision=row.revision,
            software=row.software,
            implementation_class_uid=row.implementation_class_uid,
            implementation_version_name=row.implementation_version_name,
        )
        for row in tx.execute(query.limit(_MOST))
    ]


def bindings(tx: Transaction, device: str) -> list[Bound]:
    """Return where the device was from when on, oldest first: each change is in the audit."""
    own = (_AUDIT.c.action == "modality.bind", _AUDIT.c.subject == device)
    rows = tx.execute(select(_AUDIT.c.at, _AUDIT.c.detail).where(*own).order_by(_AUDIT.c.id))
    return [Bound(row.at, _binding(json.loads(row.detail))) for row in rows]


def _binding(detail: dict[str, Any]) -> Binding:
    titles = {key: AETitle(detail[key]) if detail.get(key) else None for key in ("ae_title", "station")}
    return Binding(detail.get("host", ""), detail.get("port", 0), **titles)


# --- what it did -------------------------------------------------------------------------------------------------


def queries(tx: Transaction, device: str, since: datetime | None = None) -> list[AnsweredQuery]:
    """Return its newest worklist queries, all or since then, newest first."""
    own = select(_QUERY).join(_ASSOCIATION, _ASSOCIATION.c.id == _QUERY.c.association_id)
    own = (
        own.where(_ASSOCIATION.c.device == device, *_since(_QUERY.c.at, since))
        .order_by(_QUERY.c.id.desc())
        .limit(_MOST)
    )
    return [
        AnsweredQuery(row.id, row.association_id, row.at, row.status, tuple(json.loads(row[4])))
        for row in tx.execute(own)
    ]


def items(tx: Transaction, ids: Collection[int]) -> dict[int, Item]:
    """Return what worklist items say that must come back, by their ids."""
    found: dict[int, Item] = {}
    columns = (_ITEM.c[name] for name in ("id", "patient_id", "patient_name", "accession_number", "study_instance_uid"))
    query = select(*columns)
    for batch in _batches(sorted(ids)):
        found.update((row.id, Item(*row)) for row in tx.execute(query.where(_ITEM.c.id.in_(batch))))
    return found


def steps(tx: Transaction, device: str, since: datetime | None = None) -> list[str]:
    """Return the UIDs of its newest performed steps, all or of which something was said since then, newest first."""
    query = select(_STEP.c.sop_instance_uid).join(_ASSOCIATION, _ASSOCIATION.c.id == _STEP.c.association_id)
    query = (
        query.where(_ASSOCIATION.c.device == device, *_since(_STEP.c.updated, since))
        .order_by(_STEP.c.id.desc())
        .limit(_MOST_STEPS)
    )
    return list(tx.execute(query).scalars())


def images(tx: Transaction, device: str, since: datetime | None = None) -> list[KeptImage]:
    """Return its newest instances, all or since then, with deliveries and proofs, newest first; forgotten ones too."""
    # What the other world handed over is the device's, but not what it did here: its association is none of the device.
    call = _ASSOCIATION.c
    handed_over = exists().where(call.id == _INSTANCE.c.association_id, call.device != device)
    own = (_INSTANCE.c.device == device, *_since(_INSTANCE.c.received, since))
    rows = tx.execute(select(_INSTANCE).where(*own, ~handed_over).order_by(_INSTANCE.c.id.desc()).limit(_MOST)).all()
    sent = _sent(tx, [row.id for row in rows])
    return [_image(row, sent.get(row.id, ())) for row in rows]


def _image(row: Row[Any], sent: Iterable[Sent]) -> KeptImage:
    return KeptImage(
        id=row.id,
        association_id=row.association_id,
        received=row.received,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax=row.transfer_syntax,
        octets=row.data_length,
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number,
        patient_id=row.patient_id,
        attributes=json.loads(row.attributes),
        is_forgotten=row.forgotten is not None,
        sent=tuple(sent),
    )


def _sent(tx: Transaction, instance_ids: Sequence[str]) -> dict[str, list[Sent]]:
    found: dict[str, list[Sent]] = defaultdict(list)
    proof = (_PROOF.c.state.label("proof"), _PROOF.c.reason.label("proof_reason"), _PROOF.c.finished.label("proven"))
    query = select(_DELIVERY, *proof)
    query = query.outerjoin(_PROOF, _PROOF.c.delivery_id == _DELIVERY.c.id).order_by(_DELIVERY.c.id)
    for batch in _batches(instance_ids):
        for row in tx.execute(query.where(_DELIVERY.c.instance_id.in_(batch))):
            said = (row.destination, row.state, row.reason, row.proof or "", row.proof_reason or "")
            found[row.instance_id].append(Sent(*said, at=row.finished, proof_at=row.proven))
    return found


def commitments(tx: Transaction, device: str, since: datetime | None = None) -> list[Commitment]:
    """Return its newest requests for storage commitment, all or since then, newest first."""
    failed = select(_REFERENCE.c.request_id, func.count().label("failures")).where(_REFERENCE.c.failure.is_not(None))
    counted = failed.group_by(_REFERENCE.c.request_id).subquery()
    query = select(_REQUEST, counted.c.failures).outerjoin(counted, counted.c.request_id == _REQUEST.c.id)
    query = (
        query.where(_REQUEST.c.device == device, *_since(_REQUEST.c.received, since))
        .order_by(_REQUEST.c.id.desc())
        .limit(_MOST)
    )
    return [
        Commitment(row.id, row.association_id, row.received, row.state, row.reason, row.failures or 0)
        for row in tx.execute(query)
    ]


# --- what went wrong ---------------------------------------------------------------------------------------------


def rejections(
    tx: Transaction, addresses: Collection[str], since: datetime, titles: Collection[str] = ()
) -> list[Incident]:
    """Return associations that were refused since then, newest first: from these addresses, or under these titles.

    For evidence no title is given, for its title from elsewhere is somebody else's mistake: who calls from another
    address is not the device.
    """
    refused = (_ASSOCIATION.c.result == Result.REJECTED.value, _ASSOCIATION.c.started >= since)
    own = or_(_ASSOCIATION.c.address.in_(sorted(addresses)), _ASSOCIATION.c.calling_ae_title.in_(sorted(titles)))
    query = select(_ASSOCIATION).where(*refused, own).order_by(_ASSOCIATION.c.id.desc()).limit(_MOST)
    return [Incident(f"association {row.id}", row.started, f"refused: {row.reason}") for row in tx.execute(query)]


def alerts(tx: Transaction, device: str, since: datetime) -> list[Incident]:
    """Return the alerts about the device that nobody has acknowledged, and that were raised since then."""
    about = or_(_ALERT.c.subject == device, _ALERT.c.subject.startswith(f"{device}:", autoescape=True))
    open_ = (_ALERT.c.acknowledged.is_(None), _ALERT.c.last >= since, _ALERT.c.event.not_in(_TOLD_ELSEWHERE))
    rows = tx.execute(select(_ALERT).where(about, *open_).order_by(_ALERT.c.id.desc()))
    return [Incident(f"alert {row.id}", row.last, f"{row.event}: {row.text}") for row in rows]


def was_told(tx: Transaction, event: str, subject: str, text: str, since: datetime) -> bool:
    """Tell whether this was told since then, acknowledged or not."""
    same = (_ALERT.c.event == event, _ALERT.c.subject == subject, _ALERT.c.text == text, _ALERT.c.last >= since)
    return tx.execute(select(_ALERT.c.id).where(*same).limit(1)).first() is not None


def _since(column: Any, since: datetime | None) -> list[Any]:
    return [] if since is None else [column >= since]


def _batches(ids: Sequence[Any]) -> list[Sequence[Any]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
