"""Requests, history and the life of each device, in the target environment's database. Write under `promotion`."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, Row, Text, insert, select, update
from sqlmodel import Field, SQLModel

from broker.audit import store as audit
from broker.audit.model import Actor, AuditEntry
from broker.database import Transaction, UtcDateTime, table_of
from broker.errors import NotFound
from broker.identifiers import AETitle
from broker.promotion.model import CheckResult, CheckState, Life, Request, RequestState
from broker.registry.model import Binding


class PromotionRequestRow(SQLModel, table=True):
    """A plan that somebody wants applied."""

    __tablename__ = "promotion_request"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True, max_length=64)
    plan_checksum: str = Field(max_length=64)
    source_environment: str
    source_file: str
    revision: str = Field(max_length=64)
    document: bytes = Field(sa_type=LargeBinary)
    binding: str = Field(sa_type=Text)
    state: str = Field(index=True)
    requested: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    why: str = Field(sa_type=Text)
    decided: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_by: str
    decided_why: str = Field(sa_type=Text)
    apply_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    applied: datetime | None = Field(default=None, sa_type=UtcDateTime)
    applied_by: str
    evidence: str = Field(sa_type=Text)


class PromotionHistoryRow(SQLModel, table=True):
    """What was served of a device from some moment on."""

    __tablename__ = "promotion_history"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True, max_length=64)
    at: datetime = Field(sa_type=UtcDateTime)
    by: str
    what: str
    why: str = Field(sa_type=Text)
    revision: str = Field(max_length=64)
    binding: str = Field(sa_type=Text)
    life: str
    request: int | None = Field(default=None)


class ModalityLifeRow(SQLModel, table=True):
    """Where a device stands."""

    __tablename__ = "modality_life"

    name: str = Field(primary_key=True, max_length=64)
    life: str
    since: datetime = Field(sa_type=UtcDateTime)


@dataclass(frozen=True, slots=True)
class Served:
    """What was served of a device from some moment on; `revision` is empty where nothing was."""

    id: int
    name: str
    at: datetime
    by: str
    what: str
    why: str
    revision: str
    binding: Binding
    life: Life
    request: int | None


_REQUESTS = table_of(PromotionRequestRow)
_HISTORY = table_of(PromotionHistoryRow)
_LIFE = table_of(ModalityLifeRow)


# --- requests ----------------------------------------------------------------------------------------------------


def add(tx: Transaction, request: Request, source_file: str, why: str, actor: Actor) -> int:
    """Keep a request; return its number."""
    values = {
        "name": request.name,
        "plan_checksum": request.plan_checksum,
        "source_environment": request.source_environment,
        "source_file": source_file,
        "revision": request.revision,
        "document": request.document,
        "binding": _packed(request.binding),
        "state": request.state.value,
        "requested": request.requested,
        "requested_by": request.requested_by,
        "why": why,
        "decided_by": "",
        "decided_why": "",
        "applied_by": "",
        "evidence": packed_checks(request.evidence),
    }
    key = tx.execute(insert(_REQUESTS).values(values)).inserted_primary_key
    assert key is not None
    detail: dict[str, object] = {"revision": request.revision, "plan": request.plan_checksum, "why": why}
    audit.record(tx, AuditEntry(request.requested, actor, "promotion.request", f"{request.name} #{key[0]}", detail))
    return int(key[0])


def find(tx: Transaction, number: int, environment: str) -> Request:
    """Return a request. Raises NotFound."""
    row = tx.execute(select(_REQUESTS).where(_REQUESTS.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no request {environment}/{number}: see broker promote list")
    return _request(row, environment)


def requests(tx: Transaction, environment: str, name: str = "") -> list[Request]:
    """Return every request, of one device or all, newest first."""
    query = select(_REQUESTS).order_by(_REQUESTS.c.id.desc())
    rows = tx.execute(query.where(_REQUESTS.c.name == name) if name else query)
    return [_request(row, environment) for row in rows]


def due(tx: Transaction, environment: str, now: datetime) -> list[Request]:
    """Return the approved requests whose time has come."""
    come = (_REQUESTS.c.state == RequestState.APPROVED.value, _REQUESTS.c.apply_at <= now)
    return [_request(row, environment) for row in tx.execute(select(_REQUESTS).where(*come).order_by(_REQUESTS.c.id))]


def decide(  # noqa: PLR0917 - the parts of one decision
    tx: Transaction, number: int, before: RequestState, after: RequestState, actor: Actor, now: datetime, why: str = ""
) -> bool:
    """Move a request on; False, and nothing is changed, where it is no longer as it was."""
    values: dict[str, object] = {"state": after.value}
    if after is RequestState.APPLIED:
        values |= {"applied": now, "applied_by": str(actor)}
    else:
        values |= {"decided": now, "decided_by": str(actor), "decided_why": why}
    guard = (_REQUESTS.c.id == number, _REQUESTS.c.state == before.value)
    changed = tx.execute(update(_REQUESTS).where(*guard).values(values)).rowcount == 1
    if changed:
        audit.record(tx, AuditEntry(now, actor, f"promotion.{after.value}", f"#{number}", {"why": why}))
    return changed


def schedule(tx: Transaction, number: int, at: datetime | None) -> None:
    """Say when an approved request is applied by the clock; None: by a person."""
    tx.execute(update(_REQUESTS).where(_REQUESTS.c.id == number).values(apply_at=at))


# --- history and life --------------------------------------------------------------------------------------------


def record(tx: Transaction, served: Served) -> None:
    """Add what is served from now on."""
    values = {**asdict(served), "binding": _packed(served.binding), "life": served.life.value}
    values.pop("id")
    tx.execute(insert(_HISTORY).values(values))


def history(tx: Transaction, name: str) -> list[Served]:
    """Return what was served of a device, newest first."""
    query = select(_HISTORY).where(_HISTORY.c.name == name).order_by(_HISTORY.c.id.desc())
    return [_served(row) for row in tx.execute(query)]


def life(tx: Transaction, name: str) -> Life | None:
    """Return where a device stands; None where nobody has said so yet."""
    found = tx.execute(select(_LIFE.c.life).where(_LIFE.c.name == name)).scalar()
    return None if found is None else Life(found)


def set_life(tx: Transaction, name: str, to: Life, now: datetime) -> None:
    """Say where a device stands."""
    changed = tx.execute(update(_LIFE).where(_LIFE.c.name == name).values(life=to.value, since=now))
    if changed.rowcount == 0:
        tx.execute(insert(_LIFE).values(name=name, life=to.value, since=now))


def in_life(tx: Transaction, life: Life) -> list[str]:
    """Return the devices that stand there."""
    return list(tx.execute(select(_LIFE.c.name).where(_LIFE.c.life == life.value)).scalars())


def _packed(binding: Binding) -> str:
    return json.dumps(asdict(binding), default=str)


def _unpacked(text: str) -> Binding:
    found = json.loads(text)
    titles = {key: AETitle(found[key]) if found[key] else None for key in ("ae_title", "station")}
    return Binding(found["host"], found["port"], **titles)


def _served(row: Row[Any]) -> Served:
    return Served(
        id=row.id,
        name=row.name,
        at=row.at,
        by=row.by,
        what=row.what,
        why=row.why,
        revision=row.revision,
        binding=_unpacked(row.binding),
        life=Life(row.life),
        request=row.request,
    )


def _request(row: Row[Any], environment: str) -> Request:
    return Request(
        id=f"{environment}/{row.id}",
        name=row.name,
        plan_checksum=row.plan_checksum,
        source_environment=row.source_environment,
        source_file=row.source_file,
        revision=row.revision,
        document=row.document,
        binding=_unpacked(row.binding),
        state=RequestState(row.state),
        requested=row.requested,
        requested_by=row.requested_by,
        decided=row.decided,
        decided_by=row.decided_by,
        why=row.why,
        apply_at=row.apply_at,
        applied=row.applied,
        applied_by=row.applied_by,
        evidence=unpacked_checks(row.evidence),
    )


def packed_checks(checks: Iterable[CheckResult]) -> str:
    """Return checks as one text, which `unpacked_checks` reads."""
    return json.dumps([asdict(check) for check in checks], default=str)


def unpacked_checks(text: str) -> tuple[CheckResult, ...]:
    """Return what `packed_checks` wrote."""
    return tuple(_check(each) for each in json.loads(text))


def _check(found: dict[str, Any]) -> CheckResult:
    at = datetime.fromisoformat(found["at"]) if found["at"] else None
    return CheckResult(
        found["check"],
        found["title"],
        CheckState(found["state"]),
        found["text"],
        found["to_do"],
        at,
        tuple(found["facts"]),
    )
