"""Class H16: seeded mutations of golden messages and of the sample corpus. A seed gives the same bytes again."""

import random
from collections.abc import Iterator

from tests.torture.hl7_exchange import ANSWERED, UNANSWERED, Case
from tests.torture.hl7_transport import is_answered, payloads

SEEDS = 50
MUTATIONS = 400  # of each
_TOGETHER = 10  # on one connection, with one good order behind them
_FRAMING = bytes.maketrans(b"\x0b\x1c", b"  ")  # what ends a frame is H03's matter
_PIECES = (
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b'""',
    b"\\X",
    b"MSH|",
    b"PID|",
    b"ORC|",
    b"OBR|",
)


def mutations(seed: int) -> Iterator[Case]:
    """H16: 20,000 mutations; each is answered, or is none that has an answer."""
    known = payloads()
    chosen = known[:: max(1, len(known) // SEEDS)][:SEEDS]
    for name, payload in chosen:
        for first in range(0, MUTATIONS, _TOGETHER):
            chance = random.Random(f"{seed} {name} {first}")
            mutated = tuple(mutate(chance, payload) for _ in range(_TOGETHER))
            answers = tuple(ANSWERED if is_answered(one) else UNANSWERED for one in mutated)
            yield Case(f"seed {seed}, {name}, {first}", mutated, answers)


def mutate(chance: random.Random, content: bytes) -> bytes:
    """Return `content` with one to six changes: bytes set, separators put in, pieces cut out, doubled or moved."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(changed) or 1)
        match chance.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[at:at] = chance.choice(_PIECES) * chance.choice((1, 1, 1, 20))
            case 2:
                del changed[at : at + chance.randint(1, 40)]
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 200)]
            case 4:
                piece = bytes(changed[at : at + chance.randint(1, 60)])
                to = chance.randrange(len(changed) or 1)
                changed[to:to] = piece
            case _:
                changed[at : at + 1] = chance.choice(_PIECES)
    if chance.random() < 0.05:
        del changed[chance.randrange(len(changed) or 1) :]
    return bytes(changed).translate(_FRAMING)
