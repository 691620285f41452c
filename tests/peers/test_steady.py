"""What `steady` is for: a reader that is slow to see that it may go on."""

import threading
import time

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from tests.peers.steady import steady


def test_every_echo_gets_its_own_answer_from_a_reader_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, console = AE(), AE()
    provider.add_supported_context(Verification)
    console.add_requested_context(Verification)
    console.dimse_timeout = 5
    server = provider.start_server(("127.0.0.1", 0), block=False)
    _slow_down(monkeypatch)
    try:
        association = steady(console.associate("127.0.0.1", server.socket.getsockname()[1]))
        assert [association.send_c_echo().get("Status") for _ in range(40)] == [0] * 40
        association.release()
    finally:
        server.shutdown()


def _slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each reader of a requestor need 3 ms from what it waits for to its next step, as on a busy machine."""
    reading, waiting = Association._run_reactor, threading.Event.wait

    def read(self: Association) -> None:
        threading.current_thread().name = "slow" if self.is_requestor else "quick"
        reading(self)

    def wait(self: threading.Event, timeout: float | None = None) -> bool:
        found = waiting(self, timeout)
        if threading.current_thread().name == "slow":
            time.sleep(0.003)
        return found

    monkeypatch.setattr(Association, "_run_reactor", read)
    monkeypatch.setattr(threading.Event, "wait", wait)
