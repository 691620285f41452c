"""Writers that change several worklist entries with each message: an answer that saw a message half shows it.

Each has versions, counted from 0; `seen` reads which version an answer shows, and raises AssertionError where its rows
are of different ones.
"""

import itertools
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.torture.hl7_exchange import frames
from tests.torture.hl7_messages import adt, encoded, header, obr, orc, order, pid

DAYS = ("20260201", "20260301")  # before and behind everything else
_START = "^^^{}093000^^R"


@dataclass(frozen=True)
class Row:
    """What of one answer is looked at."""

    accession: str
    patient_id: str
    patient_name: str
    description: str
    day: str


@dataclass
class Writer:
    """One way of changing entries: the messages that make version 0, and the one that makes each further version."""

    name: str
    first: tuple[bytes, ...]
    change: Callable[[int], bytes]
    seen: Callable[[Mapping[str, Row]], int]
    sent: int = 0  # versions of which the message has left
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)

    def run(self, port: int, stop: threading.Event) -> None:
        """Make one version after the other until told to stop."""
        with closing(socket.create_connection(("127.0.0.1", port), 20)) as peer:
            for version in itertools.count(1):
                if stop.is_set():
                    return
                self.sent = version
                peer.sendall(frame(self.change(version)))
                code = read_acknowledgement(next(frames(peer))).code
                if code != "AA":
                    self.refused.append(f"version {version}: {code}")
                    return
                self.acknowledged = version


def writers() -> list[Writer]:
    """All of them, for one worklist."""
    return [
        Writer("two orders of one message", (_pair(0),), _pair, _seen_of_pair),
        Writer("a patient's name", tuple(_named(n) for n in range(5)), _renamed, _seen_name),
        Writer("a merge", tuple(_owned(n) for n in range(4)), _merged, _seen_patient),
        Writer("an order instead of another", (_instead(0),), _instead, _seen_instead),
        Writer("a move to another day", (_moved(0),), _moved, _seen_day),
    ]


def filling(count: int) -> list[bytes]:
    """Messages of ten orders each, which stay as they are: between the days of the one that moves."""
    return [_ten(number) for number in range(count // 10)]


def _ten(number: int) -> bytes:
    names = [f"FILL{number}X{n}" for n in range(10)]
    lines = [line for name in names for line in (orc(name, {7: _START.format("20260210")}), obr(name))]
    return encoded(header("ORM^O01", f"FILL{number}"), pid("FILL"), *lines)


def _sent(version: int) -> dict[int, str]:
    """MSH-7, later for each version."""
    minutes, seconds = divmod(version, 60)
    return {7: f"202602{9 + minutes // 1440:02}{minutes // 60 % 24:02}{minutes % 60:02}{seconds:02}+0100"}


# --- the kinds ---------------------------------------------------------------------------------------------------


def _pair(version: int) -> bytes:
    control, procedure = "XO" if version else "NW", {4: f"US1^v{version}^L"}
    groups = [line for name in ("PA", "PB") for line in (orc(name, {1: control}), obr(name, procedure))]
    return encoded(header("ORM^O01", f"PAIR{version}", _sent(version)), pid("PAIR"), *groups)


def _seen_of_pair(rows: Mapping[str, Row]) -> int:
    return _one({rows["APA"].description, rows["APB"].description}, "v")


def _named(number: int) -> bytes:
    return order(f"NAME{number}", of_pid={3: "HNAME^^^HOSP^MR", 5: "N^V0"})


def _renamed(version: int) -> bytes:
    message = adt("A08", "NAME", control=f"NAMED{version}", of_pid={5: f"N^V{version}"})
    return message.replace(b"20260201080000+0100", _sent(version)[7].encode())


def _seen_name(rows: Mapping[str, Row]) -> int:
    return _one({rows[f"ANAME{n}"].patient_name for n in range(5)}, "N^V")


def _owned(number: int) -> bytes:
    return order(f"OWN{number}", of_pid={3: "HOWN0^^^HOSP^MR"})


def _merged(version: int) -> bytes:
    return adt("A40", f"OWN{version}", control=f"MERGE{version}", merged=f"HOWN{version - 1}^^^HOSP^MR")


def _seen_patient(rows: Mapping[str, Row]) -> int:
    return _one({rows[f"AOWN{n}"].patient_id for n in range(4)}, "HOWN")


def _instead(version: int) -> bytes:
    names = [("CA", f"SWAP{version - 1}"), ("NW", f"SWAP{version}")] if version else [("NW", "SWAP0")]
    groups = [line for control, name in names for line in (orc(name, {1: control}), obr(name))]
    return encoded(header("ORM^O01", f"SWAP{version}", _sent(version)), pid("SWAP"), *groups)


def _seen_instead(rows: Mapping[str, Row]) -> int:
    return _one({accession for accession in rows if accession.startswith("ASWAP")}, "ASWAP")


def _moved(version: int) -> bytes:
    control, day = "XO" if version else "NW", DAYS[version % 2]
    stated = {1: control, 7: _START.format(day)}
    return order("MOVE", control=f"MOVE{version}", msh=_sent(version), of_orc=stated, of_obr={4: f"US1^d{version}^L"})


def _seen_day(rows: Mapping[str, Row]) -> int:
    version = _one({rows["AMOVE"].description}, "d")
    assert rows["AMOVE"].day == DAYS[version % 2], "description and day are of different versions"
    return version


def _one(values: set[str], before: str) -> int:
    """Return the version that all rows show."""
    assert len(values) == 1, f"rows of {len(values)} versions: {sorted(values)}"
    return int(values.pop().removeprefix(before))


def by_accession(rows: Sequence[Row]) -> dict[str, Row]:
    """Return the rows by accession number; none may be there twice."""
    found = {row.accession: row for row in rows}
    assert len(found) == len(rows), "an entry is there twice"
    return found
