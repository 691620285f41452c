"""An instance that is kept -> the index, and what is owed of it: to whom, held, or to the other world."""

from collections.abc import Sequence
from dataclasses import replace

from broker.clock import Clock
from broker.database import Database, Transaction
from broker.delivery import routing
from broker.delivery import store as deliveries
from broker.environments.model import Identity, Profile, Route
from broker.exams import checking, crossing, identity
from broker.orders import order_store
from broker.pipeline.here import Here
from broker.registry.cache import RegistryCache
from broker.spool import store as spool_index
from broker.spool.model import SpooledInstance
from broker.spool.spool import Spool
from broker.tripwires.model import OTHER_WORLD, Identifier

_NO_ROUTE = "no route takes its instances: they are kept; add a route to the profile, then retry their deliveries"
_INCOMPLETE = "an instance has no Study or no Series Instance UID: it is kept and forwarded as it came"
_CONFLICT = "an instance came again under the same SOP Instance UID with other content: both are kept and forwarded"


class Owing(Here):
    """Routing, and what hinders it."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        super().__init__(profile, database, registry, spool, clock)
        self._newly_owed: set[str] = set()

    def newly_owed(self) -> set[str]:
        """Return to which destinations something has been owed since this was asked last."""
        names, self._newly_owed = self._newly_owed, set()
        return names

    def _owe(
        self, tx: Transaction, instance: SpooledInstance, owed_once: tuple[str, ...] = ()
    ) -> tuple[Identifier, ...]:
        """Index the instance and what is owed of it; return what began with it here.

        What belongs to the other world is owed there and nowhere else.
        """
        if not self.worlds.looks:
            self._owe_here(tx, instance, owed_once)
            return ()
        looked = crossing.image(self.worlds, instance)
        facts = instance.facts
        crossing.tell(tx, looked.tripped, facts.device or facts.calling_ae_title, self._alert)
        if looked.is_handed_over:
            crossing.hand_over(tx, instance, self._clock)
            self._newly_owed.add(OTHER_WORLD)
            return ()
        self._owe_here(tx, self._of_device(tx, instance), owed_once)
        for row in looked.held:
            deliveries.hold(tx, instance.id, row.text)
        return looked.began

    def _of_device(self, tx: Transaction, instance: SpooledInstance) -> SpooledInstance:
        """Return what the other world handed over as the device's that sent the study's other images here."""
        facts = instance.facts
        if facts.device or not self.worlds.is_other_title(facts.calling_ae_title):
            return instance
        return replace(instance, facts=replace(facts, device=spool_index.device_of(tx, instance.study_instance_uid)))

    def _owe_here(self, tx: Transaction, instance: SpooledInstance, owed_once: tuple[str, ...] = ()) -> None:
        """Index the instance, and one delivery for each destination; without any, park it where a person sees it.

        Where the device's document was lost with the database, what its routes said when the instance came counts.
        """
        order_id, keywords = checking.found(tx, instance)
        routes = self.rules(tx, instance.facts.device).routes
        targets = routing.targets(self.subject(tx, instance, order_id, routes), routes)
        if owed_once and instance.facts.device and not self._registry.within(tx).by_name(instance.facts.device):
            targets = tuple(routing.Target(name) for name in owed_once if self._profile.destination(name))
        conflict = spool_index.conflicting(tx, instance.facts, instance.sha256)
        spool_index.add(tx, instance)
        priorities = {target.destination: target.priority for target in targets}
        deliveries.owe(tx, instance.id, tuple(priorities), self._clock.now(), priorities)
        self._newly_owed.update(priorities)
        sender = instance.facts.device or instance.facts.calling_ae_title
        if not targets:
            self._alert(tx, "delivery.no-route", sender, _NO_ROUTE)
        if not (instance.study_instance_uid and instance.series_instance_uid):
            self._alert(tx, "instance.incomplete", sender, _INCOMPLETE)
        if conflict:
            self._alert(tx, "instance.conflict", sender, _CONFLICT)
        if keywords:
            self._disagrees(tx, instance, sender, order_id, keywords)

    def _disagrees(
        self, tx: Transaction, instance: SpooledInstance, sender: str, order_id: int, keywords: tuple[str, ...]
    ) -> None:
        """Say where an image disagrees with its order; hold what is owed of it where the profile says so."""
        held = self._profile.exams.identity is Identity.HOLD
        if held:
            deliveries.hold(tx, instance.id, identity.hold_reason(order_id, keywords))
        text = identity.alert_text(order_id, keywords, held=held)
        self._alert(tx, identity.EVENT, f"{sender}: order {order_id}", text)

    def subject(
        self, tx: Transaction, instance: SpooledInstance, order_id: int, routes: Sequence[Route]
    ) -> routing.Subject:
        """Return what these rules look at: the instance, when it came by the site's clocks, its order (0: none)."""
        kept = order_store.by_id(tx, order_id) if order_id else None
        order: routing.OrderValues | None = None
        if kept is not None and routing.look_at_orders(routes):
            order = routing.order_values(order_store.with_patient(tx, kept).order)
        elif kept is not None:
            order = routing.priority_value(kept.order)
        return routing.Subject(instance, instance.facts.received.astimezone(self._profile.timezone), order)

    def rules(self, tx: Transaction, device: str) -> routing.Rules:
        """Return the routes that count for what this device sends: its document's, else the profile's."""
        modality = self.registry(tx).by_name(device)
        return routing.rules(modality.document.routes if modality else (), self._profile.routes)
