"""What consoles ask again and again, prepared once: a question by its bytes and by who asks. Looks up no item.

Nothing that depends on the moment is kept: what a question means today is `habits`' to say, each time.
"""

from dataclasses import dataclass
from functools import lru_cache

from broker.worklist.dataset import Answers
from broker.worklist.model import Viewer
from broker.worklist.query import Query, read
from broker.worklist.searching import Search
from broker.worklist.stations import Stations

_KEPT = 256
_LONGEST = 4_096  # bytes of an identifier that is kept: a peer chooses them


@dataclass(slots=True, eq=False)
class Question:
    """Which items an identifier asks for, what joins its answers, and the search that it came to last."""

    query: Query  # as it was sent
    answers: Answers
    _search: Search | None = None

    def search(self, meant: Query, viewer: Viewer, registry_stations: Stations) -> Search:
        """Return the search for what it means now: the last one where nothing of that has changed."""
        search = self._search
        if search is None or not search.is_of(meant, registry_stations):
            search = self._search = Search(meant, viewer, registry_stations)
        return search


def question(identifier: bytes, transfer_syntax: str, viewer: Viewer) -> Question:
    """Return what a viewer asks with an identifier. Raises BadQuery."""
    if len(identifier) > _LONGEST:
        return _read(identifier, transfer_syntax, viewer)
    return _known(identifier, transfer_syntax, viewer)


def _read(identifier: bytes, transfer_syntax: str, viewer: Viewer) -> Question:
    query = read(identifier, transfer_syntax, viewer.habits)
    return Question(query, Answers(query, viewer, transfer_syntax))


_known = lru_cache(maxsize=_KEPT)(_read)
