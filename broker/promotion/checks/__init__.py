"""The checks of a device in Test, one file each, in the order in which a technologist meets them.

A check is a module with `TITLE` and `judge(facts) -> CheckResult`; it reads recorded facts only. A new one is a file
here and a line below.
"""

from typing import Protocol

from broker.promotion.checks import (
    cine_loop,
    clock,
    delivered,
    images_look_right,
    item_in_images,
    item_in_mpps,
    largest_loop,
    measurements_right,
    mpps,
    name_round_trip,
    one_device,
    proven,
    soak,
    still_image,
    storage_commitment,
    structured_report,
    trouble,
    verification_in,
    verification_out,
    worklist_query,
)
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts


class Check(Protocol):
    """What a module of this folder is."""

    TITLE: str

    def judge(self, facts: Facts) -> CheckResult:
        """Say how the check stands."""
        ...


CHECKS: dict[str, Check] = {
    "one_device": one_device,
    "verification_in": verification_in,
    "verification_out": verification_out,
    "worklist_query": worklist_query,
    "mpps": mpps,
    "item_in_mpps": item_in_mpps,
    "item_in_images": item_in_images,
    "name_round_trip": name_round_trip,
    "still_image": still_image,
    "cine_loop": cine_loop,
    "largest_loop": largest_loop,
    "structured_report": structured_report,
    "storage_commitment": storage_commitment,
    "delivered": delivered,
    "proven": proven,
    "clock": clock,
    "images_look_right": images_look_right,
    "measurements_right": measurements_right,
    "trouble": trouble,
    "soak": soak,
}
"""Every check by its name."""

STATED = ("images_look_right", "measurements_right", "largest_loop", "trouble", "one_device")
"""The checks that a person's statement ticks, or explains."""
