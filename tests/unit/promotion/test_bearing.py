"""How a fact bears on the device as it is now: pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from broker.promotion.bearing import Change, Circumstances, Present, bearing, plain
from broker.promotion.model import Fingerprint, Hashes
from broker.registry.model import Binding

AT = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
HASHES = Hashes("d", "r", "p", "m")
HERE = Binding("10.0.0.9", 104)
SELF = Fingerprint("1.2", "S", "Maker", "Model", "S1", "5")
NOW = Present("r1", HERE, "1.0", HASHES, SELF, AT - timedelta(days=1))
FACT = Circumstances(AT, "r1", HERE, "1.0", HASHES, SELF, "10.0.0.9")


def resolve(host: str) -> frozenset[str]:
    return frozenset({plain(host)})


def test_what_was_as_it_is_counts() -> None:
    assert bearing(FACT, NOW, resolve).counts


def test_each_change_is_named_alone() -> None:
    changes = {
        Change.REVISION: replace(FACT, revision="r0"),
        Change.BINDING: replace(FACT, binding=replace(HERE, port=1)),
        Change.MAPPING: replace(FACT, hashes=replace(HASHES, mapping="x")),
        Change.POLICY: replace(FACT, hashes=replace(HASHES, policy="x")),
        Change.VERSION: replace(FACT, software="0.9", hashes=replace(HASHES, mapping="of 0.9")),
        Change.SETTINGS: replace(FACT, hashes=None),
        Change.DEVICE: replace(FACT, at=AT - timedelta(days=2)),
    }
    for change, fact in changes.items():
        assert bearing(fact, NOW, resolve).changed == (change,)


def test_routes_and_destinations_matter_to_deliveries_only() -> None:
    found = bearing(replace(FACT, hashes=replace(HASHES, routes="x", destinations="x")), NOW, resolve)
    assert found.counts and found.moved == (Change.ROUTES, Change.DESTINATIONS)


def test_what_contradicts_nothing_is_of_the_device() -> None:
    assert bearing(replace(FACT, fingerprint=Fingerprint("1.2", "S")), NOW, resolve).counts


def test_another_fingerprint_beside_it_is_another_device() -> None:
    found = bearing(replace(FACT, fingerprint=replace(SELF, software_versions="6", model_name="Other")), NOW, resolve)
    assert found.foreign == "of another device (model name, software versions)"


def test_what_a_person_says_has_no_address() -> None:
    assert bearing(replace(FACT, address=None), NOW, resolve).counts
