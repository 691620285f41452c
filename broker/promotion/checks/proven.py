"""Whether the destination has proven that it keeps what the device sends."""

from broker.commitment.proof.model import ProofState
from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, ImageSeen

TITLE = "Proven by the destination"


def judge(facts: Facts) -> CheckResult:
    """Pass where a destination has proven that it keeps an image, and has denied none."""
    asked = verdict.Asked("proven", TITLE, facts, "how proofs stand, and why: broker commitment list")
    if not facts.provers:
        return verdict.not_applicable(asked, "the profile", "no destination is asked for a proof (destinations.proof)")
    own = verdict.own(facts.images)
    denied = [image for image in own if _proofs(image, ProofState.FAILED)]
    if denied:
        reason = _proofs(denied[0], ProofState.FAILED)[0]
        return verdict.failed(asked, f"{len(denied)} instances are not kept: {reason}", denied)
    proven = [image for image in facts.images if image.is_proven]
    return verdict.of(asked, proven, _say, _absent(own), delivers=True)


def _absent(own: list[ImageSeen]) -> str:
    unable = [image for image in own if _proofs(image, ProofState.NOT_ASKED)]
    if unable:
        return f"the destination cannot be asked: {_proofs(unable[0], ProofState.NOT_ASKED)[0]}"
    return "no proof has come yet" if own else "nothing was sent yet"


def _proofs(image: ImageSeen, state: ProofState) -> list[str]:
    return [each.proof_reason or each.destination for each in image.sent if each.proof == state.value]


def _say(image: ImageSeen) -> str:
    names = ", ".join(dict.fromkeys(each.destination for each in image.sent if each.proof == ProofState.PROVEN.value))
    return f"{names} has proven that it keeps it"
