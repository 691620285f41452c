"""Several peers at once, each at its own pace by chance, until a block ends. Knows no protocol."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MOST = 1000  # acts of each
_LONGEST_REST = 0.1  # seconds between two
_PATIENCE = 20.0


@contextmanager
def crowd(act: Callable[[int, int, random.Random], None], seed: str, count: int) -> Iterator[None]:
    """Let so many peers act (whose turn, which one, its chance) again and again until the block ends."""
    over = threading.Event()

    def peer(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        for index in range(_MOST):
            if over.is_set():
                return
            act(number, index, chance)
            over.wait(chance.uniform(0, _LONGEST_REST))

    threads = [threading.Thread(target=peer, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(_PATIENCE)
