"""Which destinations an instance is owed to."""

from dataclasses import replace

import pytest

from broker.delivery.routing import destinations, matches
from broker.environments.model import Route
from tests.unit.spool.test_store import instance

INSTANCE = replace(
    instance(), attributes={"Modality": "US", "ImageType": "ORIGINAL\\PRIMARY", "StationName": "USROOM2"}
)
EVERYTHING = Route(("main-pacs",))


def test_all_routes_that_match_apply_in_order_without_repeats() -> None:
    routes = (Route(("b", "a")), Route(("x",), (("Modality", "CT"),)), Route(("a", "c")))
    assert destinations(INSTANCE, (), routes) == ("b", "a", "c")


def test_a_documents_routes_stand_in_for_the_profiles() -> None:
    assert destinations(INSTANCE, (Route(("research",)),), (EVERYTHING,)) == ("research",)
    assert destinations(INSTANCE, (Route(("research",), (("Modality", "CT"),)),), (EVERYTHING,)) == ()


def test_without_a_route_nothing_is_owed() -> None:
    assert destinations(INSTANCE, (), ()) == ()


@pytest.mark.parametrize(
    ("key", "pattern", "holds"),
    [
        ("device", "us", True),
        ("calling", " US_ROOM2 ", True),
        ("calling", "us_room2", False),
        ("called", "BROKER", True),
        ("Modality", "US", True),
        ("Modality", "U", False),
        ("Modality", "U?", True),
        ("StationName", "USROOM*", True),
        ("StationName", "[U]*", False),
        ("ImageType", "PRIMARY", True),
        ("ImageType", "ORIGINAL\\PRIMARY", True),
        ("Manufacturer", "*", True),
        ("Manufacturer", "Acme", False),
    ],
)
def test_a_condition_holds(key: str, pattern: str, holds: bool) -> None:
    assert matches(Route(("a",), ((key, pattern),)), INSTANCE) is holds


def test_every_condition_must_hold() -> None:
    assert not matches(Route(("a",), (("Modality", "US"), ("device", "other"))), INSTANCE)
