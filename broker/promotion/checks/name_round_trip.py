"""Whether a name with letters beyond ASCII comes back as it was given: then both sides mean the same character set."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, ImageSeen
from broker.spool import names

TITLE = "A name in the site's character set came back"


def judge(facts: Facts) -> CheckResult:
    """Pass where an image has the very name, with a letter beyond ASCII, that its order has."""
    asked = verdict.Asked(
        "name_round_trip", TITLE, facts, "send a test order for a patient such as Müller^Jürgen, and an image of it"
    )
    digests = _digests(facts)
    candidates = [image for image in facts.images if image.study_instance_uid in digests]
    same = [image for image in candidates if image.name_digest == digests[image.study_instance_uid]]
    wrong = [image for image in verdict.own(candidates) if image not in same]
    if wrong and not any(image.counts for image in same):
        return verdict.failed(_to_set(asked), "the name in its images is not the name that it was given", wrong)
    return verdict.of(asked, same, _say, "no image of a patient whose name has a letter beyond ASCII")


def _digests(facts: Facts) -> dict[str, str]:
    """Return the digest of each name beyond ASCII that the device was given, by its study."""
    given = facts.items.values()
    return {
        item.study_instance_uid: names.digest(item.patient_name) for item in given if not item.patient_name.isascii()
    }


def _to_set(asked: verdict.Asked) -> verdict.Asked:
    to_do = "set the console's character set, or worklist.character_sets of its document, and send another image"
    return verdict.Asked(asked.check, asked.title, asked.facts, to_do)


def _say(_: ImageSeen) -> str:
    return "the name in its images is the one that it was given"
