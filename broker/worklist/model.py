"""The values of the worklist."""

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from broker.orders.model import Code, Origin, StepStatus
from broker.registry.model import Habits

_USUAL = Habits()


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
    sending_application: str = ""  # MSH-3.1 of the message that ordered it; for filters, no answer has it
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
    """Who asks: a registered device by its stations, modality and habits, or (no device) a caller nobody knows."""

    device: str = ""
    stations: tuple[str, ...] = ()
    modality: str = ""
    station_name: str = ""
    location: str = ""
    character_sets: tuple[str, ...] = ("ISO_IR 100", "ISO_IR 192")
    habits: Habits = _USUAL
    calling: tuple[str, ...] = ()  # the titles it calls by
    timezone: tzinfo = UTC  # of its site, for what it means by today
    is_suspended: bool = False  # it is shown what it has begun, and nothing new

    @property
    def is_bound(self) -> bool:
        """Whether it is shown only what is for its own stations."""
        return bool(self.device) and self.habits.default_station_key

    @property
    def titles(self) -> frozenset[str]:
        """Every title of its own: those it calls by, and those it is shown."""
        return frozenset((*self.calling, *self.stations))


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
    explanation: tuple[dict[str, object], ...] = ()  # where nothing matched: what remained after each key

    def facts(self) -> dict[str, object]:
        """Return the fields of the log line."""
        explained = {"explanation": list(self.explanation)} if self.explanation else {}
        return {
            "status": f"{self.status:04X}",
            "keys": list(self.keys),
            "matched": self.matched,
            "answered": len(self.items),
            "truncated": self.truncated,
            "all_supported": self.all_supported,
            "transliterated": self.transliterated,
            "why": self.comment,
            **explained,
        }
