"""Every golden query as dcmjs-dimse asks it and reads the answers, with one program: where it differs, it says why."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from typing import Any

import pytest

from broker.audit.model import CLOCK
from broker.database import Database
from broker.registry import store as registry
from broker.registry.document import read
from tests.peers import npm_find
from tests.peers.broker import MODALITY
from tests.peers.npm_find import Found
from tests.wire import test_worklist_findscu as rows
from tests.wire.worklist_golden import NOW, SEQUENCE, Query, fill, queries
from tests.wire.worklist_service import served

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("dcmjs")]

GOLDEN = [*queries("matching"), *queries("consoles")]
ROWS = rows.queries()
EVERY = [*GOLDEN, *ROWS]

_UTF_8 = "it writes UTF-8, whatever character set it names"
_FF01 = "it knows FF00 alone as pending: FF01 is its final status, and it releases in the middle of the answers"
# Where it does not get what the query says: what it gets instead, and why. `refused`: it does not send it.
DIFFERENCES: Mapping[str, Mapping[str, Any]] = {
    "date: a range with blanks": {"status": "A900", "find": [], "because": "it cuts a DA after 18 characters"},
    "date: retired form with dots": {"refused": "vr: DA", "because": "ten characters are too many for a DA there"},
    "date: list of days": {"refused": "vr: DA", "because": "it writes one day or a range"},
    "name: umlaut in Latin 1": {"find": [], "because": _UTF_8},
    "name: in Japanese code extensions": {"find": [], "because": _UTF_8},
    "name: in GB18030": {"find": [], "because": _UTF_8},
    "name: over 64 characters": {"refused": "vr: PN", "because": "it checks the length itself"},
    "its own set where that holds all": {"show": {}, "because": "it leaves ISO 2022's escape sequences as they came"},
    "FF01 where an attribute is unknown": {"ends": 0xFF01, "because": _FF01},
    "FF01 where one of the step is unknown": {"ends": 0xFF01, "because": _FF01},
}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What each query came to, in the order of EVERY."""
    with ExitStack() as stack:
        golden = stack.enter_context(served(tmp_path_factory.mktemp("golden"), fill))
        small = stack.enter_context(served(tmp_path_factory.mktemp("rows"), fill_rows))
        nodes = [golden] * len(GOLDEN) + [small] * len(ROWS)
        asked = [
            {
                "port": node.port,
                "called": node.ae_title,
                "calling": query.get("as", "ANYBODY"),
                "asked": elements(query),
            }
            for node, query in zip(nodes, EVERY, strict=True)
        ]
        return npm_find.find(asked)


def fill_rows(database: Database) -> None:
    """Put in the small table, and the device that asks for it."""
    rows.fill(database)
    with database.write("registry") as tx:
        content = MODALITY.encode()
        registry.apply(tx, read(content, "us-room-2.toml"), content, CLOCK, NOW)


def elements(query: Query) -> dict[str, Any]:
    """The keys of a query as dcmjs names them."""
    inner = {"ScheduledProcedureStepID": "", **query.get("step", {})}
    items = {"absent": None, "empty": [], "two": [inner, {}]}.get(query.get("sequence", ""), [inner])
    asked = {"AccessionNumber": "", "PatientName": "", **query.get("keys", {})}
    return asked if items is None else {**asked, SEQUENCE: items}


@pytest.mark.parametrize(
    "number", range(len(EVERY)), ids=lambda n: f"{EVERY[n].get('as', 'ANYBODY')}: {EVERY[n]['name']}"
)
def test_it_finds_what_the_query_says_but_for_what_is_explained(answered: list[Found], number: int) -> None:
    query, found = EVERY[number], answered[number]
    different = DIFFERENCES.get(query["name"], {})
    if "refused" in different:
        (event,) = found.events
        assert f"Value exceeds max length, {different['refused']}" in event
        return
    if "ends" in different:
        assert found.statuses[0] == different["ends"]
        return
    assert found.events == []
    *pending, final = found.statuses
    assert f"{final:04X}" == different.get("status", query.get("status", "0000")), found.comments
    assert [answer["AccessionNumber"] for answer in found.answers] == different.get("find", query.get("find", []))
    assert {f"{status:04X}" for status in pending} <= {query.get("pending", "FF00")}
    if found.answers:
        _check_values(found.answers[0], query | different)


def _check_values(answer: Mapping[str, Any], query: Query) -> None:
    shown = dict(_values(answer))
    # It hands out Unicode, and says so in the character set.
    expected = {keyword: value for keyword, value in query.get("show", {}).items() if keyword != "SpecificCharacterSet"}
    assert {keyword: shown[keyword] for keyword in expected} == expected
    assert query.get("absent", "") in ("", "SpecificCharacterSet") or query["absent"] not in shown
    if "first_station" in query:
        assert shown["ScheduledStationAETitle"].split("\\")[0] == query["first_station"]


def _values(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The attributes at every depth, as text."""
    for keyword, value in item.items():
        if keyword.endswith("Sequence"):
            yield from chain.from_iterable(map(_values, value))
        elif keyword[0].isupper():
            yield keyword, "\\".join(map(_text, value if isinstance(value, list) else [value]))


def _text(value: Any) -> str:
    """A value as text; a name comes in its groups."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def test_each_difference_is_of_a_query_and_has_its_reason() -> None:
    assert len(EVERY) >= 233
    names = [query["name"] for query in EVERY]
    assert all(names.count(name) == 1 and different["because"] for name, different in DIFFERENCES.items())
