"""Class H18: hundreds of connections that say nothing, or a byte a second, beside a sender that means it."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

from hl7.mllp import frame
from tests.torture.hl7_exchange import exchange, good_order

CROWD = 200
ORDERS = 100
WORST_SECONDS = 1.0  # p99 of an acknowledgement

CROWDS = {
    "200 that say nothing": b"",
    "200 in the middle of a frame": b"\x0bMSH|^~\\&|RIS",
    "200 at one byte a second": frame(good_order()),
    "200 that send noise": b"\n" * 100,
}


def crowds(port: int) -> dict[str, Callable[[], None]]:
    """H18: return what sends good orders beside each crowd."""
    return {name: partial(beside, port, name) for name in CROWDS}


def beside(port: int, name: str) -> None:
    """Send good orders beside a crowd; raise AssertionError where they wait."""
    said, drips = CROWDS[name], "a second" in name
    stop = threading.Event()
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(_connected(port))) for _ in range(CROWD)]
        for peer in crowd:
            peer.sendall(said[:1] if drips else said)
        dripping = threading.Thread(target=_drip, args=(crowd, said, stop)) if drips else None
        if dripping:
            dripping.start()
        try:
            times = sorted(_timed(port) for _ in range(ORDERS))
        finally:
            stop.set()
            if dripping:
                dripping.join()
    worst = times[int(len(times) * 0.99) - 1]
    assert worst < WORST_SECONDS, f"p99 of an acknowledgement is {worst:.2f} s"


def _drip(crowd: list[socket.socket], said: bytes, stop: threading.Event) -> None:
    for at in range(1, len(said)):
        for peer in crowd:
            peer.sendall(said[at : at + 1])
        if stop.wait(1.0):
            return


def _timed(port: int) -> float:
    begun = time.monotonic()
    exchange(port, ())
    return time.monotonic() - begun


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)
