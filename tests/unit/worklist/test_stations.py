"""Stations: the item's own, those of the devices that choose it, or those of its modality."""

from dataclasses import replace

import pytest

from broker.orders.model import Code
from broker.registry.model import Filter, Habits
from broker.worklist.filters import FilteredDevice, chosen
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.stations import Stations, modalities_of, resolved, visible
from tests.unit.worklist.building import ANYBODY, STATIONS, US1, item

FREE = item(scheduled_station_ae_titles=())
ROOM_1 = Filter(locations=("ROOM 1*",))


def filtering(asked: Filter, modality: str = "US") -> Stations:
    """US1 chooses, US2 does not."""
    return replace(STATIONS, filtered=(FilteredDevice(("US1",), modality, asked),), choosing=frozenset({"US1"}))


def test_stated_stations_stay() -> None:
    assert resolved(item(), US1, STATIONS).scheduled_station_ae_titles == ("US1",)
    assert resolved(item(scheduled_station_ae_titles=("X",)), US1, STATIONS).scheduled_station_ae_titles == ("X",)
    stated = item(attributes={"ScheduledProcedureStepLocation": "ROOM 9"})
    assert resolved(stated, US1, filtering(ROOM_1)).scheduled_station_ae_titles == ("US1",)


def test_without_a_station_those_of_the_modality_count_the_viewer_s_first() -> None:
    turned = Stations({"US": ("US2", "US1")})
    assert resolved(FREE, ANYBODY, turned).scheduled_station_ae_titles == ("US2", "US1")
    assert resolved(FREE, US1, turned).scheduled_station_ae_titles == ("US1", "US2")
    assert not visible(resolved(item(modality="CT", scheduled_station_ae_titles=()), US1, STATIONS), US1)
    assert visible(resolved(FREE, US1, STATIONS), US1)


def test_modalities_of_stations() -> None:
    assert modalities_of(frozenset({"US2", "X"}), STATIONS) == {"US"}
    assert modalities_of(frozenset({"US1"}), filtering(Filter(modalities=("CT", "MR")))) == {"US", "CT", "MR"}


@pytest.mark.parametrize(
    ("location", "stations"),
    [("ROOM 1", ("US1", "US2")), ("room 1b", ("US1", "US2")), ("ROOM 2", ("US2",)), ("", ("US2",))],
)
def test_a_device_with_a_filter_is_shown_what_it_takes_and_others_all(location: str, stations: tuple[str, ...]) -> None:
    free = replace(FREE, attributes={"ScheduledProcedureStepLocation": location})
    assert resolved(free, ANYBODY, filtering(ROOM_1)).scheduled_station_ae_titles == stations


def test_what_no_filter_takes_and_nobody_else_has_is_for_all_of_the_modality() -> None:
    both = replace(filtering(ROOM_1), choosing=frozenset({"US1", "US2"}))
    assert resolved(FREE, ANYBODY, both).scheduled_station_ae_titles == ("US1", "US2")


def test_a_filter_may_take_another_modality() -> None:
    ct = replace(FREE, modality="CT")
    assert resolved(ct, US1, filtering(Filter(modalities=("CT",)))).scheduled_station_ae_titles == ("US1", "CT1")


@pytest.mark.parametrize(
    ("asked", "changes", "expected"),
    [
        (Filter(modalities=("US",)), {}, True),
        (Filter(modalities=("CT",)), {}, False),
        (Filter(procedure_codes=("USABD",)), {}, True),
        (Filter(procedure_codes=("USKID",)), {}, True),  # of the protocol
        (Filter(procedure_codes=("OTHER",)), {}, False),
        (Filter(procedure_codes=("USABD",)), {"requested_procedure_code": None, "scheduled_protocol_codes": ()}, False),
        (Filter(procedure_codes=("X",)), {"requested_procedure_code": Code("X", "L", "X")}, True),
        (Filter(locations=("ward 3",)), {"attributes": {"CurrentPatientLocation": "WARD 3"}}, True),
        (Filter(locations=("ward 3",)), {}, False),
        (
            Filter(locations=("ward 3",)),
            {"attributes": {"CurrentPatientLocation": "WARD 3", "ScheduledProcedureStepLocation": "ROOM 1"}},
            False,
        ),
        (Filter(sending_applications=("RIS",)), {"sending_application": "RIS"}, True),
        (Filter(sending_applications=("RIS",)), {"sending_application": "ris"}, False),
        (Filter(sending_applications=("RIS",)), {}, False),
        (Filter(procedure_codes=("USABD",), sending_applications=("RIS",)), {}, False),  # every kind that is stated
    ],
)
def test_every_kind_of_a_filter(asked: Filter, changes: dict[str, object], expected: bool) -> None:
    of: WorklistItem = item(scheduled_station_ae_titles=(), **changes)
    assert chosen(FilteredDevice(("US1",), "US", asked), of) is expected


def test_a_device_that_is_not_bound_sees_what_is_for_others() -> None:
    free = replace(US1, habits=Habits(default_station_key=False))
    assert visible(item(scheduled_station_ae_titles=("CT1",)), free)
    assert not visible(item(scheduled_station_ae_titles=("CT1",)), US1)
    assert visible(item(scheduled_station_ae_titles=("CT1",)), Viewer())
