"""What can be wrong with an instance: on arrival, and on disk later. Decides nothing."""

from broker.errors import Rejected

DATA_SET_DOES_NOT_MATCH = 0xA900  # PS3.4 table B.2-1: data set does not match SOP Class
CANNOT_UNDERSTAND = 0xC000


class BadInstance(Rejected):
    """The data set is at fault and nothing was kept. `status` and `comment` are the C-STORE answer.

    The comment fits Error Comment (0000,0902) LO and names attributes, never their values.
    """

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[:64]


class DamagedInstance(Rejected):
    """What lies on disk is not what was received: missing, cut, changed or not ours. Sending it again will not help."""
