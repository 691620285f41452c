"""Patient data made unreadable in what leaves the house: all becomes pseudonyms but what says nothing of a person.

Equal values stay equal, under every keyword and in every output of one environment.
"""

import hashlib
import hmac

from broker.cli.order_items import Mask

# What nobody can be known by: the procedure, the schedule, the device. A keyword that is not here is masked, so that
# an attribute which a mapping file adds is no leak.
_OPEN = frozenset(
    {
        "Modality",
        "PatientSex",
        "RequestedProcedureCodeSequence",
        "RequestedProcedureDescription",
        "RequestedProcedurePriority",
        "ScheduledProcedureStepDescription",
        "ScheduledProcedureStepLocation",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepStatus",
        "ScheduledProtocolCodeSequence",
        "ScheduledStationAETitle",
        "ScheduledStationName",
    }
)
_DIGITS = 6


def mask_with(secret: bytes) -> Mask:
    """Return the mask of an environment. Without the secret nobody can try out whose value a pseudonym is."""
    key = hashlib.sha256(b"pseudonyms" + secret).digest()

    def masked(keyword: str, value: str) -> str:
        if not value or keyword in _OPEN:
            return value
        digest = hmac.new(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"P-{digest[:_DIGITS].upper()}"

    return masked
