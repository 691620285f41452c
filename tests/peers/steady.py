"""An association of pynetdicom's whose answers reach whoever asked."""

import threading

from pynetdicom.association import Association

from tests.peers.processes import wait_for


def steady(association: Association) -> Association:
    """Return the association, once what it sends next gets its own answer.

    To send, pynetdicom pauses its thread that reads, and takes it for paused by a word that this thread writes before
    it waits and takes back after: on a busy machine a sender reads that word just between the two, and the thread goes
    on and drops the answer ("unexpected C-STORE service message"). Here waiting and taking back are one step.
    """
    if association.is_established:
        pausing = _Pausing(association)
        association._reactor_checkpoint = pausing
        wait_for("its reader comes by", lambda: pausing.is_in_use or not association.is_established)
    return association


class _Pausing(threading.Event):
    """Tells the reader to go on (`set`) or to pause (`clear`); the reader looks at it between two messages."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._step = threading.Lock()
        self.is_in_use = False
        self.set()

    def clear(self) -> None:
        with self._step:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        while True:
            found = super().wait(timeout)
            with self._step:
                self.is_in_use = True
                if self.is_set():
                    self._association._is_paused = False
                    return True
                if not found:
                    return False
