"""The corpus cannot shrink: at least 120 cases, every version, character set, order control and event that is named."""

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.golden.cases import cases, field

LEAST = 350


def words(text: str) -> set[str]:
    return set(text.split())


VERSIONS = {"2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"}
# A.5, in its order; the last ones are refused.
CHARACTER_SETS = {
    *("", "ASCII", "8859/1", "8859/2", "8859/3", "8859/4", "8859/5", "8859/6", "8859/7", "8859/8", "8859/9"),
    *("8859/15", "ISO IR14", "~ISO IR87", "ISO IR159", "GB 18030-2000", "KS X 1001", "BIG-5", "UNICODE"),
    *("UNICODE UTF-8", "UNICODE UTF-16", "UNICODE UTF-32", "CNS 11643-1992"),
}
# B.2, row by row.
CONTROLS = words(
    "NW SN NA XO XX XR SC CA OC CR DC OD DR HD OH HR RL OE OR RP RU RO RQ PA CH "
    "UA UC UD UH UM UR UX OK RR DE RE SS SR AF DF FU OF RF UF OP PY LI UN CN PR"
)
ORDER_STATUSES = words("SC IP A CM DC CA HD RP ER")
RESULT_STATUSES = words("O I S A P R C F X Y Z")
# B.4 and B.5.
EVENTS = words(
    "A01 A02 A03 A04 A05 A06 A07 A08 A10 A11 A12 A13 A18 A23 A24 A28 A31 A34 A37 A38 A39 A40 A41 A42 A43 A44 A45 A46 "
    "A47 A49 A50 S12 S13 S14 S15 S17 S26 O01 O19 O23"
)

CASES = cases()
MESSAGES = [(case, message) for case in CASES for message in case.messages]


def _values(segment: str, number: int, component: int = 0) -> Counter[str]:
    return Counter(field(message, segment, number).partition("^")[component * 2] for _, message in MESSAGES)


def _every(segment: str, number: int) -> set[str]:
    """Return what stands in a field of any segment of this name, in any message."""
    found: set[str] = set()
    for _, message in MESSAGES:
        lines = [line.split(b"|") for line in message.split(b"\r") if line.startswith(segment.encode())]
        found |= {line[number].decode("latin-1") for line in lines if number < len(line)}
    return found


def _lacking(wanted: Iterable[str], found: Iterable[str]) -> list[str]:
    return sorted(set(wanted) - set(found))


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= LEAST


def test_every_version_is_there() -> None:
    assert _lacking(VERSIONS, _values("MSH", 12)) == []


def test_every_character_set_is_there() -> None:
    assert _lacking(CHARACTER_SETS, _values("MSH", 18)) == []


def test_every_order_control_and_status_is_there() -> None:
    assert _lacking(CONTROLS, _every("ORC", 1)) == []
    assert _lacking(ORDER_STATUSES, _every("ORC", 5)) == []
    assert _lacking(RESULT_STATUSES, _every("OBR", 25)) == []


def test_every_event_is_there() -> None:
    assert _lacking(EVENTS, {field(message, "MSH", 9).partition("^")[2][:3] for _, message in MESSAGES}) == []


def test_the_counts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\ngolden corpus: {len(CASES)} cases of {len(MESSAGES)} messages, each with a twin")
        for what, counts in (
            ("type", Counter(case.file.parent.name for case in CASES)),
            ("version", _values("MSH", 12)),
            ("character set", _values("MSH", 18)),
        ):
            print(f"  by {what}: " + ", ".join(f"{name or 'none'} {n}" for name, n in counts.most_common()))
