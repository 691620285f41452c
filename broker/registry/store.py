"""The registry's tables: recorded documents, which is active, where each device is. Every change is audited with it.

The generation is one row, raised in the transaction of every change; who has read it knows whether its copy holds.
Write under the label `registry`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, Row, false, insert, inspect, select, update
from sqlmodel import Field, SQLModel

from broker.audit import store as audit
from broker.audit.model import Actor, AuditEntry
from broker.database import Database, Transaction, UtcDateTime, table_of
from broker.errors import NotFound, Refused
from broker.identifiers import AETitle
from broker.registry.document import read
from broker.registry.model import Binding, Document, Modality, Registry, Revision
from broker.statements import Prepared


class RevisionRow(SQLModel, table=True):
    """One document as it was given: its bytes never change."""

    __tablename__ = "registry_revision"

    sha256: str = Field(primary_key=True, max_length=64)
    name: str = Field(index=True, max_length=64)
    content: bytes = Field(sa_type=LargeBinary)
    recorded: datetime = Field(sa_type=UtcDateTime)


class ModalityRow(SQLModel, table=True):
    """One device: the revision that is active, and its binding in this world."""

    __tablename__ = "registry_modality"

    name: str = Field(primary_key=True, max_length=64)
    active: str = Field(foreign_key="registry_revision.sha256", max_length=64)
    retired: bool
    host: str
    port: int
    ae_title: str
    station: str
    suspended: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


class GenerationRow(SQLModel, table=True):
    """The one row that changes with every change of the registry."""

    __tablename__ = "registry_generation"

    id: int = Field(primary_key=True)
    generation: int


_REVISION = table_of(RevisionRow)
_MODALITY = table_of(ModalityRow)
_GENERATION = table_of(GenerationRow)
_THE_ROW = 1
_GENERATION_NOW = Prepared(select(_GENERATION.c.generation).where(_GENERATION.c.id == _THE_ROW))  # asked every time


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes the registry, when and (where the environment asks for it) why."""

    actor: Actor
    now: datetime
    why: str = ""


# --- changes -----------------------------------------------------------------------------------------------------


def apply(
    tx: Transaction,
    document: Document,
    content: bytes,
    actor: Actor,
    now: datetime,
    *,
    own_titles: Iterable[AETitle] = (),
    why: str = "",
) -> Revision:
    """Record the document's bytes as a revision and make it the active one; a retired device returns.

    What is active already stays untouched. Raises Refused when one of its calling AE titles is ours (`own_titles`)
    or belongs to another active device.
    """
    revision = Revision(hashlib.sha256(content).hexdigest(), document.name, content, now)
    before = _find(tx, document.name)
    after = Modality(document.name, revision.sha256, document, before.binding if before else Binding())
    if before == after:
        return _revision(tx, revision.sha256)
    _refuse_taken_titles(tx, after, own_titles)
    _keep(tx, revision)
    _put(tx, after)
    detail: dict[str, object] = {"revision": revision.sha256, "replaces": before.revision if before else ""}
    _changed(tx, "modality.apply", document.name, Change(actor, now, why), detail)
    return _revision(tx, revision.sha256)


def bind(
    tx: Transaction,
    name: str,
    binding: Binding,
    actor: Actor,
    now: datetime,
    *,
    own_titles: Iterable[AETitle] = (),
    why: str = "",
) -> Modality:
    """Replace what is particular to this world. Raises NotFound, and Refused as `apply` does."""
    before = modality(tx, name)
    after = replace(before, binding=binding)
    if after != before:
        _refuse_taken_titles(tx, after, own_titles)
        _put(tx, after)
        _changed(tx, "modality.bind", name, Change(actor, now, why), _binding_columns(binding))
    return after


def suspend(tx: Transaction, name: str, is_suspended: bool, change: Change) -> bool:
    """Show a device no new worklist items any more, or again; False where it was so already. Raises NotFound."""
    before = modality(tx, name)
    if before.suspended == is_suspended:
        return False
    _put(tx, replace(before, suspended=is_suspended))
    action = "modality.suspend" if is_suspended else "modality.resume"
    _changed(tx, action, name, change, {"revision": before.revision})
    return True


def retire(tx: Transaction, name: str, actor: Actor, now: datetime, why: str = "") -> bool:
    """Take a device out of service; its revisions stay. False where it was already. Raises NotFound."""
    before = modality(tx, name)
    if before.retired:
        return False
    _put(tx, replace(before, retired=True, suspended=False))
    _changed(tx, "modality.retire", name, Change(actor, now, why), {"revision": before.revision})
    return True


def _changed(tx: Transaction, action: str, name: str, change: Change, detail: dict[str, object]) -> None:
    why: dict[str, object] = {"why": change.why} if change.why else {}
    audit.record(tx, AuditEntry(change.now, change.actor, action, name, {**detail, **why}))
    raised = update(_GENERATION).values(generation=_GENERATION.c.generation + 1)
    if tx.execute(raised).rowcount == 0:
        tx.execute(insert(_GENERATION).values(id=_THE_ROW, generation=1))


def _refuse_taken_titles(tx: Transaction, device: Modality, own_titles: Iterable[AETitle]) -> None:
    ours = set(own_titles)
    for title in device.ae_titles:
        if title in ours:
            raise Refused(f"{device.name}: AE title {str(title)!r} is this broker's own; the device needs another")
    for other in modalities(tx):
        taken = set(other.ae_titles) & set(device.ae_titles)
        if taken and other.name != device.name and not other.retired:
            raise Refused(f"{device.name}: AE title {str(min(taken))!r} belongs to {other.name}; retire or change one")


# --- what is there -----------------------------------------------------------------------------------------------


def exists(tx: Transaction) -> bool:
    """Tell whether the tables are there: a database that was never opened by us has none."""
    return inspect(tx).has_table(ModalityRow.__tablename__)


def generation(tx: Transaction) -> int:
    """Return the number that changes with every change; 0 before the first."""
    return _number(_GENERATION_NOW.rows(tx, {}))


def generation_now(database: Database) -> int:
    """Return it as committed now, for who wants to know nothing else."""
    return _number(database.glance(_GENERATION_NOW, {}))


def _number(found: Sequence[Any]) -> int:
    return int(found[0].generation) if found else 0


def load(tx: Transaction) -> Registry:
    """Return every device in service, by name. Raises Misconfigured when a kept document cannot be read any more."""
    return Registry(generation(tx), tuple(device for device in modalities(tx) if not device.retired))


def modalities(tx: Transaction) -> list[Modality]:
    """Return every device, retired ones too, by name."""
    return [_value(row) for row in tx.execute(_joined().order_by(_MODALITY.c.name))]


def modality(tx: Transaction, name: str) -> Modality:
    """Return one device, retired or not. Raises NotFound."""
    found = _find(tx, name)
    if found is None:
        raise NotFound(f"there is no modality {name!r}: see broker modality list")
    return found


def revisions(tx: Transaction, name: str) -> list[Revision]:
    """Return the revisions recorded under this name, oldest first."""
    query = select(_REVISION).where(_REVISION.c.name == name).order_by(_REVISION.c.recorded, _REVISION.c.sha256)
    return [Revision(row.sha256, row.name, row.content, row.recorded) for row in tx.execute(query)]


def content(tx: Transaction, name: str, sha256: str | None = None) -> bytes:
    """Return the very bytes of the active revision, or of the one whose hash begins with `sha256`. Raises NotFound."""
    wanted = modality(tx, name).revision if sha256 is None else sha256
    found = [revision for revision in revisions(tx, name) if revision.sha256.startswith(wanted)]
    if len(found) != 1:
        raise NotFound(f"{name} has {len(found) or 'no'} revisions that begin with {wanted!r}")
    return found[0].content


# --- to and from rows --------------------------------------------------------------------------------------------


def _joined() -> Any:
    return select(_MODALITY, _REVISION.c.content).join(_REVISION, _MODALITY.c.active == _REVISION.c.sha256)


def _find(tx: Transaction, name: str) -> Modality | None:
    row = tx.execute(_joined().where(_MODALITY.c.name == name)).first()
    return None if row is None else _value(row)


def _revision(tx: Transaction, sha256: str) -> Revision:
    row = tx.execute(select(_REVISION).where(_REVISION.c.sha256 == sha256)).one()
    return Revision(row.sha256, row.name, row.content, row.recorded)


def _keep(tx: Transaction, revision: Revision) -> None:
    if tx.execute(select(_REVISION.c.sha256).where(_REVISION.c.sha256 == revision.sha256)).first() is None:
        tx.execute(
            insert(_REVISION).values(
                sha256=revision.sha256, name=revision.name, content=revision.content, recorded=revision.recorded
            )
        )


def _put(tx: Transaction, device: Modality) -> None:
    columns = {
        "active": device.revision,
        "retired": device.retired,
        "suspended": device.suspended,
        **_binding_columns(device.binding),
    }
    if tx.execute(update(_MODALITY).where(_MODALITY.c.name == device.name).values(columns)).rowcount == 0:
        tx.execute(insert(_MODALITY).values(name=device.name, **columns))


def _binding_columns(binding: Binding) -> dict[str, object]:
    return {
        "host": binding.host,
        "port": binding.port,
        "ae_title": binding.ae_title or "",
        "station": binding.station or "",
    }


def _value(row: Row[Any]) -> Modality:
    binding = Binding(
        host=row.host,
        port=row.port,
        ae_title=AETitle(row.ae_title) if row.ae_title else None,
        station=AETitle(row.station) if row.station else None,
    )
    document = read(row.content, f"{row.name} (revision {row.active[:12]})")
    return Modality(row.name, row.active, document, binding, row.retired, row.suspended)
