"""The values of a promotion. What is tested is one revision with its binding in one environment, as `Side` names it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.environments.model import World
from broker.registry.model import Binding


class Life(StrEnum):
    """Where a modality stands in one environment; the comment says who acts next."""

    DRAFT = "draft"  # the administrator: it has no binding yet
    TESTING = "testing"  # the device: its traffic is the evidence
    READY = "ready"  # the administrator: every check of Test has passed
    REHEARSING = "rehearsing"  # the administrator, in Production: its worklist was looked at, its own calls are refused
    SCHEDULED = "scheduled"  # the clock: an approved plan is applied then
    WATCHED = "watched"  # the machine: live, and what goes wrong is told at once
    LIVE = "live"  # nobody
    SUSPENDED = "suspended"  # the administrator: no new worklist items; open exams still store, finish and commit
    RETIRED = "retired"  # nobody


class CheckState(StrEnum):
    """What a check says."""

    PASSED = "passed"  # with what, and when
    MISSING = "missing"  # and what to do at the console to tick it
    FAILED = "failed"  # and why
    STALE = "stale"  # it had passed for something that has changed since
    NOT_APPLICABLE = "not applicable"  # who said so, and why


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check says of one device. Texts are without patient data; facts are named by ids of ours."""

    check: str  # the file's name: "worklist_query"
    title: str  # "Worklist query that returned the test order"
    state: CheckState
    text: str  # what passed, is missing, failed, or is stale, in one sentence
    to_do: str = ""  # what a person does to tick it, where it did not pass
    at: datetime | None = None  # of the newest fact it rests on
    facts: tuple[str, ...] = ()  # such as "association 01K…", "query 17", "instance 01K…"

    @property
    def is_open(self) -> bool:
        """Whether it stands in the way."""
        return self.state not in (CheckState.PASSED, CheckState.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a device says of itself; evidence of two devices is never added up."""

    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    manufacturer: str = ""
    model_name: str = ""
    device_serial_number: str = ""
    software_versions: str = ""


@dataclass(frozen=True, slots=True)
class Hashes:
    """SHA-256 of what surrounds a device in one environment, each over a canonical text; see `snapshot`."""

    destinations: str
    routes: str
    policy: str
    mapping: str


@dataclass(frozen=True, slots=True)
class Side:
    """One device in one environment, as a plan sees it. `revision` is empty where the device is unknown there."""

    environment: str
    world: World
    name: str
    revision: str
    binding: Binding
    life: Life
    hashes: Hashes


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that a promotion changes; `field` is dotted as in the document: worklist.limit, binding.station."""

    field: str
    before: str  # "" where there was none
    after: str  # "" where it goes
    at_console: bool = False  # the device itself must be changed too


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen, and whether it may. `checksum` covers everything but the checks."""

    name: str
    source: Side
    target: Side
    differences: tuple[Difference, ...]
    checks: tuple[CheckResult, ...]
    checksum: str
    made: datetime

    @property
    def open_checks(self) -> tuple[CheckResult, ...]:
        """What stands in the way."""
        return tuple(check for check in self.checks if check.is_open)

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.open_checks


class RequestState(StrEnum):
    """Where a request for promotion stands; the comment says who acts next."""

    REQUESTED = "requested"  # another person
    APPROVED = "approved"  # the administrator, or the clock where a time was set
    REJECTED = "rejected"  # nobody
    APPLIED = "applied"  # nobody
    LAPSED = "lapsed"  # nobody: a side moved since the plan was reviewed


@dataclass(frozen=True, slots=True)
class Request:
    """A plan that somebody wants applied. It lives in the target environment's database."""

    id: str  # "production/17"
    name: str
    plan_checksum: str
    source_environment: str
    source_file: str  # the profile of the environment it comes from
    revision: str
    document: bytes
    binding: Binding  # as it is to be
    state: RequestState
    requested: datetime
    requested_by: str
    decided: datetime | None = None
    decided_by: str = ""
    why: str = ""
    apply_at: datetime | None = None
    applied: datetime | None = None
    applied_by: str = ""
    evidence: tuple[CheckResult, ...] = field(default=())  # as it was when requested
