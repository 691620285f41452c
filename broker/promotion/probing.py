"""Asks what a target has around it: destinations, ports, disk, certificates. Each thing once; sends no image.

Ask `ahead` of a transaction: none is held across the network.
"""

import shutil
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from broker.dimse.service import Peer
from broker.environments.model import Destination, Profile
from broker.environments.model import Protocol as DestinationProtocol
from broker.errors import BrokerError
from broker.identifiers import AETitle
from broker.promotion import certificates

_SECONDS = 3.0

Contexts = tuple[tuple[str, str], ...]
"""Each (SOP class, transfer syntax) that is to be taken."""


class Negotiated(Protocol):
    """An association that we opened."""

    @property
    def accepted(self) -> dict[tuple[str, str], int]:
        """The accepted contexts: (SOP class, transfer syntax) to its number."""
        ...


class Caller(Protocol):
    """What opens associations for us (`dimse.requestor.EngineRequestor`)."""

    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> AbstractContextManager[Negotiated]:
        """Open an association, and release it at the end of the block. Raises AssociationRefused, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking a destination: what it takes, or why it is not known."""

    accepted: frozenset[tuple[str, str]] = frozenset()
    failure: str = ""


class Prober(Protocol):
    """What asks."""

    def takes(self, destination: Destination, contexts: Contexts, calling: AETitle) -> Answered:
        """Negotiate these contexts with a destination, and release."""
        ...

    def listens(self, host: str, port: int) -> bool:
        """Tell whether somebody accepts connections there."""
        ...

    def free(self, directory: Path) -> int:
        """Return how many bytes are free where a directory is, or is to be."""
        ...

    def ends(self, certificate: Path) -> datetime:
        """Return when a certificate ends. Raises Misconfigured."""
        ...


class Network:
    """Asks the real world, and remembers: what is asked for again within one command is the same."""

    def __init__(self, caller: Callable[[Destination], Caller], web: Callable[[Destination], str]) -> None:
        """`caller` gives what calls a DIMSE destination; `web` says that a STOW one answers, or raises Unavailable."""
        self._caller = caller
        self._web = web
        self._taken: dict[tuple[str, str, Contexts], Answered] = {}

    def ahead(self, target: Profile, names: Iterable[str], contexts: Contexts, calling: AETitle) -> None:
        """Ask these destinations of a target now, so that later answers are at hand."""
        for destination in (each for each in target.destinations if each.name in names):
            self.takes(destination, contexts, calling)

    def takes(self, destination: Destination, contexts: Contexts, calling: AETitle) -> Answered:
        """Negotiate these contexts with a destination, and release; what is no DIMSE takes all it answers for."""
        key = (destination.name, str(calling), contexts)
        if key not in self._taken:
            self._taken[key] = self._asked(destination, contexts, calling)
        return self._taken[key]

    def listens(self, host: str, port: int) -> bool:
        """Tell whether somebody accepts connections there."""
        try:
            socket.create_connection((host, port), _SECONDS).close()
        except OSError:
            return False
        return True

    def free(self, directory: Path) -> int:
        """Return how many bytes are free where a directory is, or is to be."""
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        return shutil.disk_usage(existing).free

    def ends(self, certificate: Path) -> datetime:
        """Return when a certificate ends. Raises Misconfigured."""
        return certificates.ends(certificate)

    def _asked(self, destination: Destination, contexts: Contexts, calling: AETitle) -> Answered:
        try:
            match destination.protocol:
                case DestinationProtocol.DIMSE:
                    return self._negotiated(destination, contexts, calling)
                case DestinationProtocol.STOW:
                    self._web(destination)
                case DestinationProtocol.FOLDER:
                    return _folder(destination, contexts)
        except BrokerError as error:
            return Answered(failure=" ".join(str(error).split()))
        return Answered(frozenset(contexts))

    def _negotiated(self, destination: Destination, contexts: Contexts, calling: AETitle) -> Answered:
        peer = Peer(destination.host, destination.port, str(destination.ae_title), str(calling))
        with self._caller(destination).associate(peer, contexts) as association:
            return Answered(frozenset(association.accepted))


def _folder(destination: Destination, contexts: Contexts) -> Answered:
    path = destination.path
    if path is None or not (path.is_dir() or path.parent.is_dir()):
        return Answered(failure=f"the folder {path} is not there")
    return Answered(frozenset(contexts))
