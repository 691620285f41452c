"""Where a promotion comes from, as the target sees it: what is tested there, and what that has proven."""

from datetime import datetime
from typing import Protocol

from broker.promotion import facts, gate, judging
from broker.promotion.gate import Here, Prepared
from broker.promotion.probing import Contexts, Prober
from broker.registry import store as registry
from broker.registry.model import Binding


class Source(Protocol):
    """What a device was tested in."""

    @property
    def reference(self) -> str:
        """Where it is found again when a request is applied."""
        ...

    def prepared(self, target: Here, name: str, asked: Binding | None, prober: Prober, now: datetime) -> Prepared:
        """Return the plan for one device. Raises NotFound, Refused."""
        ...

    def contexts(self, name: str, now: datetime) -> Contexts:
        """Return each SOP class and transfer syntax that the device has used there."""
        ...


class Tested:
    """An environment that is open here."""

    def __init__(self, here: Here) -> None:
        self._here = here

    @property
    def reference(self) -> str:
        """The profile's file."""
        return str(self._here.profile.file)

    def prepared(self, target: Here, name: str, asked: Binding | None, prober: Prober, now: datetime) -> Prepared:
        """Return the plan for one device, by all that is recorded there."""
        return gate.prepared(self._here, target, name, asked, judging.by(prober), now)

    def contexts(self, name: str, now: datetime) -> Contexts:
        """Return what its images that count were sent in."""
        device = registry.modality(self._here.tx, name)
        return facts.read(self._here.tx, self._here.profile, device, now).contexts
