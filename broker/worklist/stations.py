"""Which stations a step is for, and who may see it. Pure; an item that names no station is resolved at query time."""

from collections.abc import Mapping
from dataclasses import replace

from broker.worklist.model import Viewer, WorklistItem

Stations = Mapping[str, tuple[str, ...]]
"""The stations of every active device, by modality."""


def resolved(item: WorklistItem, viewer: Viewer, registry_stations: Stations) -> WorklistItem:
    """Return the item with stations: its own, or those of its modality, the viewer's own of them first."""
    if item.scheduled_station_ae_titles:
        return item
    every = registry_stations.get(item.modality, ())
    own = tuple(title for title in viewer.stations if title in every)
    others = tuple(title for title in every if title not in own)
    return replace(item, scheduled_station_ae_titles=own + others)


def visible(item: WorklistItem, viewer: Viewer) -> bool:
    """Tell whether a viewer may see a resolved item: a registered device sees what is for one of its stations."""
    return not viewer.device or any(title in viewer.stations for title in item.scheduled_station_ae_titles)


def modalities_of(stations: frozenset[str], registry_stations: Stations) -> frozenset[str]:
    """Return the modalities whose devices include one of these stations."""
    return frozenset(modality for modality, titles in registry_stations.items() if stations.intersection(titles))
