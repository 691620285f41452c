"""What people said: in both databases."""

from dataclasses import replace

from broker.audit import store as audit
from broker.audit.model import Actor, ActorKind
from broker.database import Database
from broker.identifiers import AETitle
from broker.promotion.model import Fingerprint
from broker.promotion.statements import store
from broker.promotion.statements.model import Kind, Statement
from broker.registry.model import Binding
from tests.conftest import FakeClock

ANN = Actor(ActorKind.PERSON, "ann")


def test_what_was_said_comes_back_whole_newest_first_and_is_audited(database: Database, clock: FakeClock) -> None:
    binding = Binding("10.0.0.9", 104, AETitle("US2_T"))
    said = Statement(
        "us",
        "images_look_right",
        Kind.STATED,
        "loops run",
        "ann",
        clock.now(),
        "r1",
        binding,
        "1.0",
        Fingerprint("1.2"),
    )
    waived = replace(said, check="mpps", kind=Kind.WAIVED, text="has none", binding=Binding())
    with database.write("promotion") as tx:
        numbers = [store.add(tx, each, ANN) for each in (said, waived)]
    with database.read() as tx:
        assert store.statements(tx, "us") == [replace(waived, id=numbers[1]), replace(said, id=numbers[0])]
        assert store.statements(tx, "other") == []
        acts = [(str(entry.actor), entry.action, entry.detail["check"]) for entry in audit.entries(tx)]
    assert acts == [
        ("person:ann", "promotion.stated", "images_look_right"),
        ("person:ann", "promotion.waived", "mpps"),
    ]
