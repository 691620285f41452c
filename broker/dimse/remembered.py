"""A-ASSOCIATE-RQs that came before, byte for byte: what they say and what we answer. A device's are all the same.

Bounded in number and size, since a peer chooses the bytes; what offers a user identity is not kept, it is a secret.
"""

from collections.abc import Mapping

from broker.dimse import negotiation
from broker.dimse.contexts import Supported
from broker.dimse.negotiation import Agreement
from broker.dimse.pdu import AssociateRq, decode_associate_rq, encode_associate_ac

_KEPT = 256
_LONGEST = 4_096  # bytes


class Remembered:
    """The requests of one listener. Any number of threads may ask."""

    def __init__(self, supported: Mapping[str, Supported], maximum_length: int) -> None:
        self._supported = supported
        self._maximum_length = maximum_length
        self._read: dict[bytes, AssociateRq] = {}
        self._agreed: dict[AssociateRq, tuple[Agreement, bytes] | None] = {}  # of those kept, None: not yet

    def read(self, body: bytes) -> AssociateRq:
        """Return the request that `body`, what follows the PDU header, says; raise InvalidPdu."""
        request = self._read.get(body)
        if request is None:
            request = decode_associate_rq(body)
            if len(body) <= _LONGEST and request.user.identity is None:
                self._keep(body, request)
        return request

    def agree(self, request: AssociateRq) -> tuple[Agreement, bytes]:
        """Return what we accept of a request, and the A-ASSOCIATE-AC that says so."""
        agreed = self._agreed.get(request)
        if agreed is None:
            agreement = negotiation.agree(request, self._supported, self._maximum_length)
            agreed = agreement, encode_associate_ac(agreement.answer)
            if request in self._agreed:
                self._agreed[request] = agreed
        return agreed

    def _keep(self, body: bytes, request: AssociateRq) -> None:
        if len(self._read) >= _KEPT:
            self._read.clear()
            self._agreed.clear()
        self._read[body] = request
        self._agreed.setdefault(request, None)
