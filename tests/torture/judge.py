"""The one checker of the gateway's invariants (I1 to I6, I9 to I12): what a run has shown, and what is wrong with it.

Pure: a run gathers a `Seen`, whatever it did to the product; nothing here knows of faults, processes or files.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

READY_SECONDS = 10.0  # I9
GROWTH_BYTES = 64 * 1024 * 1024  # I10
ASSOCIATION_BYTES = 2 * 1024 * 1024  # for each at once


@dataclass(frozen=True, slots=True)
class Print:
    """What tells one data set from another without holding it."""

    sha256: str
    length: int


def print_of(content: bytes) -> Print:
    """Return the fingerprint of a data set."""
    return Print(hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that a PACS got whole. `life` counts the ends of the product's processes before it."""

    destination: str
    uid: str
    print: Print
    is_good: bool  # the PACS said that it has it
    is_answered: bool  # and its answer left
    life: int = 0


@dataclass(frozen=True, slots=True)
class Owed:
    """What the product believes of one instance and destination."""

    uid: str
    destination: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """What a process of the product has used: memory at the most, and files and threads that it has still too many."""

    process: str
    growth: int  # bytes beyond its beginning
    files: int = 0
    threads: int = 0
    associations: int = 0  # at once, at the most


@dataclass(frozen=True, slots=True)
class Ordered:
    """The orders that were sent, those that were answered AA, and what the worklist shows, by accession numbers."""

    sent: Collection[str] = ()
    acknowledged: Collection[str] = ()
    listed: Sequence[str] = ()  # whole
    half: Sequence[str] = ()  # with something missing


@dataclass
class Seen:
    """All that a run has shown. Instances are named by their SOP Instance UIDs."""

    destinations: Sequence[str]
    sent: Mapping[str, Collection[Print]]  # whatever a device has sent, answered or not
    answered: Mapping[str, Collection[Print]]  # what was answered 0000
    arrivals: Sequence[Arrival] = ()
    owed: Sequence[Owed] = ()
    kept: Mapping[str, Collection[Print]] = field(default_factory=dict)  # what the spool gives when read now
    broken: Collection[str] = ()  # what the index holds and the spool cannot give
    forgotten: Collection[str] = ()
    audited: Collection[tuple[str, str]] = ()  # (event, UID)
    told: Collection[str] = ()  # subjects of open alerts
    ready_seconds: Sequence[float] = ()
    used: Sequence[Used] = ()
    ordered: Ordered = field(default_factory=Ordered)

    @property
    def duplicates(self) -> int:
        """Return how many arrivals were of what the destination had said before that it has."""
        had: Counter[tuple[str, str, Print]] = Counter()
        for one in self.arrivals:
            if one.is_good:
                had[one.destination, one.uid, one.print] += 1
        return sum(count - 1 for count in had.values())


def violations(seen: Seen) -> list[str]:
    """Return every violation of what holds at any moment."""
    return [
        *_altered(seen),
        *_needless_repeats(seen),
        *_lost(seen),
        *_forgotten_early(seen),
        *_silent(seen),
        *_slow_starts(seen),
        *_growth(seen),
    ]


def violations_at_the_end(seen: Seen) -> list[str]:
    """Return every violation once all faults have ended and nothing is on its way."""
    return [*violations(seen), *_undelivered(seen), *_never_answered(seen), *_unrecorded(seen), *_misordered(seen)]


def _good(seen: Seen) -> Mapping[tuple[str, str], set[Print]]:
    found: defaultdict[tuple[str, str], set[Print]] = defaultdict(set)
    for one in seen.arrivals:
        if one.is_good:
            found[one.destination, one.uid].add(one.print)
    return found


def _undelivered(seen: Seen) -> Iterator[str]:
    got = _good(seen)
    parked = {(one.destination, one.uid) for one in seen.owed if one.state == "parked"}
    for uid, prints in seen.answered.items():
        for destination in seen.destinations:
            if (destination, uid) not in parked and not set(prints) <= got.get((destination, uid), set()):
                yield f"I1: {uid} was answered 0000 and is not at {destination}"


def _altered(seen: Seen) -> Iterator[str]:
    for one in seen.arrivals:
        sent = seen.sent.get(one.uid, ())
        if one.print in sent:
            continue
        if not sent or one.print.length < max(each.length for each in sent):
            yield f"I4: {one.destination} got {one.print.length} bytes of {one.uid}, which nobody has sent so"
        else:
            yield f"I2: {one.destination} got other bytes of {one.uid}"


def _needless_repeats(seen: Seen) -> Iterator[str]:
    before: dict[tuple[str, str, Print], Arrival] = {}
    for one in seen.arrivals:
        key = one.destination, one.uid, one.print
        last = before.get(key)
        if last is not None and last.is_good and last.is_answered and last.life == one.life:
            yield f"I3: {one.destination} got {one.uid} again, of which it had said that it has it"
        before[key] = one


def _never_answered(seen: Seen) -> Iterator[str]:
    for uid in sorted({one.uid for one in seen.arrivals} - seen.answered.keys()):
        yield f"I4: {uid} arrived and was never answered 0000"


def _lost(seen: Seen) -> Iterator[str]:
    """What was answered is in the spool, or wherever it is owed to."""
    got = _good(seen)
    for uid, prints in seen.answered.items():
        at_all = set.intersection(*(got.get((name, uid), set()) for name in seen.destinations))
        missing = set(prints) - set(seen.kept.get(uid, ())) - at_all
        if missing:
            yield f"I1: {uid} was answered 0000, is not in the spool and not everywhere it belongs"
    for uid in seen.broken:
        yield f"I2: the spool does not give what it holds of {uid}"


def _forgotten_early(seen: Seen) -> Iterator[str]:
    got = _good(seen)
    for uid in seen.forgotten:
        if not all(got.get((name, uid)) for name in seen.destinations):
            yield f"I5: {uid} was forgotten before every destination had said that it has it"
        if ("instance.forgotten", uid) not in seen.audited:
            yield f"I5: {uid} was forgotten without a record of it"


def _unrecorded(seen: Seen) -> Iterator[str]:
    for one in seen.owed:
        event = f"delivery.{one.state}"
        if one.state in ("delivered", "parked") and (event, one.uid) not in seen.audited:
            yield f"I11: {one.uid} is {one.state} and nothing records it"


def _silent(seen: Seen) -> Iterator[str]:
    for one in seen.owed:
        if one.state == "parked" and not one.reason:
            yield f"I12: {one.uid} is parked without a reason"
        if one.state == "parked" and one.destination not in seen.told and one.uid not in seen.told:
            yield f"I12: {one.uid} is parked and nobody is told"


def _slow_starts(seen: Seen) -> Iterator[str]:
    for seconds in seen.ready_seconds:
        if seconds > READY_SECONDS:
            yield f"I9: ready after {seconds:.1f} s"


def _growth(seen: Seen) -> Iterator[str]:
    for one in seen.used:
        if one.growth > GROWTH_BYTES + ASSOCIATION_BYTES * one.associations:
            yield f"I10: memory of {one.process} grew by {one.growth / 2**20:.0f} MiB"
        if one.files:
            yield f"I10: {one.process} keeps {one.files} files open too many"
        if one.threads:
            yield f"I10: {one.process} keeps {one.threads} threads too many"


def _misordered(seen: Seen) -> Iterator[str]:
    listed = Counter(seen.ordered.listed)
    for number in sorted(seen.ordered.acknowledged):
        if not listed[number]:
            yield f"I6: order {number} was answered AA and is not on the worklist"
    for number, count in listed.items():
        if count > 1:
            yield f"I6: order {number} is on the worklist {count} times"
    for number in sorted(set(listed) - set(seen.ordered.sent)):
        yield f"I6: order {number} is on the worklist and nobody has sent it"
    for number in seen.ordered.half:
        yield f"I6: half of order {number} is on the worklist"
