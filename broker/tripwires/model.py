"""The values of the tripwires: identifiers, and where they are known."""

from dataclasses import dataclass
from enum import StrEnum

OTHER_WORLD = "other-world"
"""The name of the built-in destination: the other world's DICOM listener."""

ANY_ISSUER = "*"
"""Stands for the assigning authority of a patient's identifier where none is stated."""


class Kind(StrEnum):
    """What an identifier names; one letter, as it stands in the file."""

    PATIENT = "P"
    ACCESSION = "A"
    STUDY = "S"
    STEP = "M"
    INSTANCE = "I"
    LIVE = "L"  # a device that is live here
    ENDED = "l"  # and is no more


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier in clear, which leaves this process only as a keyed hash. `issuer` is of patients."""

    kind: Kind
    value: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Which kinds of what was asked about began here, and which in the other world."""

    own: frozenset[Kind] = frozenset()
    other: frozenset[Kind] = frozenset()

    @property
    def foreign(self) -> frozenset[Kind]:
        """What began in the other world alone."""
        return self.other - self.own

    @property
    def shared(self) -> frozenset[Kind]:
        """What stands in both."""
        return self.own & self.other


def identifiers(
    *, patient: tuple[str, str] = ("", ""), accession: str = "", study: str = "", step: str = "", instance: str = ""
) -> tuple[Identifier, ...]:
    """Return the identifiers of one thing; what it does not have is left out."""
    patient_id, issuer = patient
    all_of_them = (
        Identifier(Kind.PATIENT, patient_id, issuer),
        Identifier(Kind.ACCESSION, accession),
        Identifier(Kind.STUDY, study),
        Identifier(Kind.STEP, step),
        Identifier(Kind.INSTANCE, instance),
    )
    return tuple(one for one in all_of_them if one.value)
