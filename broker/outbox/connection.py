"""The connection to one receiver: opened when first needed, kept, and opened anew after a failure. Judges no answer."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from broker.environments.model import Receiver
from hl7 import client


class Sender(Protocol):
    """What sends a payload and returns the answer to it."""

    def exchange(self, payload: bytes) -> bytes:
        """Return the answer. Raises OSError where there is none, Hl7Error for an endless one."""
        ...

    def close(self) -> None:
        """End the connection; the next exchange opens another."""
        ...


class Line:
    """A `Sender` over MLLP. Not for several threads at once."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._payload = b""
        self._answers: Iterator[bytes] | None = None

    def exchange(self, payload: bytes) -> bytes:
        """Return the answer to a payload.

        A connection that the receiver closed while nothing was sent is no failure: it is sent on a new one, once.
        """
        if self._answers is not None:
            with suppress(ConnectionError):
                return self._exchange(payload)
            self.close()
        return self._exchange(payload)

    def close(self) -> None:
        """End the connection; the next exchange opens another."""
        answers, self._answers = self._answers, None
        if answers is not None:
            answers.close()  # type: ignore[attr-defined] # a generator's

    def _exchange(self, payload: bytes) -> bytes:
        self._payload = payload
        if self._answers is None:
            receiver = self._receiver
            self._answers = client.send(receiver.host, receiver.port, self._payloads(), float(receiver.timeout_seconds))
        return next(self._answers)

    def _payloads(self) -> Iterator[bytes]:
        while True:
            yield self._payload
