"""What a destination's rule makes of one instance: corrected, sent as received, or held. Pure."""

from dataclasses import dataclass
from datetime import datetime

from broker.delivery.correction.model import Became, Correction, Doubt, Meant, Reason
from broker.delivery.correction.values import values
from broker.environments.corrections import CorrectionSettings, Unsure
from broker.spool.model import SpooledInstance


@dataclass(frozen=True, slots=True)
class Unaltered:
    """It is not altered, and why: sent as received, or held."""

    became: Became
    order_id: int
    why: str


def decide(
    settings: CorrectionSettings,
    meant: Meant,
    instance: SpooledInstance,
    system: str,
    at: datetime,
    *,
    was_held: bool,
) -> Correction | Unaltered:
    """Decide what becomes of an instance. `was_held`: a person was asked already, and has released it.

    Raises CannotCorrect for a value of the order that no data set may hold.
    """
    order_id = meant.order.id if meant.order else 0
    is_other = meant.doubt is Doubt.OTHER_PATIENT
    # By an accession number alone no image is ever given to another patient: other hospitals use that number too.
    tolerated = is_other and meant.by_study and settings.other_patient is Unsure.CORRECT
    if meant.order is None or (meant.doubt and not tolerated):
        policy = settings.other_patient if is_other else settings.unmatched
        held = policy is Unsure.HOLD or (is_other and policy is Unsure.CORRECT)
        became = Became.HELD if held and not was_held else Became.AS_RECEIVED
        return Unaltered(became, order_id, str(meant.doubt or Doubt.NO_ORDER))
    return Correction(
        order_id=order_id,
        values=values(meant.order.order, settings.attributes),
        reason=Reason.CORRECT if is_other or meant.by_person else Reason.COERCE,
        at=at,
        source=instance.facts.calling_ae_title,
        system=system,
    )


def hold_reason(unaltered: Unaltered) -> str:
    """Return why a delivery is held, and what a person may do."""
    order = f" (order {unaltered.order_id})" if unaltered.order_id else ""
    return (
        f"not corrected: {unaltered.why}{order}; compare them and mend the order, or link the performed step to it,"
        " then release it: what is still unsure then is sent as it was received"
    )
