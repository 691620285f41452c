"""Classes Q01 to Q04: identifiers as consoles, DCMTK and attackers send them, and what is answered.

All are asked of a worklist that holds a flood of items behind the golden ones. Who would be answered the flood has
heard enough after the golden ones, but for Q04.
"""

import itertools
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.narrowing import narrow
from broker.worklist.query import BadQuery, read
from broker.worklist.stations import Stations
from broker.worklist.store import OFFERED
from tests.torture import query_client
from tests.torture.measured import Tally
from tests.torture.query_server import FLOOD_MODALITY
from tests.unit.worklist.building import decoded, encoded, identifier, set_keys
from tests.wire.dimse import raw_peer
from tests.wire.dimse.test_acceptor_states import echoes
from tests.wire.worklist_golden import SEQUENCE, Query, planned, queries
from tests.wire.worklist_golden import identifier as golden_identifier

T = TypeVar("T")

DATE, TIME, STATION = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "ScheduledStationAETitle"
FLOOD_DATE = "20270301"
REFUSED = frozenset({0xA900, 0xC000})


@dataclass(frozen=True)
class Case:
    """One query; `find` None: whatever is found, it is not everything."""

    name: str
    data: bytes
    finals: frozenset[int] = frozenset({0x0000})
    find: tuple[str, ...] | None = ()
    calling: str = "ANYBODY"


def items() -> list[WorklistItem]:
    """What is offered, in the order of answers."""
    offered = [item for item in planned() if item.status in OFFERED]
    return sorted(offered, key=_start)


def _start(item: WorklistItem) -> str:
    return item.scheduled_procedure_step_start_date + item.scheduled_procedure_step_start_time + item.patient_name


def accessions(of: Iterable[WorklistItem]) -> tuple[str, ...]:
    return tuple(item.accession_number for item in of)


# --- Q01 -------------------------------------------------------------------------------------------------------------


def q01() -> Iterator[Case]:
    """What wlmscpfs was asked too (its answers are in the fixture), and sequences and private creators as Orthanc's."""
    for query in queries("matching"):
        yield _golden(query)
    for item in items()[:14]:
        yield from _nested(item.accession_number)


def _golden(query: Query) -> Case:
    final = int(query.get("status", "0000"), 16)
    return Case(query["name"], encoded(golden_identifier(query)), frozenset({final}), tuple(query.get("find", ())))


def _nested(accession: str) -> Iterator[Case]:
    asked = Dataset()
    set_keys(asked, {"AccessionNumber": accession, "RequestedProcedureCodeSequence": [Dataset()], SEQUENCE: []})
    yield Case(f"empty sequences of {accession}", encoded(asked), find=(accession,))
    private = Dataset()
    set_keys(private, {"AccessionNumber": accession})
    private.add_new(0x80010010, "LO", "LIAC")
    private.add_new(0x80011001, "LO", "ONCO^FRANCO")
    yield Case(f"a private creator with {accession}", encoded(private), find=(accession,))


# --- Q02 -------------------------------------------------------------------------------------------------------------

_DAYS = ("20260131", "20260201", "20260202", "20260205")
_TIMES = ("0030", "0745", "1000", "2330")


def q02() -> Iterator[Case]:
    """Ranges, names, lists, wildcards and universal keys, judged by another way of reckoning than the product's."""
    every = items()
    yield from _ranges(every)
    yield from _names(every)
    for item in every:
        uids = f"1.2.999\\{item.study_instance_uid}\\{every[0].study_instance_uid}"
        found = [each for each in every if each.study_instance_uid in uids.split("\\")]
        yield Case(f"UIDs {uids}", identifier({}, AccessionNumber="", StudyInstanceUID=uids), find=accessions(found))
        number = item.accession_number
        for pattern in (f"{number[:2]}?", f"*{number[1:]}", f"{number}*"):
            found = [each for each in every if _like(pattern, each.accession_number)]
            yield Case(f"number {pattern}", identifier({}, AccessionNumber=pattern), find=accessions(found))
    yield from _universal(every)


def _ranges(every: list[WorklistItem]) -> Iterator[Case]:
    dates = ["", *_DAYS, *(f"{a}-{b}" for a, b in itertools.product(_DAYS, _DAYS)), *(f"{d}-" for d in _DAYS[:2])]
    times = ["", "1000", "0745-", "-1000", *(f"{a}-{b}" for a, b in itertools.combinations(_TIMES, 2)), "2330-0030"]
    pairs = list(itertools.product(dates, times))
    for date, time in random.Random(2).sample(pairs, 140):
        found = [item for item in every if _in(item, date, time)]
        keys = {DATE: date, TIME: time}
        yield Case(f"{date!r} {time!r}", identifier(keys, AccessionNumber=""), find=accessions(found))


def _in(item: WorklistItem, date: str, time: str) -> bool:
    day, clock = item.scheduled_procedure_step_start_date, item.scheduled_procedure_step_start_time
    if "-" in date and "-" in time:
        at = _instant(day, clock)
        first, last = _interval(date, time)
        return first <= at <= last
    return _between(day, date, "00000000", "99999999") and _between(clock, time, "000000", "235959")


def _interval(date: str, time: str) -> tuple[datetime, datetime]:
    (first_day, last_day), (first_time, last_time) = date.split("-"), time.split("-")
    first = _instant(first_day, first_time or "000000") if first_day else datetime.min
    last = _instant(last_day, last_time or "235959") if last_day else datetime.max
    return first, last


def _instant(day: str, clock: str) -> datetime:
    seconds = timedelta(hours=int(clock[:2]), minutes=int(clock[2:4] or 0), seconds=int(clock[4:6] or 0))
    return datetime.strptime(day, "%Y%m%d") + seconds


def _between(value: str, key: str, lowest: str, highest: str) -> bool:
    if not key:
        return True
    low, dash, high = key.partition("-")
    pad = lambda text: text.ljust(len(lowest), "0")  # noqa: E731
    return (pad(low) if low else lowest) <= value <= (pad(high) if high else highest if dash else pad(low))


def _names(every: list[WorklistItem]) -> Iterator[Case]:
    for item in every:
        for group in item.patient_name.split("="):
            family = group.split("^")[0]
            for form in dict.fromkeys(
                (family, family.upper(), _bare(family), f"{_bare(family).lower()}*", f"{group}*")
            ):
                found = [each for each in every if _named(each, form)]
                data = identifier({}, SpecificCharacterSet="ISO_IR 192", AccessionNumber="", PatientName=form)
                yield Case(f"name {form}", data, find=accessions(found))


def _bare(text: str) -> str:
    spelt = text.translate(str.maketrans({"ø": "o", "Ø": "O", "Ł": "L", "ł": "l", "ß": "ss"}))
    return "".join(c for c in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(c))


def _named(item: WorklistItem, key: str) -> bool:
    wanted = _bare(key).casefold()
    groups = [_bare(group).casefold() for group in item.patient_name.split("=")]
    if wanted.endswith("*"):
        return any(group.startswith(wanted[:-1]) for group in groups)
    return any(group == wanted or group.startswith(f"{wanted}^") for group in groups)


def _like(pattern: str, value: str) -> bool:
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return len(value) == len(pattern) and value.startswith(pattern[:-1])


def _universal(every: list[WorklistItem]) -> Iterator[Case]:
    found = accessions(every)
    step = (STATION, DATE, TIME, "Modality", "ScheduledPerformingPhysicianName", "ScheduledProcedureStepID")
    for keyword, text in itertools.product(step, ("", "*", "**")):
        yield Case(f"{keyword} {text!r}", _bounded({keyword: text}), find=found)
    for keyword, text in itertools.product(
        ("PatientID", "PatientName", "PatientSex", "TimezoneOffsetFromUTC"), ("", "*")
    ):
        yield Case(f"{keyword} {text!r}", _bounded({}, **{keyword: text}), find=found)
    for zone in ("+0000", "-1200", "+1400", "0200", "x"):
        yield Case(f"time zone {zone}", _bounded({}, TimezoneOffsetFromUTC=zone), find=found)


def _bounded(step: dict[str, str], **keys: str) -> bytes:
    """An identifier that leaves the flood out by its date, unless it has one."""
    return identifier({DATE: "-20261231"} | {k: v for k, v in step.items() if k != DATE}, AccessionNumber="", **keys)


# --- Q03 -------------------------------------------------------------------------------------------------------------

_HOSTILE = (
    "%",
    "_",
    "' OR '1'='1",
    "'; DROP TABLE worklist_item; --",
    "\\",
    "[A-Z]",
    "(a+)+$",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "x\0y",
    "x" * 65,
    "?a" * 9,
    "\x1b$B\x1b(J",
    "9" * 5_000,
)
_EMPTY = frozenset({"\\", "\x1b$B\x1b(J"})  # an empty list, and nothing between two escapes: nothing is asked
_HOSTILE_KEYS = ("PatientName", "PatientID", "AccessionNumber", STATION, "Modality", DATE, "StudyInstanceUID")


def q03() -> Iterator[Case]:
    """Hostile keys: refused with a defined status or found nowhere, never everything."""
    for keyword, text in itertools.product(_HOSTILE_KEYS, _HOSTILE):
        step = {keyword: text} if keyword in (STATION, "Modality", DATE) else {}
        outer = {} if step else {keyword: text}
        finals = REFUSED | {0x0000}
        expected = None if text in _EMPTY else ()
        yield Case(f"{keyword} {text[:20]!r}", identifier(step, **outer), finals, expected)
    yield from _malformed()


def _malformed() -> Iterator[Case]:
    plain = identifier({"Modality": "CT"}, AccessionNumber="", PatientName="")
    yield Case("no data set", b"", frozenset({0x0000, *REFUSED}), None)
    yield Case("1 MB", identifier({}, PatientID="x" * 1_000_000), REFUSED)
    yield Case("64 asterisks and a letter", identifier({}, PatientID="*" * 64 + "a"), REFUSED)
    for cut in (1, 7, 9, len(plain) // 2, len(plain) - 1):
        yield Case(f"cut at {cut}", plain[:cut], REFUSED)
    for extra in (b"\xff" * 8, b"\0" * 3, b"\x08\0\x05\0\xff\xff\xff\x7f", b"\xfe\xff\x0d\xe0\0\0\0\0"):
        yield Case(f"garbage {extra[:4]!r} behind", plain + extra, REFUSED)
    two = Dataset()
    two.ScheduledProcedureStepSequence = Sequence([Dataset(), Dataset()])
    yield Case("two items in the sequence", encoded(two), frozenset({0xA900}))
    deep = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.ScheduledProcedureStepSequence = Sequence([deep])
        deep = outer
    yield Case("40 sequences deep", encoded(deep), REFUSED)
    for name, terms in {"GB18030": ["GB18030"], "ISO 2022": ["", "ISO 2022 IR 87"]}.items():
        asked = identifier({}, AccessionNumber="", PatientName="山田*", SpecificCharacterSet=terms)
        yield Case(f"a query in {name}", asked, find=("G06",))
    unknown = identifier({}, AccessionNumber="", PatientID="1003", SpecificCharacterSet="ISO_IR 100")
    yield Case("a query in an unknown set", unknown.replace(b"ISO_IR 100", b"KLINGON_01"), find=("G03",))
    wrong = Dataset()
    wrong.add_new(0x00100010, "UN", b"\xff\xfe\x00" * 5 + b"x")
    yield Case("bytes that are no text", encoded(wrong), REFUSED | {0x0000})
    for tag in (0x00080001, 0x00090001, 0x7FE00010, 0xFFFCFFFC, 0x00020010):
        strange = Dataset()
        set_keys(strange, {"AccessionNumber": "G07"})
        data = encoded(strange) + tag.to_bytes(4, "big")[1::-1] + tag.to_bytes(4, "big")[:1:-1] + b"\0\0\0\0"
        yield Case(f"tag {tag:08X}", data, REFUSED | {0x0000}, None)


# --- Q04 -------------------------------------------------------------------------------------------------------------


def q04(count: int) -> Iterator[tuple[str, Callable[[int], None]]]:
    """Many answers: cancelled, released and aborted at any point, or taken all."""
    asked = identifier({"Modality": FLOOD_MODALITY, DATE: FLOOD_DATE}, AccessionNumber="", PatientName="")
    for after, again in itertools.product((0, 1, 1_000), range(3)):
        yield f"C-CANCEL after {after}, {again}", lambda port, after=after: _cancelled(port, asked, after, count)
    for name, parting in (("release", raw_peer.RELEASE_REQUEST), ("abort", raw_peer.ABORT), ("nothing", b"")):
        for after in (1, 100, 1_000):
            yield f"{name} after {after}", lambda port, after=after, parting=parting: _left(port, asked, after, parting)
    for number in range(2):
        yield f"all {count}, {number}", lambda port: _whole(port, asked, count)


def _cancelled(port: int, asked: bytes, after: int, count: int) -> None:
    heard = query_client.ask(port, asked, cancel_after=after)
    assert heard.final == 0xFE00 or heard.pending == count, f"{heard.final:04X} after {heard.pending}"
    assert heard.pending >= min(after, count)


def _left(port: int, asked: bytes, after: int, parting: bytes) -> None:
    assert query_client.leave(port, asked, after, parting) >= after


def _whole(port: int, asked: bytes, count: int) -> None:
    heard = query_client.ask(port, asked)
    assert (heard.final, heard.pending) == (0x0000, count)


# --- running ---------------------------------------------------------------------------------------------------------

CLASSES: dict[str, Callable[[], Iterator[Case]]] = {
    "Q01 as DCMTK and Orthanc are asked": q01,
    "Q02 matching": q02,
    "Q03 hostile keys": q03,
}
_ANSWERS_A_SECOND = 2_000  # of a flood, at least; a case that takes all of one may take that long
_LOOKED_AT_A_SECOND = 10_000  # items, where no index serves a key: that many are compared
_ENOUGH = 200  # answers, all golden ones among them


def run(case: Case, port: int) -> None:
    """Ask, and assert what is answered."""
    heard = query_client.ask(port, case.data, case.calling, cancel_after=_ENOUGH)
    is_flood = heard.pending >= _ENOUGH
    assert heard.final in case.finals or (is_flood and heard.final == 0xFE00), f"{heard.final:04X}"
    if case.find is None:
        return
    found = [str(decoded(data).get("AccessionNumber", "")) for data in heard.identifiers]
    if any(found):
        found = [number for number in found if not number.startswith("F")]
        assert tuple(found) == case.find, f"{len(found)} answers, {len(case.find)} expected"
    else:
        assert heard.pending == len(case.find)


def tallies(flood: int, share: float = 1.0, seed: int = 1) -> Iterator[Tally]:
    """Run every class, or a share of each, against a process that holds so many items more than the golden ones."""
    chosen = random.Random(seed)
    with served(flood) as (port, process_id):
        for _ in range(50):
            assert echoes(port)
        query_client.ask(port, identifier({"Modality": "CT"}, AccessionNumber=""))
        for name, cases in CLASSES.items():
            yield _ran(name, _share(list(cases()), share, chosen), port, process_id, flood)
        yield _flooded(port, process_id, flood, share, chosen)


def _ran(name: str, cases: Iterable[Case], port: int, process_id: int, flood: int) -> Tally:
    tally = Tally(name)
    with tally.measured(process_id):
        for case in cases:
            with tally.case(case.name, deadline=0.0 if _is_served(case) else flood / _LOOKED_AT_A_SECOND):
                run(case, port)
            with tally.case(f"C-ECHO after {case.name}", counts=False):
                assert echoes(port)
    return tally


def _is_served(case: Case) -> bool:
    """Tell whether an index serves one of the keys, so that the flood is not looked at."""
    try:
        narrowed = narrow(read(case.data, IMPLICIT_LITTLE_ENDIAN), Viewer(), Stations())
    except BadQuery:
        return True
    numbers = {*narrowed.values, *narrowed.prefixes} - {"Modality"}
    stations = narrowed.offered_to or narrowed.is_by_pattern
    return bool(numbers or narrowed.name_prefixes or narrowed.last_day or stations)


def _flooded(port: int, process_id: int, flood: int, share: float, chosen: random.Random) -> Tally:
    tally = Tally("Q04 result flood")
    with tally.measured(process_id):
        for name, act in _share(list(q04(flood)), max(share, 0.2), chosen):
            with tally.case(name, deadline=flood / _ANSWERS_A_SECOND):
                act(port)
            with tally.case(f"C-ECHO after {name}", counts=False):
                assert echoes(port)
    return tally


def _share(of: list[T], share: float, chosen: random.Random) -> list[T]:
    return of if share >= 1.0 else chosen.sample(of, max(1, round(len(of) * share)))


@contextmanager
def served(flood: int) -> Iterator[tuple[int, int]]:
    """Run the worklist as a process of its own; give its port and process id."""
    command = [sys.executable, "-m", "tests.torture.query_server", str(flood)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main(share: float, seed: int, flood: int) -> int:
    """Run the classes, print a line each and every violation; return the exit code."""
    violated = 0
    for tally in tallies(flood, share, seed):
        worst = max(tally.worst_seconds, tally.worst_cut[0] if tally.worst_cut else 0.0)
        growth = f"{tally.growth / 2**20:.1f} MiB"
        print(f"{tally.name:<36}{tally.cases:>6} cases{tally.violated:>4} violations{worst:>8.2f} s worst{growth:>12}")
        for violation in tally.violations:
            print(f"  {violation}")
        violated += tally.violated
    return int(violated > 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
