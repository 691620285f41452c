"""HL7 intake, a file per flow: one message's way from bytes to its acknowledgement, whether sent, replayed or tried.

READ FIRST: `taking` is the way of a message that came; `refusing` keeps what changes nothing; `replaying` and `trying`
are a person's. `changing` does what a message asks for, `guarding` holds what belongs to the other world, `deciding`
is pure. Knows no socket and builds no acknowledgement: the caller gives what builds it, so that it is kept with its
message.
"""

from broker.intake.model import Answer, Attempt, Beside, Taken
from broker.intake.replaying import Replaying
from broker.intake.taking import Taking
from broker.intake.trying import Trying

__all__ = ["Answer", "Attempt", "Beside", "Intake", "Taken"]


class Intake(Taking, Replaying, Trying):
    """The intake of one environment. Every method may be called from many threads at once."""
