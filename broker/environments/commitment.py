"""How the spool is kept until what was sent is proven: `proof` of a destination, `[commitment]`. Decides nothing."""

from dataclasses import dataclass
from enum import StrEnum

from broker.environments.reading import TomlTable, quoted

_LONGEST_MINUTES = 7 * 24 * 60
_LONGEST_HOURS = 31 * 24
_LONGEST_SPOOL_HOURS = 10 * 366 * 24


class ProofBy(StrEnum):
    """How a destination is asked whether it keeps what it was sent."""

    AUTO = "auto"  # by storage commitment where it takes that SOP class and our request; else it is not asked
    COMMITMENT = "commitment"  # storage commitment, push model (PS3.4 annex J)
    FIND = "find"  # C-FIND, Study Root, by SOP Instance UID (PS3.4 C.6.2)
    QIDO = "qido"  # QIDO-RS (PS3.18 10.6)
    NONE = "none"  # what it answered to the instance is all there is


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """What proves that a destination keeps an instance, and how long lies between two askings."""

    by: ProofBy = ProofBy.NONE
    minutes: int = 60
    url: str = ""  # of QIDO-RS, where the destination has no URL of its own


@dataclass(frozen=True, slots=True)
class CommitmentSettings:
    """Storage commitment in both directions. Hours and minutes are of waiting, not of work."""

    wait_seconds: int = 10  # for a destination's report on the association that asked
    unproven_hours: int = 4  # delivered and not proven for so long: a person is told; 0: never
    grace_minutes: int = 15  # an instance that a device names may still be on its way to us
    decide_hours: int = 72  # then a device is told that what is not proven has failed
    report_hours: int = 168  # so long a report is offered to a device


_DEFAULT = CommitmentSettings()
_MINUTES = {ProofBy.FIND: 5, ProofBy.QIDO: 5}  # between two askings, by default


def read_proof(table: TomlTable, offered: tuple[ProofBy, ...], default: ProofBy) -> ProofSettings:
    """Return `proof`, `proof_minutes` and `proof_url` of a destination; note each mistake."""
    by = table.choice("proof", ProofBy, default) or default
    if by not in offered:
        table.wrong("proof", f"{by.value!r} is not for such a destination: use {quoted(way.value for way in offered)}")
    minutes = table.integer("proof_minutes", 1, _LONGEST_MINUTES, _MINUTES.get(by, ProofSettings().minutes))
    if by is ProofBy.QIDO and ProofBy.COMMITMENT in offered and not table.has("proof_url"):
        table.wrong("proof_url", "is needed: where the destination answers QIDO-RS")
    return ProofSettings(by, minutes, _url(table, by) if table.has("proof_url") else "")


def read_commitment(root: TomlTable) -> CommitmentSettings:
    """Return `[commitment]`; note each mistake."""
    table = root.table("commitment", required=False)
    settings = CommitmentSettings(
        wait_seconds=table.integer("wait_seconds", 0, 60, _DEFAULT.wait_seconds),
        unproven_hours=table.integer("unproven_hours", 0, _LONGEST_HOURS, _DEFAULT.unproven_hours),
        grace_minutes=table.integer("grace_minutes", 0, _LONGEST_MINUTES, _DEFAULT.grace_minutes),
        decide_hours=table.integer("decide_hours", 1, _LONGEST_HOURS, _DEFAULT.decide_hours),
        report_hours=table.integer("report_hours", 1, _LONGEST_HOURS, _DEFAULT.report_hours),
    )
    table.finish()
    return settings


def read_spool_hours(retention: TomlTable) -> int:
    """Return for how many hours an instance stays after it was delivered and proven everywhere, of `[retention]`."""
    return retention.integer("spool_hours", 0, _LONGEST_SPOOL_HOURS, 0)


def _url(table: TomlTable, by: ProofBy) -> str:
    url = table.text("proof_url")
    if by is not ProofBy.QIDO:
        table.wrong("proof_url", "is only for proof = 'qido'")
    elif not url.startswith(("http://", "https://")):
        table.wrong("proof_url", "must begin with http:// or https://")
    return url.rstrip("/")
