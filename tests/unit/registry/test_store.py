import hashlib
from dataclasses import replace

import pytest

from broker.audit import store as audit
from broker.audit.model import Actor, ActorKind
from broker.database import Database, Transaction
from broker.errors import NotFound, Refused
from broker.identifiers import AETitle
from broker.registry import store
from broker.registry.document import read
from broker.registry.model import Binding, Revision
from tests.conftest import FakeClock
from tests.unit.registry.devices import content

ACTOR = Actor(ActorKind.OS_USER, "ada")


def apply(tx: Transaction, clock: FakeClock, given: bytes, *own_titles: str) -> Revision:
    own = [AETitle(title) for title in own_titles]
    return store.apply(tx, read(given, "d"), given, ACTOR, clock.now(), own_titles=own)


def test_revision_is_named_by_the_hash_of_its_bytes(database: Database, clock: FakeClock) -> None:
    given = content("us-1", "US_1")
    with database.write("registry") as tx:
        revision = apply(tx, clock, given)
    assert revision == Revision(hashlib.sha256(given).hexdigest(), "us-1", given, clock.now())
    with database.read() as tx:
        assert store.content(tx, "us-1") == given
        assert store.load(tx).modalities[0].revision == revision.sha256


def test_each_change_raises_the_generation_once(database: Database, clock: FakeClock) -> None:
    seen = []
    with database.write("registry") as tx:
        seen.append(store.generation(tx))
        apply(tx, clock, content("us-1", "US_1"))
        seen.append(store.generation(tx))
        store.bind(tx, "us-1", Binding("10.0.0.1", 104), ACTOR, clock.now())
        seen.append(store.generation(tx))
        store.retire(tx, "us-1", ACTOR, clock.now())
        seen.append(store.generation(tx))
    assert seen == [0, 1, 2, 3]


def test_what_is_so_already_changes_nothing(database: Database, clock: FakeClock) -> None:
    given = content("us-1", "US_1")
    with database.write("registry") as tx:
        first = apply(tx, clock, given)
        store.bind(tx, "us-1", Binding("h", 1), ACTOR, clock.now())
        store.retire(tx, "us-1", ACTOR, clock.now())
        apply(tx, clock, given)
        before = store.generation(tx)
        clock.advance(60)
        assert apply(tx, clock, given) == first
        store.bind(tx, "us-1", Binding("h", 1), ACTOR, clock.now())
        assert store.generation(tx) == before
        assert store.retire(tx, "us-1", ACTOR, clock.now()) is True
        assert store.retire(tx, "us-1", ACTOR, clock.now()) is False


def test_earlier_revision_can_be_active_again(database: Database, clock: FakeClock) -> None:
    one, two = content("us-1", "US_1"), content("us-1", "US_1", description="new probe")
    with database.write("registry") as tx:
        first = apply(tx, clock, one)
        clock.advance(1)
        second = apply(tx, clock, two)
        clock.advance(1)
        assert apply(tx, clock, one) == first
        assert store.revisions(tx, "us-1") == [first, second]
        assert store.content(tx, "us-1") == one
        assert store.content(tx, "us-1", second.sha256[:8]) == two


def test_calling_title_of_another_device_is_refused(database: Database, clock: FakeClock) -> None:
    with database.write("registry") as tx:
        apply(tx, clock, content("us-1", "US_1"))
        with pytest.raises(Refused, match="us-2: AE title 'US_1' belongs to us-1"):
            apply(tx, clock, content("us-2", "US_2", "US_1"))
        apply(tx, clock, content("us-2", "US_2"))
        with pytest.raises(Refused, match="'US_1' belongs to us-1"):
            store.bind(tx, "us-2", Binding(ae_title=AETitle("US_1")), ACTOR, clock.now())
        store.retire(tx, "us-1", ACTOR, clock.now())
        store.bind(tx, "us-2", Binding(ae_title=AETitle("US_1")), ACTOR, clock.now())


def test_title_of_a_binding_is_what_counts_in_this_world(database: Database, clock: FakeClock) -> None:
    with database.write("registry") as tx:
        apply(tx, clock, content("us-1", "US_1"))
        store.bind(tx, "us-1", Binding(ae_title=AETitle("US_1T")), ACTOR, clock.now())
        apply(tx, clock, content("us-2", "US_1"))
        registry = store.load(tx)
    assert [registry.by_calling(title).name for title in ("US_1T", "US_1")] == ["us-1", "us-2"]  # type: ignore[union-attr]


def test_our_own_title_is_refused(database: Database, clock: FakeClock) -> None:
    with database.write("registry") as tx, pytest.raises(Refused, match="'BROKER' is this broker's own"):
        apply(tx, clock, content("us-1", "BROKER"), "BROKER")
    with database.read() as tx:
        assert store.modalities(tx) == []
        assert store.revisions(tx, "us-1") == []


def test_retired_device_is_not_in_service_and_returns_when_applied(database: Database, clock: FakeClock) -> None:
    given = content("us-1", "US_1")
    with database.write("registry") as tx:
        apply(tx, clock, given)
        store.bind(tx, "us-1", Binding("10.0.0.1", 104), ACTOR, clock.now())
        store.retire(tx, "us-1", ACTOR, clock.now())
        assert store.load(tx).modalities == ()
        assert [device.retired for device in store.modalities(tx)] == [True]
        apply(tx, clock, given)
        assert store.load(tx).modalities[0].binding == Binding("10.0.0.1", 104)


def test_binding_comes_back_whole(database: Database, clock: FakeClock) -> None:
    binding = Binding("10.0.0.1", 104, AETitle("US_1T"), AETitle("ROOM1"))
    with database.write("registry") as tx:
        apply(tx, clock, content("us-1", "US_1"))
        bound = store.bind(tx, "us-1", binding, ACTOR, clock.now())
        assert store.modality(tx, "us-1") == bound
    assert (bound.binding, bound.ae_titles, bound.stations) == (binding, ("US_1T",), ("ROOM1",))


def test_change_of_a_device_that_is_not_there_is_not_found(database: Database, clock: FakeClock) -> None:
    with database.write("registry") as tx:
        for change in (
            lambda: store.bind(tx, "no", Binding(), ACTOR, clock.now()),
            lambda: store.retire(tx, "no", ACTOR, clock.now()),
            lambda: store.content(tx, "no"),
        ):
            with pytest.raises(NotFound, match="there is no modality 'no'"):
                change()
        apply(tx, clock, content("us-1", "US_1"))
        with pytest.raises(NotFound, match="no revisions that begin with 'zz'"):
            store.content(tx, "us-1", "zz")


def test_every_change_is_audited_with_its_actor_and_reason(database: Database, clock: FakeClock) -> None:
    given = content("us-1", "US_1")
    with database.write("registry") as tx:
        store.apply(tx, read(given, "d"), given, ACTOR, clock.now(), why="room moved")
        store.bind(tx, "us-1", Binding("10.0.0.1", 104), ACTOR, clock.now())
        store.retire(tx, "us-1", ACTOR, clock.now())
    with database.read() as tx:
        entries = list(audit.entries(tx))
    assert [(entry.action, entry.subject, entry.actor) for entry in entries] == [
        (action, "us-1", ACTOR) for action in ("modality.apply", "modality.bind", "modality.retire")
    ]
    assert entries[0].detail == {"revision": hashlib.sha256(given).hexdigest(), "replaces": "", "why": "room moved"}


def test_change_that_is_rolled_back_leaves_nothing(database: Database, clock: FakeClock) -> None:
    with pytest.raises(RuntimeError), database.write("registry") as tx:
        apply(tx, clock, content("us-1", "US_1"))
        raise RuntimeError
    with database.read() as tx:
        assert (store.generation(tx), store.modalities(tx), list(audit.entries(tx))) == (0, [], [])


def test_database_that_was_never_opened_has_no_registry(database_url: str, database: Database) -> None:
    with database.read() as tx:
        assert store.exists(tx)
    store.table_of(store.ModalityRow).drop(database.engine)
    with database.read() as tx:
        assert not store.exists(tx)


def test_devices_come_in_the_order_of_their_names(database: Database, clock: FakeClock) -> None:
    with database.write("registry") as tx:
        for name in ("us-3", "us-1", "us-2"):
            apply(tx, clock, content(name, name.upper()))
        registry = store.load(tx)
    assert [device.name for device in registry.modalities] == ["us-1", "us-2", "us-3"]
    assert registry.by_name("us-2") == replace(registry.modalities[1])
