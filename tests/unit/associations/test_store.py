from dataclasses import replace

from broker.associations import store
from broker.associations.model import Association, Context, Result
from broker.database import Database
from broker.identifiers import new_id
from tests.conftest import FakeClock

CT = "1.2.840.10008.5.1.4.1.1.2"


def association(clock: FakeClock, result: Result = Result.OPEN, reason: str = "") -> Association:
    return Association(
        id=new_id(clock.now()),
        started=clock.now(),
        calling_ae_title="US_1",
        called_ae_title="BROKER",
        address="127.0.0.1",
        implementation_class_uid="1.2.3",
        implementation_version_name="THEIRS",
        contexts=(Context(CT, "1.2.840.10008.1.2.1"),),
        device="us-1",
        revision="0" * 64,
        software="0.1.0",
        result=result,
        reason=reason,
        nearest="US_2" if reason else "",
    )


def test_association_comes_back_as_it_was_added(database: Database, clock: FakeClock) -> None:
    added = association(clock)
    with database.write("associations") as tx:
        store.add(tx, added)
    with database.read() as tx:
        assert store.find(tx, added.id) == added
        assert store.find(tx, "nothing") is None


def test_end_is_recorded_with_its_reason(database: Database, clock: FakeClock) -> None:
    added = association(clock)
    with database.write("associations") as tx:
        store.add(tx, added)
        clock.advance(5)
        store.end(tx, added.id, Result.ABORTED, "the connection broke", clock.now())
    with database.read() as tx:
        ended = store.find(tx, added.id)
    assert ended == replace(added, result=Result.ABORTED, reason="the connection broke", ended=clock.now())


def test_rejections_are_the_refused_ones_newest_first(database: Database, clock: FakeClock) -> None:
    refused = []
    with database.write("associations") as tx:
        for number in range(3):
            clock.advance(1)
            store.add(tx, association(clock))
            refused.append(association(clock, Result.REJECTED, f"unknown {number}"))
            store.add(tx, refused[-1])
    with database.read() as tx:
        assert list(store.rejections(tx)) == refused[::-1]
        assert list(store.rejections(tx, limit=1)) == refused[-1:]
