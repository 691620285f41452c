"""Which destinations an instance is owed to, how urgently, and why a rule does not take it."""

from dataclasses import replace
from datetime import datetime

import pytest

from broker.delivery.routing import OrderValues, Subject, judged, order_values, rules, takes, targets
from broker.environments.model import Priority, Route
from broker.environments.schedules import parse_hours
from broker.orders.model import Code, Order, Patient, ScheduledStep
from tests.unit.spool.test_store import instance

INSTANCE = replace(
    instance(), attributes={"Modality": "US", "ImageType": "ORIGINAL\\PRIMARY", "StationName": "USROOM2"}
)
SUNDAY = datetime(2026, 2, 1, 8, 30)
EVERYTHING = Route(("main-pacs",))


def subject(order: OrderValues | None = None, at: datetime = SUNDAY) -> Subject:
    return Subject(INSTANCE, at, order)


def names(*routes: Route, order: OrderValues | None = None) -> tuple[str, ...]:
    return tuple(target.destination for target in targets(subject(order), routes))


def when(key: str, *patterns: str) -> Route:
    return Route(("a",), ((key, patterns),))


def test_all_routes_that_match_apply_in_order_without_repeats() -> None:
    assert names(Route(("b", "a")), Route(("x",), (("Modality", ("CT",)),)), Route(("a", "c"))) == ("b", "a", "c")


def test_a_documents_routes_stand_in_for_the_profiles() -> None:
    research = Route(("research",), (("Modality", ("CT",)),))
    assert rules((research,), (EVERYTHING,)).routes == (research,)
    assert rules((), (EVERYTHING,)).routes == (EVERYTHING,)
    assert (rules((research,), ()).of_document, rules((), ()).of_document) == (True, False)


def test_without_a_route_nothing_is_owed() -> None:
    assert names() == ()


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
        ("order", "none", True),
        ("order", "known", False),
        ("order.RequestingService", "*", False),
    ],
)
def test_a_condition_holds(key: str, pattern: str, holds: bool) -> None:
    assert takes(when(key, pattern), subject()) is holds


@pytest.mark.parametrize(
    ("key", "pattern", "holds"),
    [
        ("order", "known", True),
        ("order", "none", False),
        ("order.RequestedProcedureCodeSequence", "ABD", True),
        ("order.RequestedProcedureCodeSequence", "Abdomen", False),
        ("order.Modality", "US", True),
        ("order.ScheduledStationAETitle", "US2", True),
        ("order.CurrentPatientLocation", "ICU*", True),
        ("order.RequestingService", "", True),
        ("order.PatientSex", "F", True),
    ],
)
def test_a_condition_looks_at_the_order(key: str, pattern: str, holds: bool) -> None:
    order = Order(
        Patient(patient_sex="F"),
        requested_procedure_code=Code("ABD", "99", "Abdomen"),
        steps=(ScheduledStep(modality="US"), ScheduledStep(scheduled_station_ae_titles=("US1", "US2"))),
        visit={"CurrentPatientLocation": "ICU 3"},
    )
    assert takes(when(key, pattern), subject(order_values(order))) is holds


def test_any_of_several_patterns_may_fit() -> None:
    assert takes(when("Modality", "SR", "US"), subject())
    assert not takes(when("Modality", "SR", "KO"), subject())


def test_every_condition_must_hold() -> None:
    assert not takes(Route(("a",), (("Modality", ("US",)), ("device", ("other",)))), subject())


def test_a_route_leaves_out_what_it_says() -> None:
    route = Route(("a",), unless=(("Modality", ("SR", "KO")),))
    report = replace(INSTANCE, attributes={"Modality": "SR"})
    assert takes(route, subject())
    assert not takes(route, Subject(report, SUNDAY))


def test_a_route_holds_in_its_hours() -> None:
    route = Route(("a",), times=(parse_hours("mon-fri 18:00-07:00"),))
    assert not takes(route, subject(at=datetime(2026, 2, 1, 20, 0)))  # a Sunday
    assert takes(route, subject(at=datetime(2026, 2, 7, 6, 59)))  # Friday's night
    assert not takes(route, subject(at=datetime(2026, 2, 2, 12, 0)))


@pytest.mark.parametrize(
    ("word", "priority"),
    [
        ("STAT", Priority.STAT),
        ("HIGH", Priority.HIGH),
        ("MEDIUM", Priority.ROUTINE),
        ("LOW", Priority.LOW),
        ("stat ", Priority.STAT),
        ("SOON", Priority.ROUTINE),
    ],
)
def test_the_priority_is_the_orders(word: str, priority: Priority) -> None:
    (target,) = targets(subject({"RequestedProcedurePriority": (word,)}), (EVERYTHING,))
    assert (target.priority, target.by) == (priority, "order")


def test_without_a_word_of_order_or_route_it_is_routine() -> None:
    assert [(one.priority, one.by) for one in targets(subject(), (EVERYTHING,))] == [(Priority.ROUTINE, "default")]


def test_the_first_route_that_states_a_priority_decides_for_its_destinations() -> None:
    stat = {"RequestedProcedurePriority": ("STAT",)}
    routes = (
        Route(("a", "b")),
        Route(("a",), priority=Priority.LOW),
        Route(("a",), priority=Priority.HIGH),
        Route(("b",), (("Modality", ("CT",)),), priority=Priority.LOW),
    )
    found = {one.destination: (one.priority, one.by) for one in targets(subject(stat), routes)}
    assert found == {"a": (Priority.LOW, "route 2"), "b": (Priority.STAT, "order")}


def test_every_reason_against_a_route_is_said() -> None:
    route = Route(
        ("a",),
        (("Modality", ("SR", "KO")), ("Manufacturer", ("Acme",)), ("order.RequestingService", ("ER",))),
        (("device", ("us",)),),
        (parse_hours("18:00-07:00"),),
    )
    (one,) = judged(subject(), (route,))
    assert one.reasons == (
        'Modality is "US", it wants "SR" or "KO"',
        'Manufacturer is empty, it wants "Acme"',
        'order.RequestingService is unknown: it belongs to no order that is known, it wants "ER"',
        'device is "us", which it leaves out',
        "received Sun 08:30, it wants 18:00-07:00",
    )
