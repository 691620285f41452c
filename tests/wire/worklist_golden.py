"""The golden queries: their items and devices put into an environment, and a client that asks as a console does."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE

from broker.audit.model import Actor, ActorKind
from broker.database import Database
from broker.orders.model import Code, Order, StepStatus
from broker.registry import store as registry_store
from broker.registry.document import read
from broker.worklist import store
from broker.worklist.model import WorklistItem
from broker.worklist.plan import plan
from tests.peers.steady import steady
from tests.unit.worklist.building import ORDER, STEP, set_keys

FOLDER = Path(__file__).parents[2] / "fixtures" / "queries" / "golden"
SEQUENCE = "ScheduledProcedureStepSequence"
MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)

Query = Mapping[str, Any]


def queries(name: str) -> list[Query]:
    """The queries of one file."""
    loaded: list[Query] = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["query"]
    return loaded


def planned() -> list[WorklistItem]:
    """The items of the fixture, as they are planned."""
    file = tomllib.loads((FOLDER / "items.toml").read_text(encoding="utf-8"))
    return [_planned(number, file["usual"] | row) for number, row in enumerate(file["item"], 1)]


def fill(database: Database) -> None:
    """Put in the items and the devices."""
    with database.write("orders") as tx:
        for item in planned():
            store.replace(tx, item.order_id, (item,))
    with database.write("registry") as tx:
        for file in sorted((FOLDER / "devices").glob("*.toml")):
            content = file.read_bytes()
            registry_store.apply(tx, read(content, file.name), content, Actor(ActorKind.OS_USER, "test"), NOW)


def _planned(number: int, row: Mapping[str, Any]) -> WorklistItem:
    (item,) = plan(_order(number, row), number, sending_application=row.get("sender", "RIS"))
    return item


def _order(number: int, row: Mapping[str, Any]) -> Order:
    date, time = row["start"].split()
    accession = row["accession"]
    step = replace(
        STEP,
        scheduled_procedure_step_id=f"S-{accession}",
        modality=row["modality"],
        scheduled_procedure_step_start_date=date,
        scheduled_procedure_step_start_time=time,
        scheduled_station_ae_titles=tuple(row.get("stations", ())),
        scheduled_protocol_codes=(Code(row["protocol"], "L", "Protocol"),),
        scheduled_performing_physician_name=row["physician"],
        attributes={"ScheduledProcedureStepLocation": row["location"]} if "location" in row else {},
        status=StepStatus(row.get("status", "SCHEDULED")),
    )
    patient = replace(
        ORDER.patient,
        patient_name=row["name"],
        patient_id=row["id"],
        patient_birth_date=row["birth"],
        patient_sex=row["sex"],
        attributes={"AdmissionID": row["admission"]} if "admission" in row else {},
    )
    return replace(
        ORDER,
        patient=patient,
        accession_number=accession,
        requested_procedure_id=f"RP-{accession}",
        requested_procedure_code=Code(row["procedure"], "L", "Procedure"),
        study_instance_uid=f"1.2.3.9.{number}",
        steps=(step,),
        attributes={"ReferringPhysicianName": row["referring"]},
    )


# --- asking ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """The answers to one query, and its final status."""

    statuses: tuple[int, ...]
    found: tuple[Dataset, ...]
    final: int

    @property
    def accessions(self) -> list[str]:
        return [str(answer.AccessionNumber) for answer in self.found]


class Consoles:
    """Consoles made of pynetdicom: one association a calling title, kept open."""

    def __init__(self, port: int, called: str) -> None:
        self._port, self._called = port, called
        self._open: dict[str, Any] = {}

    def ask(self, query: Query) -> Answered:
        """Send a golden query."""
        return self.send(query.get("as", "ANYBODY"), identifier(query))

    def send(self, calling: str, asked: Dataset) -> Answered:
        """Send C-FIND as `calling`."""
        *pending, (final, _) = self._association(calling).send_c_find(asked, MODALITY_WORKLIST)
        return Answered(
            tuple(status.Status for status, _ in pending), tuple(found for _, found in pending), final.Status
        )

    def _association(self, calling: str) -> Any:
        kept = self._open.get(calling)
        if kept is not None and kept.is_established:
            return kept
        entity = AE(calling)
        entity.acse_timeout = entity.dimse_timeout = 20
        entity.add_requested_context(MODALITY_WORKLIST)
        made = self._open[calling] = steady(entity.associate("127.0.0.1", self._port, ae_title=self._called))
        assert made.is_established, calling
        return made

    def close(self) -> None:
        for association in self._open.values():
            association.release()


@contextmanager
def consoles(port: int, called: str) -> Iterator[Consoles]:
    """Consoles for the block."""
    made = Consoles(port, called)
    try:
        yield made
    finally:
        made.close()


def identifier(query: Query) -> Dataset:
    """The identifier of a golden query: its keys, and a few to be returned."""
    asked = Dataset()
    character_set = query.get("keys", {}).get("SpecificCharacterSet", "")
    outer = {"AccessionNumber": "", "PatientName": "", **query.get("keys", {})}
    if character_set:
        outer["SpecificCharacterSet"] = character_set.split("\\")
    set_keys(asked, outer)
    inner = Dataset()
    set_keys(inner, {"ScheduledProcedureStepID": "", **query.get("step", {})})
    items = {"absent": None, "empty": [], "two": [inner, Dataset()]}.get(query.get("sequence", ""), [inner])
    if items is not None:
        asked.ScheduledProcedureStepSequence = Sequence(items)
    return asked
