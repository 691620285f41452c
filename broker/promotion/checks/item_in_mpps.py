"""Whether what the worklist gave comes back in the performed step: study, accession number and patient."""

from collections.abc import Iterable

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.recorded.model import Item
from broker.promotion.seen import Facts, StepSeen

TITLE = "The order came back in the MPPS"


def judge(facts: Facts) -> CheckResult:
    """Pass where a performed step names study, accession number and patient of an item that the device was given."""
    asked = verdict.Asked("item_in_mpps", TITLE, facts, "begin the test exam from the worklist, not by hand")
    if not facts.makes.performed_step:
        return verdict.not_applicable(asked, "its document", "it sends no MPPS (makes.performed_step)")
    items = tuple(facts.items.values())
    wrong = {keyword for step in verdict.own(facts.steps) for keyword in _differing(step, facts.given)}
    same = [step for step in facts.steps if any(_is_same(step, item) for item in items)]
    if wrong and not any(step.counts for step in same):
        return verdict.failed(asked, f"it alters {' and '.join(sorted(wrong))}", verdict.own(facts.steps)[:1])
    absent = "no performed step names an order that it was given"
    return verdict.of(asked, same, lambda _: "study, accession number and patient are those of the order", absent)


def _is_same(step: StepSeen, item: Item) -> bool:
    named = ((each.study_instance_uid, each.accession_number) for each in step.items)
    return (item.study_instance_uid, item.accession_number) in named and step.patient_id == item.patient_id


def _differing(step: StepSeen, items: Iterable[Item]) -> tuple[str, ...]:
    """Return in what a step contradicts the item that it surely means."""
    for item in items:
        for each in step.items:
            if item.study_instance_uid == each.study_instance_uid and not _is_same(step, item):
                own = (
                    ("AccessionNumber", each.accession_number != item.accession_number),
                    ("PatientID", step.patient_id != item.patient_id),
                )
                return tuple(keyword for keyword, differs in own if differs)
            if item.accession_number and item.accession_number == each.accession_number and not _is_same(step, item):
                return ("StudyInstanceUID",) if step.patient_id == item.patient_id else ("PatientID",)
    return ()
