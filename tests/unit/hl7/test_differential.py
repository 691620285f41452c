"""A second opinion: hl7apy reads the same fields of every segment of the fixtures, and of the corpus where it is there.

What hl7apy does otherwise is in DIFFERENCES, each with the reason why ours stands; anything else is a failure. Segments
that are equal are compared once, since hl7apy takes milliseconds for one.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hl7apy.core import Segment as TheirSegment
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_segment

from hl7.encoding import Delimiters
from hl7.errors import Hl7Error
from hl7.message import Message, Segment

FIXTURES = Path(__file__).parents[3] / "fixtures" / "hl7"
VERSION = "2.5.1"  # has every segment that is used here, and is read whatever MSH-12 says


@dataclass(frozen=True)
class Found:
    """One field as both read it."""

    segment: str
    field: int
    ours: str
    theirs: str
    defined: int  # how many fields hl7apy's tables have for this segment
    delimiters: Delimiters


def re_escaped(found: Found) -> bool:
    mark = found.delimiters.escape
    return bool(mark) and found.theirs.replace(f"{mark}E{mark}", mark) == found.ours.replace(f"{mark}E{mark}", mark)


def trimmed(found: Found) -> bool:
    """Whether both are the same without outer blanks and separators that close an empty part."""

    def trim(text: str) -> str:
        text = re.sub(f" *([{re.escape(separators)}]|$) *", r"\1", text)
        for separator in (found.delimiters.subcomponent, found.delimiters.component, found.delimiters.repetition):
            if separator:
                text = re.sub(f"{re.escape(separator)}+(?=[{re.escape(separators)}]|$)", "", text)
        return text

    separators = found.delimiters.subcomponent + found.delimiters.component + found.delimiters.repetition
    return trim(found.ours) == trim(found.theirs)


def without_zeros(text: str) -> str:
    return re.sub(r"\b0+(?=[0-9])", "", text)


DIFFERENCES: dict[str, tuple[Callable[[Found], bool], str]] = {
    "re-escaped": (
        re_escaped,
        "hl7apy takes the escape character of a sequence that it does not know (hexadecimal, layout) for text, and "
        "escapes it when it writes; ours is what the sender wrote",
    ),
    "trimmed": (
        trimmed,
        "hl7apy does not write separators after which nothing follows, nor outer blanks; they carry no value, but ours "
        "keeps all",
    ),
    "a number": (
        lambda found: without_zeros(found.ours) == without_zeros(found.theirs),
        "hl7apy reads what its tables call a number as one and writes it without leading zeros (extension 007 as 7); "
        "ours is what the sender wrote",
    ),
    "not in its tables": (
        lambda found: found.theirs == "" and found.field > found.defined,
        "hl7apy drops fields beyond the last that its version of the segment defines; ours keeps them",
    ),
}


def files() -> list[Path]:
    samples = os.environ.get("BROKER_SAMPLES")
    corpus = sorted((Path(samples) / "hl7").iterdir()) if samples else []
    return [*sorted(FIXTURES.rglob("*.hl7")), *corpus]


def segments(paths: Iterable[Path]) -> Iterator[tuple[Segment, Delimiters]]:
    """Every segment that we read, each text once."""
    seen: set[tuple[str, Delimiters]] = set()
    for path in paths:
        try:
            message = Message.read(path.read_bytes())
        except Hl7Error:
            continue
        for segment in message.segments:
            key = (segment.text, message.header.delimiters)
            if key not in seen:
                seen.add(key)
                yield segment, message.header.delimiters


def their_reading(segment: Segment, delimiters: Delimiters) -> TheirSegment | None:
    """Return hl7apy's, or None where it cannot read this segment at all."""
    characters = encoding_chars(delimiters)
    if not all(characters.values()):
        return None
    try:
        return parse_segment(segment.text.strip(), VERSION, characters)
    except HL7apyException:
        return None


def encoding_chars(delimiters: Delimiters) -> dict[str, str]:
    return {
        "FIELD": delimiters.field,
        "COMPONENT": delimiters.component,
        "SUBCOMPONENT": delimiters.subcomponent,
        "REPETITION": delimiters.repetition,
        "ESCAPE": delimiters.escape,
        "SEGMENT": "\r",
        "GROUP": "\r",
    }


def compared(segment: Segment, theirs: TheirSegment, delimiters: Delimiters) -> Iterator[Found]:
    written: dict[int, list[str]] = {}
    for field in (each for each in theirs.children if each.name):  # one that is in no table has no name
        number = int(field.name.rsplit("_", 1)[1])
        written.setdefault(number, []).append(field.to_er7(encoding_chars(delimiters)))
    names = [name for name in (theirs.structure_by_name or {}) if name.startswith(f"{segment.name}_")]
    defined = max((int(name.rsplit("_", 1)[1]) for name in names), default=0)
    first = 3 if segment.name in ("MSH", "BHS", "FHS") else 1
    for number in range(first, max(segment.text.count(delimiters.field) + 2, *written, 0)):
        reading = delimiters.repetition.join(written.get(number, []))
        yield Found(segment.name, number, segment.raw(number), reading, defined, delimiters)


@pytest.mark.slow
def test_hl7apy_reads_the_same_fields_but_for_the_differences_that_are_listed() -> None:
    equal, unread, fields = 0, Counter[str](), Counter[str]()
    unexplained: list[str] = []
    for segment, delimiters in segments(files()):
        theirs = their_reading(segment, delimiters)
        if theirs is None:
            unread[segment.name] += 1
            continue
        for found in compared(segment, theirs, delimiters):
            if found.ours == found.theirs:
                equal += 1
                continue
            why = next((name for name, (fits, _) in DIFFERENCES.items() if fits(found)), None)
            fields[why or "unexplained"] += 1
            if why is None:
                unexplained.append(f"{found.segment}-{found.field}: {found.ours!r} {found.theirs!r}")
    print(f"{equal} fields equal; differ: {dict(fields)}; segments that hl7apy cannot read: {dict(unread)}")
    assert unexplained == []
    assert equal > 3_000
    assert sum(fields.values()) < equal / 20
    # Of lines that are no segments, of segments of later versions, and of delimiters that are missing or equal.
    assert sum(unread.values()) < 60
