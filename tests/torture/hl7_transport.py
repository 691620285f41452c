"""Classes H01 to H03, H14 and H19: how bytes come, batches, and what is sent again; how each is answered."""

import os
from collections.abc import Iterator
from pathlib import Path

from hl7.header import read_batch_header, read_header
from hl7.mllp import DEFAULT_MAXIMUM, frame
from tests.golden.cases import cases
from tests.torture.hl7_exchange import ANSWERED, KIND, TAKEN, UNANSWERED, Case, single
from tests.torture.hl7_messages import encoded, header, order, pid

VT, FS_CR = b"\x0b", b"\x1c\r"
# --- H01: every file ---------------------------------------------------------------------------------------------


def payloads() -> list[tuple[str, bytes]]:
    """Return a message of every file there is: the first of a golden case, and the sample corpus where there is one."""
    found = [(case.name, case.messages[-1]) for case in cases()]
    folder = os.environ.get("BROKER_SAMPLES")
    files = sorted(Path(folder, "hl7").iterdir()) if folder else []
    for file in files:
        content = file.read_bytes().strip(VT + b"\x1c\r\n")
        # A frame cannot hold what ends it; such a file is a test of the framing.
        if VT not in content and FS_CR not in content:
            found.append((file.name, content))
    return found


def files() -> Iterator[Case]:
    """H01: every file without a frame, in one byte by byte for 300 bytes, and in one by seven bytes."""
    for name, payload in payloads():
        answers = ANSWERED if is_answered(payload) else UNANSWERED
        whole = frame(payload)
        bare = payload.replace(VT, b"").replace(FS_CR, b"")
        slow = (*(whole[at : at + 1] for at in range(min(300, len(whole)))), whole[300:])
        yield Case(f"{name} without a frame", (payload,), (UNANSWERED,), (bare,))
        yield Case(f"{name} byte by byte", (payload,), (answers,), slow)
        sevens = tuple(whole[at : at + 7] for at in range(0, min(len(whole), 2100), 7))
        yield Case(f"{name} by seven bytes", (payload,), (answers,), (*sevens, whole[2100:]))


def is_answered(payload: bytes) -> bool:
    """Tell whether bytes get an answer: batches and messages do, acknowledgements and noise do not (A.3)."""
    found = read_header(payload) or read_batch_header(payload)
    return found is not None and not found.is_acknowledgement


# --- H02: terminators --------------------------------------------------------------------------------------------

TERMINATORS = {
    "CR": b"\r",
    "LF": b"\n",
    "CRLF": b"\r\n",
    "LFCR": b"\n\r",
    "blank lines": b"\r\r\r",
    "trailing spaces": b"   \r",
    "trailing tabs": b"\t\r\n",
    "leading spaces": b"\r  ",
}


def terminators() -> Iterator[Case]:
    """H02: segments ended by whatever there is."""
    for n in range(9):
        for name, terminator in TERMINATORS.items():
            lines = order(f"2{n}", further=("NTE|1||a comment", "ZDS|1.2.3.4." + str(2000 + n))[: n % 3]).split(b"\r")
            sent = terminator.join(lines)
            yield single(f"{name} {n}", sent, "AA")
    mixed = order("2M").replace(b"\rPID", b"\nPID").replace(b"\rORC", b"\r\nORC")
    yield single("mixed", mixed, "AA")
    yield single("none at the end", order("2N").rstrip(b"\r"), "AA")
    yield single("none at all", order("2O").replace(b"\r", b""), "AR 103 MSH^1^18")
    yield single("many at the end", order("2P") + b"\r\n" * 100, "AA")
    for name, separator in {"form feed": b"\r\x0c", "NUL": b"\r\0", "vertical blank": b"\x0c\r"}.items():
        yield single(name, separator.join(order("2Q").split(b"\r")), "AA", "AE")
    for name, separator in {"NEL": b"\xc2\x85", "line separator": b"\xe2\x80\xa8", "RS": b"\x1e"}.items():
        yield single(name, separator.join(order("2R").split(b"\r")), "AR 103 MSH^1^18")


# --- H03: framing ------------------------------------------------------------------------------------------------


def framing() -> Iterator[Case]:
    """H03: frames that are broken, doubled, mixed with noise, many, long or endless."""
    for at in range(12):
        yield from _framing(order(f"3{at}", further=("NTE|1||" + "x" * at * 50,)), str(at))
    hundred = tuple(order("3H", control=f"C3H{n}") for n in range(100))
    yield Case("100 frames in one write", hundred, (TAKEN,) * 100, (b"".join(map(frame, hundred)),))
    for name, length in {"below": -1, "at": 0}.items():
        whole = _of_length(DEFAULT_MAXIMUM + length)
        yield Case(f"a frame {name} the limit", (whole,), (TAKEN,))
    yield Case("a frame over the limit", (), (), (frame(_of_length(DEFAULT_MAXIMUM + 1)),), closes=True)
    yield Case("a frame without end", (), (), (VT, *(b"x" * 2**20,) * 12), closes=True)
    yield Case("noise without end", (), (), (b"x" * 2**20,) * 12, closes=True)


def _framing(one: bytes, name: str) -> Iterator[Case]:
    good = frame(one)
    taken, unanswered = (TAKEN,), (UNANSWERED,)
    for what, noise in {"LF": b"\n", "CR": b"\r\r", "NUL": b"\0" * 50, "text": b"hello", "FS CR": FS_CR * 3}.items():
        yield Case(f"{what} before a frame {name}", (one,), taken, (noise + good,))
        yield Case(f"{what} behind a frame {name}", (one,), taken, (good + noise,))
    yield Case(f"no VT {name}", (one,), unanswered, (good[1:],))
    yield Case(f"no FS {name}", (one,), unanswered, (good[:-2] + b"\r",))
    yield Case(f"FS without CR {name}", (one,), unanswered, (good[:-1],))
    yield Case(f"an empty frame {name}", (b"",), unanswered, (VT + FS_CR,))
    yield Case(f"VT twice {name}", (one,), taken, (VT + good,))
    yield Case(f"begun anew {name}", (one,), taken, (good[: len(good) // 2] + good,))
    ended = one[:90] + FS_CR + one[90:]
    yield Case(f"FS CR inside {name}", (one[:90],), (ANSWERED,), (frame(ended),))
    yield Case(f"VT inside {name}", (one,), unanswered, (frame(one[:60] + VT + one[60:]),))


def _of_length(length: int) -> bytes:
    whole = order("3L", further=("NTE|1||",))
    return whole[:-1] + b"x" * (length - len(whole)) + b"\r"


# --- H14: batches ------------------------------------------------------------------------------------------------


def batches() -> Iterator[Case]:
    """H14: a batch is refused as a whole, whatever is in it; a message is no batch because it mentions one."""
    for n, count in enumerate(("1", "2", "99", "", "x")):
        inner = order(f"14{n}")
        bad = encoded(header("ORM^O01", f"C14B{n}"), pid("14"))
        file = b"FHS|^~\\&|RIS|HOSP|||20260201||||F%d\r" % n
        batch = b"BHS|^~\\&|RIS|HOSP|||20260201||||B%d\r" % n
        trailer = f"BTS|{count}\r".encode()
        whole = file + batch + inner + bad + inner + trailer + b"FTS|1\r"
        for name, sent in {
            "file": whole,
            "batch": batch + inner + trailer,
            "file without batch": file + inner + b"FTS|1\r",
            "batch without trailer": batch + inner + bad,
        }.items():
            yield Case(f"{name}, count {count!r}", (sent,), (KIND,))
    yield single("BHS behind a message", order("14X") + b"BHS|^~\\&|RIS\r" + order("14Y"), "AA", "AE")


# --- H19: what is sent again -------------------------------------------------------------------------------------


def repeated() -> Iterator[Case]:
    """H19: the same again gets the same; other content under the same control identifier is another message."""
    for n in range(8):
        one = order(f"19{n}")
        later = order(f"19{n}", msh={7: "20260201090000+0100"})
        other = order(f"19{n}", of_obr={31: "^other"})
        bad = order(f"19{n}", control=f"C19{n}B", of_obr={24: "", 18: f"B19{n}"}, of_orc={2: f"B{n}", 3: f"B{n}"})
        yield Case(f"the same bytes {n}", (one,) * 3, (TAKEN,) * 3)
        yield Case(f"another MSH-7 {n}", (one, later), (TAKEN,) * 2)
        yield Case(f"other content {n}", (one, other, one), (TAKEN,) * 3)
        yield Case(f"refused, and sent again {n}", (bad, bad), (frozenset({"AE 101"}),) * 2)
        yield Case(f"the answer was lost {n}", (one, one), (TAKEN,) * 2, (frame(one) + frame(one),))
