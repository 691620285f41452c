"""Which stations a step is for, and who may see it. Pure; an item that names no station is resolved at query time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from broker.worklist.filters import FilteredDevice, chosen
from broker.worklist.model import Viewer, WorklistItem


@dataclass(frozen=True, slots=True)
class Stations:
    """The stations of every active device by modality, and those devices whose documents choose among the orders."""

    by_modality: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filtered: tuple[FilteredDevice, ...] = ()
    choosing: frozenset[str] = frozenset()  # titles that only devices with a filter have


def resolved(item: WorklistItem, viewer: Viewer, registry_stations: Stations) -> WorklistItem:
    """Return the item with stations: its own, else those of the devices that are shown it, the viewer's first."""
    if item.scheduled_station_ae_titles:
        return item
    every = _stations_of(item, registry_stations)
    own = tuple(title for title in viewer.stations if title in every)
    others = tuple(title for title in every if title not in own)
    return replace(item, scheduled_station_ae_titles=own + others)


def _stations_of(item: WorklistItem, known: Stations) -> tuple[str, ...]:
    """Return the stations of an item that names none.

    A device with a filter is shown what its filter takes, one without all of its modality. What nobody would be shown
    is shown to all devices of its modality: a filter that is wrong must not hide a patient from everybody.
    """
    of_modality = known.by_modality.get(item.modality, ())
    if not known.filtered:
        return of_modality
    taken = [title for device in known.filtered if chosen(device, item) for title in device.stations]
    shown = tuple(dict.fromkeys((*taken, *(title for title in of_modality if title not in known.choosing))))
    return shown or of_modality


def visible(item: WorklistItem, viewer: Viewer) -> bool:
    """Tell whether a viewer may see a resolved item: a registered device sees what is for one of its stations."""
    return not viewer.is_bound or any(title in viewer.stations for title in item.scheduled_station_ae_titles)


def titles_of(registry_stations: Stations) -> frozenset[str]:
    """Return the titles of all devices: one of these is a station of an item that names none."""
    of_devices = (titles for titles in registry_stations.by_modality.values())
    return frozenset().union(*of_devices, *(device.stations for device in registry_stations.filtered))


def modalities_of(stations: frozenset[str], registry_stations: Stations) -> frozenset[str]:
    """Return the modalities of which these stations may be shown an item that names none."""
    of_devices = {
        modality for modality, titles in registry_stations.by_modality.items() if stations.intersection(titles)
    }
    chosen_from = {
        modality
        for device in registry_stations.filtered
        if stations.intersection(device.stations)
        for modality in device.modalities
    }
    return frozenset(of_devices | chosen_from)
