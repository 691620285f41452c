"""Gathers what the other stages recorded of an order, and makes its exam of it. Writes nothing, copies nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.commitment.proof import store as proofs
from broker.database import Transaction
from broker.delivery.correction import store as corrections
from broker.environments.commitment import ProofBy
from broker.environments.model import Profile
from broker.exams import checking, ledger, store, transfers
from broker.exams.limits import Limits
from broker.exams.model import Exam, Expected, Image, Recorded
from broker.inbox import store as inbox
from broker.inbox.model import InboxEntry
from broker.orders import history, order_store
from broker.orders.history import HistoryEntry
from broker.orders.model import Did, StoredOrder
from broker.outbox import store as outbox
from broker.procedures import store as procedures
from broker.procedures.model import StoredStep, Unlinked
from broker.procedures.unlinked import store as unlinks
from broker.worklist import store as worklist


def exam(tx: Transaction, stored: StoredOrder, profile: Profile, now: datetime) -> Exam:
    """Return the exam of an order as it stands now."""
    limits = Limits(profile.exams, profile.timezone, now)
    provers = frozenset(each.name for each in profile.destinations if each.proof.by is not ProofBy.NONE)
    return ledger.exam(recorded(tx, stored, has_receivers=bool(profile.receivers), provers=provers), limits)


def of_day(tx: Transaction, day: str, limit: int, skipped: int = 0) -> list[StoredOrder]:
    """Return the orders with a step on a day (DA), soonest first, without the first `skipped`."""
    return _whole(tx, store.orders_of_day(tx, day, limit, skipped))


def newest(tx: Transaction, limit: int, skipped: int = 0) -> list[StoredOrder]:
    """Return orders, the newest first, without the first `skipped`."""
    return _whole(tx, store.newest_orders(tx, limit, skipped))


def _whole(tx: Transaction, order_ids: Iterable[int]) -> list[StoredOrder]:
    found = (order_store.by_id(tx, order_id) for order_id in order_ids)
    return [order_store.with_patient(tx, kept) for kept in found if kept is not None]


def recorded(
    tx: Transaction, stored: StoredOrder, *, has_receivers: bool, provers: frozenset[str] = frozenset()
) -> Recorded:
    """Return all that was recorded of an order."""
    lines = tuple(history.history(tx, stored.id))
    items = tuple(worklist.of_order(tx, stored.id))
    steps = tuple(procedures.of_order(tx, stored.id))
    expected = checking.expected(tx, stored, performed=steps)
    unlinked = tuple(unlinks.of_order(tx, stored.id))
    sought = _Sought.of(tx, expected, steps, unlinked)
    images = sought.images(tx)
    sent = tuple(store.sent(tx, images))
    return Recorded(
        stored=stored,
        expected=expected,
        history=lines,
        message=_message(tx, lines),
        items=items,
        withdrawn=store.withdrawn(tx, stored.id),
        offered=tuple(store.offered(tx, {item.id for item in items})),
        steps=steps,
        unlinked=unlinked,
        images=images,
        sent=sent,
        kept=tuple(store.kept(tx, images, sent)),
        corrections=tuple(corrections.find(tx, [image.id for image in images])),
        proofs=tuple(proofs.of_instances(tx, [image.id for image in images])),
        provers=provers,
        messages=tuple(outbox.of_order(tx, stored.id)),
        has_receivers=has_receivers,
    )


def _message(tx: Transaction, lines: Iterable[HistoryEntry]) -> InboxEntry | None:
    first = next((line for line in lines if line.did is Did.CREATED), None)
    return inbox.find(tx, first.entry_id) if first and first.entry_id else None


@dataclass(frozen=True, slots=True)
class _Sought:
    """By what an exam's images are known."""

    studies: frozenset[str]
    accessions: frozenset[str]
    others: frozenset[str]  # accession numbers of other orders of the same studies
    listed: tuple[str, ...]  # SOP Instance UIDs that its performed steps list
    not_its_own: frozenset[str]  # those that performed steps list which a person unlinked from it

    @classmethod
    def of(
        cls, tx: Transaction, expected: Expected, steps: Sequence[StoredStep], unlinked: Sequence[Unlinked]
    ) -> "_Sought":
        studies = expected.study_instance_uids | set(filter(None, checking.linked(steps, expected.order_id)))
        others = [step for step in worklist.steps_of(tx, studies, []) if step.order_id != expected.order_id]
        return cls(
            studies=studies,
            accessions=expected.accession_numbers,
            others=frozenset(step.accession_number for step in others) - expected.accession_numbers - {""},
            listed=transfers.listed(steps),
            not_its_own=_taken_back(tx, unlinked) - set(transfers.listed(steps)),
        )

    def images(self, tx: Transaction) -> tuple[Image, ...]:
        """Return the instances of the exam: of its studies, but for those that name another order of the same study."""
        found = store.images(tx, self.studies, self.accessions, self.listed)
        named = set(self.listed)
        return tuple(
            image
            for image in found
            if image.sop_instance_uid not in self.not_its_own
            and (image.accession_number not in self.others or image.sop_instance_uid in named)
        )


def _taken_back(tx: Transaction, unlinked: Sequence[Unlinked]) -> frozenset[str]:
    found = (procedures.find(tx, uid) for uid in dict.fromkeys(one.sop_instance_uid for one in unlinked))
    return frozenset(transfers.listed([known for known in found if known is not None]))
