"""From the registry to who asks: the viewer of a query, and the stations by which items are resolved."""

from broker.registry.model import Modality, Registry
from broker.worklist.model import Viewer
from broker.worklist.stations import Stations


def viewer_of(modality: Modality | None) -> Viewer:
    """Return the viewer for a registered modality, or for a caller nobody knows."""
    if modality is None:
        return Viewer()
    document = modality.document
    return Viewer(
        device=modality.name,
        stations=tuple(str(title) for title in modality.stations),
        modality=document.modality,
        station_name=document.station_name,
        location=document.location,
        character_sets=document.character_sets or Viewer().character_sets,
    )


def registry_stations(registry: Registry) -> Stations:
    """Return the stations of every active device by modality, each title once."""
    found: dict[str, dict[str, None]] = {}
    for modality in registry.modalities:
        if not modality.retired:
            found.setdefault(modality.document.modality, {}).update(dict.fromkeys(map(str, modality.stations)))
    return {modality: tuple(titles) for modality, titles in found.items()}


def known_stations(registry: Registry) -> frozenset[str]:
    """Return every station title that an active device is shown."""
    return frozenset(
        str(title) for modality in registry.modalities if not modality.retired for title in modality.stations
    )
