"""C-FIND by pynetdicom, several on one association: the next begins only when its reader runs again."""

from typing import Any

from pydicom.dataset import Dataset

from tests.peers.processes import wait_for


def answers_to(association: Any, asked: Dataset, sop_class: str) -> list[tuple[Any, Any]]:
    """Return every answer (status, identifier), the final one last.

    A find pauses the thread that reads the association. One that begins before that thread has noticed that the last
    is over takes it for paused, and the thread then drops an answer: "unexpected C-FIND service message".
    """
    found = list(association.send_c_find(asked, sop_class))
    wait_for("its reader runs again", lambda: association.is_established is False or not association._is_paused)
    return found
