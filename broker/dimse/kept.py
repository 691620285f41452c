"""Associations that outlive their block for a few seconds, so that the next batch need not negotiate again.

Only one that fell silent in good order is used again; everything else is opened as if there were none. One thread.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from broker.dimse.requestor import EngineRequestor, OpenAssociation
from broker.dimse.service import Peer

# Peers end what idles for a minute, and have few associations to give: shorter than any of them.
IDLE_SECONDS = 4.0
AGE_SECONDS = 300.0  # then titles, contexts and certificates are looked at anew


@dataclass(slots=True)
class _Kept:
    peer: Peer
    association: OpenAssociation
    held: ExitStack  # closing it releases the association
    opened: float
    used: float


class KeptAssociations:
    """Opens associations as an `EngineRequestor` does, and keeps the last one for the next who wants no more of it."""

    def __init__(self, requestor: EngineRequestor, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._requestor = requestor
        self._now = monotonic
        self._kept: _Kept | None = None

    @contextmanager
    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> Iterator[OpenAssociation]:
        """Give an association on which each context was proposed. Raises what `EngineRequestor.associate` does.

        When the block raises, it is aborted; else it is kept where it may be used again, and released where not.
        """
        wanted = tuple(dict.fromkeys(contexts))
        one = self._again(peer, wanted) or self._opened(peer, wanted)
        try:
            yield one.association
        except BaseException:
            if not one.held.__exit__(*sys.exc_info()):
                raise
            return
        if not one.association.is_idle:
            one.held.close()
            return
        one.used = self._now()
        self._kept = one

    def sweep(self) -> None:
        """Release what nobody has wanted for a while."""
        if self._kept is not None and not self._is_fresh(self._kept):
            self.close()

    def close(self) -> None:
        """Release what is kept. Whether the peer answers to that is nobody's failure any more."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.held.close()

    def _again(self, peer: Peer, wanted: tuple[tuple[str, str], ...]) -> _Kept | None:
        kept = self._kept
        if kept is None:
            return None
        fits = kept.peer == peer and kept.association.proposed.issuperset(wanted)
        if not (fits and self._is_fresh(kept) and kept.association.is_idle):
            self.close()
            return None
        self._kept = None
        return kept

    def _opened(self, peer: Peer, wanted: tuple[tuple[str, str], ...]) -> _Kept:
        held = ExitStack()
        association = held.enter_context(self._requestor.associate(peer, wanted))
        now = self._now()
        return _Kept(peer, association, held, now, now)

    def _is_fresh(self, kept: _Kept) -> bool:
        now = self._now()
        return now - kept.used <= IDLE_SECONDS and now - kept.opened <= AGE_SECONDS
