"""Small messages, and what they say. No tests."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.environments.model import Source
from broker.orders import control, mapping_file
from broker.orders.messages import Context, translate
from broker.orders.model import Change, MergeChange, OrderChange, PatientChange, Refusal

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
CONTEXT = Context(
    environment="test",
    source=Source("ris", processing_ids=("P",), timezone=ZoneInfo("Europe/Berlin"), patient_authority="SITE"),
    mapping=mapping_file.load("ihe-swf"),
    order_control=control.load(),
    now=NOW,
    timezone=ZoneInfo("Europe/Berlin"),
)
PID = "PID|||100^^^HOSP^MR||Doe^Jane||19700101|F"
ORC = "ORC|NW|P1^HIS|F1^RIS||||^^^20260201093000^^R"
OBR = "OBR|1|P1|F1|USABD^Abdomen US^L||||||||||||||A1|RP1|S1||||US"


def message(*segments: str, kind: str = "ORM^O01", version: str = "2.3.1", processing: str = "P") -> bytes:
    """Return a message of these segments after its MSH."""
    header = rf"MSH|^~\&|RIS|HOSP|BROKER|RAD|20260131102233+0100||{kind}|M1|{processing}|{version}||||||UNICODE UTF-8"
    return "".join(f"{segment}\r" for segment in (header, *segments)).encode()


def context(**source: object) -> Context:
    """Return the context with other habits of the source."""
    return replace(CONTEXT, source=replace(CONTEXT.source, **source))  # type: ignore[arg-type]


def changes(
    *segments: str, here: Context = CONTEXT, kind: str = "ORM^O01", version: str = "2.3.1"
) -> tuple[Change, ...]:
    """Return what a message of these segments says."""
    return translate(message(*segments, kind=kind, version=version), here)


def order(*segments: str, here: Context = CONTEXT, kind: str = "ORM^O01") -> OrderChange:
    """Return the only order change of a message."""
    (change,) = changes(*segments, here=here, kind=kind)
    assert isinstance(change, OrderChange)
    return change


def orders(*segments: str, here: Context = CONTEXT, kind: str = "ORM^O01") -> list[OrderChange]:
    """Return the order changes of a message."""
    return [change for change in changes(*segments, here=here, kind=kind) if isinstance(change, OrderChange)]


def patient(event: str, *segments: str, here: Context = CONTEXT) -> PatientChange:
    """Return the only patient change of an ADT message."""
    (change,) = changes(f"EVN|{event}|20260131110000+0100", *segments, here=here, kind=f"ADT^{event}")
    assert isinstance(change, PatientChange)
    return change


def merge(event: str, *segments: str, here: Context = CONTEXT) -> MergeChange:
    """Return the only merge change of an ADT message."""
    (change,) = changes(f"EVN|{event}|20260131110000+0100", *segments, here=here, kind=f"ADT^{event}")
    assert isinstance(change, MergeChange)
    return change


def refused(raw: bytes, here: Context = CONTEXT) -> tuple[str, str, str]:
    """Return answer, code and place of a message's refusal."""
    with pytest.raises(Refusal) as caught:
        translate(raw, here)
    return caught.value.answer, caught.value.code, caught.value.location
