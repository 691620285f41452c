"""Stations: the item's own, or those of its modality."""

from broker.worklist.stations import modalities_of, resolved, visible
from tests.unit.worklist.building import ANYBODY, STATIONS, US1, item


def test_own_stations_stay() -> None:
    assert resolved(item(), US1, STATIONS).scheduled_station_ae_titles == ("US1",)
    assert resolved(item(scheduled_station_ae_titles=("X",)), US1, STATIONS).scheduled_station_ae_titles == ("X",)


def test_without_a_station_those_of_the_modality_count_the_viewer_s_first() -> None:
    free = item(scheduled_station_ae_titles=())
    assert resolved(free, ANYBODY, {"US": ("US2", "US1")}).scheduled_station_ae_titles == ("US2", "US1")
    assert resolved(free, US1, {"US": ("US2", "US1")}).scheduled_station_ae_titles == ("US1", "US2")
    assert resolved(free, US1, {}).scheduled_station_ae_titles == ()


def test_a_device_of_another_modality_does_not_see_it() -> None:
    assert not visible(resolved(item(modality="CT", scheduled_station_ae_titles=()), US1, STATIONS), US1)
    assert visible(resolved(item(scheduled_station_ae_titles=()), US1, STATIONS), US1)


def test_modalities_of_stations() -> None:
    assert modalities_of(frozenset({"US2", "X"}), STATIONS) == {"US"}
