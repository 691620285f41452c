"""The values of the worklist."""

from dataclasses import dataclass, field

from broker.orders.model import Code, Origin, StepStatus


@dataclass(frozen=True, slots=True)
class WorklistItem:
    """One Scheduled Procedure Step with its patient and requested procedure, as a modality sees it."""

    id: int  # 0 before it is stored
    order_id: int
    status: StepStatus
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: str
    patient_sex: str
    accession_number: str
    requested_procedure_id: str
    requested_procedure_description: str
    requested_procedure_code: Code | None
    study_instance_uid: str
    scheduled_procedure_step_id: str
    scheduled_procedure_step_description: str
    scheduled_protocol_codes: tuple[Code, ...]
    scheduled_procedure_step_start_date: str
    scheduled_procedure_step_start_time: str
    timezone: str
    modality: str
    scheduled_station_ae_titles: tuple[str, ...]  # empty: any device whose modality fits
    scheduled_performing_physician_name: str
    attributes: dict[str, str] = field(default_factory=dict)  # every further attribute by DICOM keyword
    # By keyword, for people: which field of which message, or made here; no answer has it, and no query reads it.
    provenance: dict[str, Origin] = field(default_factory=dict, compare=False, repr=False)
    encoded: bytes = field(default=b"", compare=False, repr=False)  # by `encoding`, when planned; empty: not yet


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What finds the item of a step that is performed, and how it stands."""

    order_id: int
    scheduled_procedure_step_id: str
    study_instance_uid: str
    accession_number: str
    requested_procedure_id: str
    patient_id: str
    status: StepStatus


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a registered device by its stations and modality, or (all empty) a caller nobody knows."""

    device: str = ""
    stations: tuple[str, ...] = ()
    modality: str = ""
    station_name: str = ""
    location: str = ""
    character_sets: tuple[str, ...] = ("ISO_IR 100", "ISO_IR 192")


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What became of one query. Holds no value of a key and no patient data."""

    status: int  # of the final answer
    keys: tuple[str, ...] = ()  # keywords that narrowed it
    matched: int = 0
    items: tuple[int, ...] = ()  # ids of the items answered, in order
    truncated: bool = False  # more matched than may be answered
    all_supported: bool = True  # whether every requested attribute was known
    transliterated: int = 0  # answers whose text no allowed character set holds
    comment: str = ""  # why it failed

    def facts(self) -> dict[str, object]:
        """Return the fields of the log line."""
        return {
            "status": f"{self.status:04X}",
            "keys": list(self.keys),
            "matched": self.matched,
            "answered": len(self.items),
            "truncated": self.truncated,
            "all_supported": self.all_supported,
            "transliterated": self.transliterated,
            "why": self.comment,
        }
