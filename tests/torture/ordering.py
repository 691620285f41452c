"""Systems that send orders over MLLP until the block ends, and what the worklist then shows of them."""

import random
import socket
from contextlib import AbstractContextManager, closing, suppress

from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.torture import hl7_messages, query_client
from tests.torture.crowd import crowd
from tests.torture.hl7_exchange import frames
from tests.torture.judge import Ordered
from tests.unit.worklist.building import decoded, identifier

SENDERS = 5
_SECONDS = 5.0


class Orders:
    """What was ordered and what was answered. For several threads, each with numbers of its own."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()

    def send(self, port: int, number: str) -> None:
        """Send an order on a connection of its own; whatever comes of it is noted."""
        self.sent.add(number)
        with suppress(OSError, StopIteration), closing(socket.create_connection(("127.0.0.1", port), _SECONDS)) as peer:
            peer.settimeout(_SECONDS)
            peer.sendall(frame(hl7_messages.order(number)))
            if next(read_acknowledgement(payload).code for payload in frames(peer)) == "AA":
                self.acknowledged.add(number)

    def send_again(self, port: int) -> None:
        """Send what was not acknowledged again, byte for byte, as any sender does."""
        for number in sorted(self.sent - self.acknowledged):
            self.send(port, number)

    def shown(self, port: int) -> Ordered:
        """Ask the worklist for everything; return what it shows of these."""
        asked = identifier(**dict.fromkeys(_KEYS, ""))
        heard = query_client.ask(port, asked)
        assert heard.final == 0, f"the worklist answered {heard.final:04X}"
        listed: list[str] = []
        half: list[str] = []
        for answer in heard.identifiers:
            found = decoded(answer)
            number = str(found.AccessionNumber).removeprefix("A")
            is_whole = (str(found.PatientID), str(found.RequestedProcedureID)) == (f"H{number}", f"R{number}")
            (listed if is_whole else half).append(number)
        return Ordered(self.sent, self.acknowledged, listed, half)


_KEYS = ("AccessionNumber", "PatientID", "PatientName", "RequestedProcedureID")


def ordering(orders: Orders, port: int, life: int, seed: int, count: int = SENDERS) -> AbstractContextManager[None]:
    """Let so many systems send orders until the block ends."""

    def order(sender: int, index: int, _chance: random.Random) -> None:
        orders.send(port, f"{life}N{sender}N{index}")

    return crowd(order, f"orders {seed}", count)
