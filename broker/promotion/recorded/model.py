"""The values of what is recorded for evidence, as it stands in the tables: nothing is judged yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.promotion.model import Hashes
from broker.registry.model import Binding


class Way(StrEnum):
    """Who asked whom for Verification."""

    RECEIVED = "received"  # the device asked us
    SENT = "sent"  # we asked the device


@dataclass(frozen=True, slots=True)
class Echo:
    """One C-ECHO. `failure` is empty where it was answered with success."""

    device: str
    at: datetime
    way: Way
    association_id: str = ""  # of the device's
    revision: str = ""  # of ours, as the others: what was served when we asked
    host: str = ""
    port: int = 0
    software: str = ""
    failure: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings that a serve began with."""

    at: datetime
    hashes: Hashes
    software: str


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a device was from some instant on."""

    at: datetime
    binding: Binding


@dataclass(frozen=True, slots=True)
class Call:
    """One association that a title of the device was used for."""

    id: str
    started: datetime
    address: str
    revision: str
    software: str
    implementation_class_uid: str
    implementation_version_name: str


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """One worklist query, and the items that it was answered with."""

    id: int
    association_id: str
    at: datetime
    status: int
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """What a worklist item says that must come back."""

    id: int
    patient_id: str
    patient_name: str
    accession_number: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery of an instance, with its proof."""

    destination: str
    state: str
    reason: str
    proof: str = ""  # its state; empty where none is owed
    proof_reason: str = ""
    at: datetime | None = None  # when it was delivered, or given up
    proof_at: datetime | None = None  # when its proof was settled


@dataclass(frozen=True, slots=True)
class KeptImage:
    """One instance of the device, and where it went."""

    id: str
    association_id: str
    received: datetime
    sop_class_uid: str
    transfer_syntax: str
    octets: int
    study_instance_uid: str
    accession_number: str
    patient_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_forgotten: bool = False
    sent: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Commitment:
    """One request of the device for storage commitment."""

    id: int
    association_id: str
    received: datetime
    state: str
    reason: str
    failures: int = 0  # instances that it was told are not kept


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that a person has to explain: a rejection, or an open alert."""

    ref: str
    at: datetime
    text: str
