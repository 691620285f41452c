"""Every tripwire, a row each: what trips it, in which direction, what happens, and where. Decides nothing."""

from dataclasses import dataclass
from enum import StrEnum


class Into(StrEnum):
    """Which world a tripwire guards."""

    BOTH = "both"
    PRODUCTION = "production"


class Response(StrEnum):
    """What happens; never nothing."""

    REFUSED = "refused"
    HELD = "held"
    HANDED_OVER = "handed over"
    ALERTED = "alerted"


class Where(StrEnum):
    """At which step of which flow it is looked at."""

    START = "start"
    ORDER = "order"
    ASSOCIATION = "association"
    IMAGE = "image"
    STEP = "performed step"
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class Tripwire:
    """One row. `text` is for a person: what happened and what to do, without patient data."""

    name: str
    into: Into
    response: Response
    where: Where
    text: str

    @property
    def event(self) -> str:
        """The name of its alert."""
        return f"tripwire.{self.name}"


_RELEASE = "compare, then `broker delivery release`"
_REPLAY = "see `broker order inbox`, then replay or dismiss it"

_ROWS = (
    Tripwire(
        "destination-of-other",
        Into.BOTH,
        Response.REFUSED,
        Where.START,
        "a destination is one of the other world: change its address or title",
    ),
    Tripwire(
        "same-name",
        Into.BOTH,
        Response.REFUSED,
        Where.START,
        "both worlds have one name, of which the UIDs made here are derived: rename one",
    ),
    Tripwire(
        "same-kind", Into.BOTH, Response.REFUSED, Where.START, "the other world is of the same kind: name the right one"
    ),
    Tripwire(
        "same-state",
        Into.BOTH,
        Response.REFUSED,
        Where.START,
        "both worlds write in one place: give each a state, a database and a file of identifiers of its own",
    ),
    Tripwire(
        "state-of-other",
        Into.BOTH,
        Response.REFUSED,
        Where.START,
        "the state was written by another environment, so it is a copy: give this one its own (after a renaming remove "
        "its file of identifiers)",
    ),
    Tripwire(
        "database-of-other",
        Into.BOTH,
        Response.ALERTED,
        Where.START,
        "the database knows exams that began in the other world, and its file of identifiers does not: is it a copy?",
    ),
    Tripwire(
        "same-title",
        Into.BOTH,
        Response.ALERTED,
        Where.START,
        "both worlds answer under one AE title: a console set to the wrong port is not refused; give them two",
    ),
    Tripwire(
        "destination-world",
        Into.BOTH,
        Response.REFUSED,
        Where.SENDER,
        "nothing is sent to it: it belongs to the other world",
    ),
    Tripwire(
        "unreadable",
        Into.BOTH,
        Response.ALERTED,
        Where.START,
        "what began in the other world cannot be read, or not all: the rest is taken as ours; see `broker env check`",
    ),
    Tripwire(
        "unwritten",
        Into.BOTH,
        Response.ALERTED,
        Where.START,
        "what begins here could not be written for the other world: make room, or correct the file's rights",
    ),
    Tripwire(
        "test-patient-order",
        Into.PRODUCTION,
        Response.HELD,
        Where.ORDER,
        f"a message is about a commissioning or test patient: {_REPLAY}",
    ),
    Tripwire(
        "test-name",
        Into.PRODUCTION,
        Response.ALERTED,
        Where.ORDER,
        "a patient is called like a test patient: it was taken; look whether it is a real one",
    ),
    Tripwire(
        "order-of-other",
        Into.BOTH,
        Response.HELD,
        Where.ORDER,
        f"a message is about an order that began in the other world: {_REPLAY}; is its RIS sending to both?",
    ),
    Tripwire(
        "order-of-both",
        Into.BOTH,
        Response.ALERTED,
        Where.ORDER,
        "an order stands in both worlds: it was taken; is the RIS a clone of the other's?",
    ),
    Tripwire(
        "patient-of-other",
        Into.BOTH,
        Response.ALERTED,
        Where.ORDER,
        "the other world knows the patient or the accession number: it was taken; is the RIS a clone of the other's?",
    ),
    Tripwire(
        "image-of-other",
        Into.BOTH,
        Response.HANDED_OVER,
        Where.IMAGE,
        "images of an exam that began in the other world came here: they are handed over; is the console set right?",
    ),
    Tripwire(
        "image-of-both",
        Into.BOTH,
        Response.HELD,
        Where.IMAGE,
        f"an image's study stands in both worlds: it is held; {_RELEASE}",
    ),
    Tripwire(
        "image-by-patient",
        Into.BOTH,
        Response.HELD,
        Where.IMAGE,
        f"an image's patient or accession number is known in the other world alone: it is held; {_RELEASE}",
    ),
    Tripwire(
        "handed-back",
        Into.BOTH,
        Response.HELD,
        Where.IMAGE,
        f"the other world handed over what began there: it is held; {_RELEASE}",
    ),
    Tripwire(
        "test-patient-image",
        Into.PRODUCTION,
        Response.HELD,
        Where.IMAGE,
        f"an image is of a commissioning or test patient: it is held; {_RELEASE}, or discard it",
    ),
    Tripwire(
        "step-of-other",
        Into.BOTH,
        Response.HANDED_OVER,
        Where.STEP,
        "an exam that began in the other world was reported here: it is handed over; is the console set right?",
    ),
    Tripwire(
        "step-of-both",
        Into.BOTH,
        Response.ALERTED,
        Where.STEP,
        "a performed step's study stands in both worlds: it was taken; see `broker procedure list`",
    ),
    Tripwire(
        "step-by-patient",
        Into.BOTH,
        Response.ALERTED,
        Where.STEP,
        "a performed step's patient or accession number is known in the other world: see `broker procedure list`",
    ),
    Tripwire(
        "test-patient-step",
        Into.PRODUCTION,
        Response.ALERTED,
        Where.STEP,
        "an exam of a commissioning or test patient was begun: its images are held",
    ),
    Tripwire(
        "live-elsewhere",
        Into.BOTH,
        Response.ALERTED,
        Where.ASSOCIATION,
        "it is live in the other world and talks to this one: set its console to the other, see `broker card`",
    ),
)
TRIPWIRES = {row.name: row for row in _ROWS}
"""By name. MSH-11, unknown callers and a destination's `world` in the profile are refused by their own rooms."""
