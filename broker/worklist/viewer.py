"""From the registry to who asks: the viewer of a query, and the stations by which items are resolved."""

from dataclasses import dataclass
from datetime import UTC, tzinfo

from broker.registry.model import Modality, Registry
from broker.worklist.filters import FilteredDevice
from broker.worklist.model import Viewer
from broker.worklist.stations import Stations


def viewer_of(modality: Modality | None, timezone: tzinfo = UTC, calling: str = "") -> Viewer:
    """Return the viewer for a registered modality, or for a caller `calling` that nobody knows.

    `timezone` is the site's: it says what day it is for the device.
    """
    if modality is None:
        return Viewer(calling=(calling,) if calling else (), timezone=timezone)
    document = modality.document
    return Viewer(
        device=modality.name,
        stations=_titles(modality),
        modality=document.modality,
        station_name=document.station_name,
        location=document.location,
        character_sets=document.character_sets or Viewer().character_sets,
        habits=document.habits,
        calling=tuple(str(title) for title in modality.ae_titles),
        timezone=timezone,
        is_suspended=modality.suspended,
    )


def registry_stations(registry: Registry) -> Stations:
    """Return the stations of every active device by modality, each title once, and the devices that have a filter."""
    active = [modality for modality in registry.modalities if not modality.retired]
    found: dict[str, dict[str, None]] = {}
    for modality in active:
        found.setdefault(modality.document.modality, {}).update(dict.fromkeys(_titles(modality)))
    filtered = tuple(
        FilteredDevice(_titles(modality), modality.document.modality, modality.document.filter)
        for modality in active
        if modality.document.filter
    )
    unfiltered = {title for modality in active if not modality.document.filter for title in _titles(modality)}
    choosing = frozenset(title for device in filtered for title in device.stations) - unfiltered
    return Stations({modality: tuple(titles) for modality, titles in found.items()}, filtered, choosing)


class Viewers:
    """Who asks, made once a registry: as long as nobody changes it, its devices and stations are the same."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._known: _Known | None = None

    def of(self, registry: Registry, calling: str) -> tuple[Viewer, Stations]:
        """Return the viewer behind a calling title, and the stations by which items are resolved."""
        known = self._known
        if known is None or known.registry is not registry:
            known = self._known = _Known(registry, registry_stations(registry), {})
        viewer = known.viewers.get(calling)
        if viewer is None:
            modality = registry.by_calling(calling)
            viewer = viewer_of(modality, self._timezone, calling)
            if modality is not None:  # of titles that nobody registered there may be any number
                known.viewers[calling] = viewer
        return viewer, known.stations


@dataclass(frozen=True, slots=True)
class _Known:
    registry: Registry
    stations: Stations
    viewers: dict[str, Viewer]  # by calling title


def known_stations(registry: Registry) -> frozenset[str]:
    """Return every station title that an active device is shown."""
    return frozenset(title for modality in registry.modalities if not modality.retired for title in _titles(modality))


def _titles(modality: Modality) -> tuple[str, ...]:
    return tuple(map(str, modality.stations))
