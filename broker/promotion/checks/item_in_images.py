"""Whether what the worklist gave comes back in the images: study, accession number and patient."""

from collections.abc import Iterable

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.recorded.model import Item
from broker.promotion.seen import Facts, ImageSeen

TITLE = "The order came back in the images"


def judge(facts: Facts) -> CheckResult:
    """Pass where an image has study, accession number and patient of an item that the device was given."""
    asked = verdict.Asked(
        "item_in_images", TITLE, facts, "begin the test exam from the worklist, and send an image of it"
    )
    same = [image for image in facts.images if any(_is_same(image, item) for item in facts.items.values())]
    wrong = {keyword for image in verdict.own(facts.images) for keyword in _differing(image, facts.given)}
    if wrong and not any(image.counts for image in same):
        return verdict.failed(asked, f"it alters {' and '.join(sorted(wrong))}", verdict.own(facts.images)[:1])
    absent = "no image is of an order that it was given"
    return verdict.of(asked, same, lambda _: "study, accession number and patient are those of the order", absent)


def _is_same(image: ImageSeen, item: Item) -> bool:
    return not _contradictions(image, item)


def _contradictions(image: ImageSeen, item: Item) -> tuple[str, ...]:
    pairs = (
        ("StudyInstanceUID", image.study_instance_uid, item.study_instance_uid),
        ("AccessionNumber", image.accession_number, item.accession_number),
        ("PatientID", image.patient_id, item.patient_id),
    )
    return tuple(keyword for keyword, one, other in pairs if one != other)


def _differing(image: ImageSeen, items: Iterable[Item]) -> tuple[str, ...]:
    """Return in what an image contradicts the item that it surely means."""
    for item in items:
        is_meant = image.study_instance_uid == item.study_instance_uid or (
            item.accession_number != "" and image.accession_number == item.accession_number
        )
        if is_meant and (found := _contradictions(image, item)):
            return found
    return ()
