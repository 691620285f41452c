"""Facts to judge: a device that has proven everything, and facts that count for nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from broker.procedures.model import PerformedStatus, ScheduledItem
from broker.promotion.bearing import Bearing, Change
from broker.promotion.model import Fingerprint
from broker.promotion.recorded.model import Item, Sent
from broker.promotion.seen import (
    CallSeen,
    CommitmentSeen,
    EchoSeen,
    Facts,
    ImageSeen,
    QuerySeen,
    StatementSeen,
    StepSeen,
)
from broker.promotion.statements.model import Kind
from broker.registry.model import Makes
from broker.spool import names

NOW = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
US, LOOP, SR = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("6.1", "3.1", "88.33"))
SENT = (Sent("main-pacs", "delivered", "", "proven"),)
FOREIGN = Bearing(foreign="from 10.0.0.66, while it was bound to 10.0.0.9")
STALE = Bearing(changed=(Change.REVISION,))


def item(number: int) -> Item:
    return Item(number, f"P{number}", "Müller^Jürgen", f"A{number}", f"1.2.{number}")


def step(number: int, **changes: Any) -> StepSeen:
    base = StepSeen(
        ref=f"procedure 1.9.{number}",
        at=day(number),
        status=PerformedStatus.COMPLETED,
        items=(ScheduledItem(f"1.2.{number}", f"A{number}", "R", "S"),),
        patient_id=f"P{number}",
        seconds_off=-3.0,
    )
    return replace(base, **changes)


def image(number: int, **changes: Any) -> ImageSeen:
    base = ImageSeen(
        ref=f"instance {number:026}",
        at=day(number),
        sop_class_uid=US,
        transfer_syntax="1.2.840.10008.1.2.1",
        octets=900_000,
        study_instance_uid=f"1.2.{number}",
        accession_number=f"A{number}",
        patient_id=f"P{number}",
        name_digest=names.digest("Müller^Jürgen"),
        seconds_off=-10.0,
        sent=SENT,
    )
    return replace(base, **changes)


def day(number: int) -> datetime:
    """The first two exams are of one day, the third of the next."""
    return NOW - timedelta(days=2 if number < 3 else 1, hours=-number)


def said(check: str, kind: Kind = Kind.STATED, **changes: Any) -> StatementSeen:
    base = StatementSeen("statement 1", NOW, check=check, kind=kind, by="ann", text="seen at the console")
    return replace(base, **changes)


def proven() -> Facts:
    """A device that makes everything, and has proven everything."""
    loop = image(1, ref="instance loop", sop_class_uid=LOOP, frames=60, octets=80_000_000)
    return Facts(
        name="us-room-2",
        now=NOW,
        makes=Makes(report=True),
        asks_commitment=True,
        timezone=BERLIN,
        fingerprint=Fingerprint("1.2", "STACK_1", "Maker", "Model", "S1", "5.0"),
        provers=frozenset({"main-pacs"}),
        calls=(CallSeen("association 1", day(1), address="10.0.0.9"),),
        received=(EchoSeen("echo 1", day(1)),),
        sent=(EchoSeen("echo 2", day(1)),),
        queries=(QuerySeen("query 1", day(1), items=(1, 2, 3)),),
        items={number: item(number) for number in (1, 2, 3)},
        steps=tuple(step(number) for number in (3, 2, 1)),
        images=(image(3), image(2, sop_class_uid=SR), loop, image(1)),
        commitments=(CommitmentSeen("commitment 1", day(1), is_reported=True),),
        statements=tuple(said(check) for check in ("images_look_right", "measurements_right", "largest_loop")),
    )


_LISTS = ("calls", "received", "sent", "queries", "steps", "images", "commitments", "statements")


def bearing_so(facts: Facts, bearing: Bearing) -> Facts:
    """The same facts, all of which bear so."""
    lists: Any = {name: tuple(replace(each, bearing=bearing) for each in getattr(facts, name)) for name in _LISTS}
    return replace(facts, **lists)


def without(facts: Facts, *lists: str) -> Facts:
    none: Any = dict.fromkeys(lists or _LISTS, ())
    return replace(facts, **none)
