"""How a golden case is stored: messages, a twin with one field changed, what is expected. Runs nothing.

`<case>.hl7` holds one or several messages, the history that the case needs first; `<case>.twin.hl7` is the same with
one field changed; `<case>.expected.json` names the clause and what must come out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "fixtures" / "hl7"
TWIN = ".twin.hl7"
EXPECTED = ".expected.json"

_NEXT = re.compile(rb"(?<=\r)(?=MSH)")


@dataclass(frozen=True)
class Case:
    """One golden case by the path of its messages."""

    file: Path

    @property
    def name(self) -> str:
        return f"{self.file.parent.name}/{self.file.stem}"

    @cached_property
    def messages(self) -> tuple[bytes, ...]:
        return messages_of(self.file)

    @cached_property
    def twin(self) -> tuple[bytes, ...]:
        return messages_of(self.file.with_name(self.file.stem + TWIN))

    @cached_property
    def expected(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.with_name(self.file.stem + EXPECTED).read_text(encoding="utf-8"))
        return found


def cases() -> list[Case]:
    """Return every case, by name."""
    return [Case(file) for file in sorted(FOLDER.glob("*/*.hl7")) if not file.name.endswith(TWIN)]


def messages_of(file: Path) -> tuple[bytes, ...]:
    """Return the messages of a file: each begins with MSH behind a CR."""
    return tuple(_NEXT.split(file.read_bytes()))


def field(message: bytes, segment: str, number: int) -> str:
    """Return a field of the first such segment, undecoded."""
    for line in message.split(b"\r"):
        parts = line.split(message[3:4])
        if parts[0] == segment.encode():
            at = number - 1 if segment == "MSH" else number
            return parts[at].decode("latin-1") if at < len(parts) else ""
    return ""


def differences(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> Iterator[str]:
    """Yield each field in which two sequences of messages differ, and whatever differs more than by a field."""
    if len(one) != len(other):
        yield "another number of messages"
    for number, (left, right) in enumerate(zip(one, other, strict=False), 1):
        if left.count(b"\r") != right.count(b"\r"):
            yield f"message {number}: another number of segments"
        for left_line, right_line in zip(left.split(b"\r"), right.split(b"\r"), strict=False):
            yield from _fields(number, left_line, right_line, left[3:4])


def _fields(number: int, left: bytes, right: bytes, separator: bytes) -> Iterator[str]:
    one, other = left.split(separator), right.split(separator)
    first = 1 if one[0] in (b"MSH", b"FHS") else 0  # MSH-1 is the separator itself
    for at in range(max(len(one), len(other))):
        if _at(one, at) != _at(other, at):
            yield f"message {number}: {one[0].decode('latin-1')}-{at + first}"


def _at(parts: list[bytes], at: int) -> bytes:
    return parts[at] if at < len(parts) else b""
