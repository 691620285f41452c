"""Which orders that name no station a device's document chooses. Pure; the station titles of an order go before."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from broker.registry.model import Filter
from broker.worklist import wildcards
from broker.worklist.model import WorklistItem


@dataclass(frozen=True, slots=True)
class FilteredDevice:
    """A device whose document chooses: its stations, its modality, and what it chooses."""

    stations: tuple[str, ...]
    modality: str
    filter: Filter

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of what it chooses from: the filter's, else its own."""
        return self.filter.modalities or (self.modality,)


def said(asked: Filter) -> str:
    """Return what a filter states, by the keys of its document."""
    kinds = ((kind.name, getattr(asked, kind.name)) for kind in fields(asked))
    return "; ".join(f"{name} {', '.join(values)}" for name, values in kinds if values)


def chosen(device: FilteredDevice, item: WorklistItem) -> bool:
    """Tell whether a device's filter takes an item: every kind that is stated fits by any of its values."""
    asked = device.filter
    return (
        item.modality in device.modalities
        and (not asked.procedure_codes or not frozenset(asked.procedure_codes).isdisjoint(_codes(item)))
        and (not asked.locations or _any_matches(asked.locations, _locations(item)))
        and (not asked.sending_applications or item.sending_application in asked.sending_applications)
    )


def _codes(item: WorklistItem) -> Iterator[str]:
    if item.requested_procedure_code:
        yield item.requested_procedure_code.value
    yield from (code.value for code in item.scheduled_protocol_codes)


def _locations(item: WorklistItem) -> Iterator[str]:
    """Yield where the step takes place, or where the patient is if nobody said that."""
    stated = item.attributes.get("ScheduledProcedureStepLocation") or item.attributes.get("CurrentPatientLocation", "")
    yield from filter(None, (part.strip() for part in stated.split("\\")))


def _any_matches(patterns: Iterable[str], values: Iterable[str]) -> bool:
    folded = [wildcards.fold(value) for value in values]
    return any(wildcards.matches(wildcards.fold(pattern), value) for pattern in patterns for value in folded)
