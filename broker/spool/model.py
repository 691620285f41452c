"""The values of the spool."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """How an instance came in: from the command set and the association, not from the data set."""

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    device: str  # the registered modality's name, or empty
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    received: datetime


@dataclass(frozen=True, slots=True)
class SpooledInstance:
    """An instance that is safe on disk. `attributes` are the data set's own, by keyword, for routing."""

    id: str  # ours, 26 characters; also names the file
    facts: ReceiptFacts
    sha256: str  # of the data set's bytes
    path: str  # below the spool's directory
    offset: int  # of the data set in the file
    length: int
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    accession_number: str
    modality: str
    attributes: dict[str, str] = field(default_factory=dict)
    conflicts_with: str = ""  # id of an earlier instance with this SOP Instance UID and other content
