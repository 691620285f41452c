"""Viewers and stations from the registry."""

from dataclasses import replace
from datetime import UTC

from broker.identifiers import AETitle
from broker.registry.model import Binding, Document, Modality, Registry
from broker.worklist.model import Viewer
from broker.worklist.viewer import Viewers, registry_stations, viewer_of

DOCUMENT = Document(
    name="us-room-2",
    description="",
    modality="US",
    ae_titles=(AETitle("US_ROOM2"),),
    stations=(AETitle("US_ROOM2"), AETitle("US_POOL")),
    station_name="USROOM2",
    location="ROOM 2",
    character_sets=("", "ISO_IR 100"),
    routes=(),
)
MODALITY = Modality("us-room-2", "0" * 64, DOCUMENT, Binding())


def test_a_registered_device_is_its_stations_and_habits() -> None:
    assert viewer_of(MODALITY) == Viewer(
        "us-room-2", ("US_ROOM2", "US_POOL"), "US", "USROOM2", "ROOM 2", ("", "ISO_IR 100"), calling=("US_ROOM2",)
    )
    assert viewer_of(None) == Viewer()


def test_stations_by_modality_leave_out_what_is_retired() -> None:
    bound = replace(MODALITY, name="us-room-3", binding=Binding(station=AETitle("US_POOL")))
    gone = replace(MODALITY, name="us-room-4", binding=Binding(station=AETitle("OLD")), retired=True)
    other = replace(MODALITY, name="ct", document=replace(DOCUMENT, modality="CT", stations=(AETitle("CT1"),)))
    registry = Registry(1, (MODALITY, bound, gone, other))
    assert registry_stations(registry).by_modality == {"US": ("US_ROOM2", "US_POOL"), "CT": ("CT1",)}


def test_viewers_are_the_same_until_the_registry_is_another() -> None:
    viewers, registry = Viewers(UTC), Registry(1, (MODALITY,))
    viewer, stations = viewers.of(registry, "US_ROOM2")
    assert (viewer, stations) == (viewer_of(MODALITY), registry_stations(registry))
    assert viewers.of(registry, "US_ROOM2")[0] is viewer
    changed = Registry(2, (replace(MODALITY, suspended=True),))
    assert viewers.of(changed, "US_ROOM2")[0].is_suspended


def test_a_caller_that_nobody_knows_is_known_by_its_title_alone() -> None:
    viewers, registry = Viewers(UTC), Registry(1, (MODALITY,))
    assert [viewers.of(registry, title)[0].calling for title in ("A", "B")] == [("A",), ("B",)]
