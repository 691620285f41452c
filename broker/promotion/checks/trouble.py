"""Whether anything went wrong that nobody has explained: rejections, holds, identities that disagree."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.recorded.model import Incident
from broker.promotion.seen import Facts, Seen

TITLE = "Nothing went wrong that nobody has explained"


def judge(facts: Facts) -> CheckResult:
    """Pass where, since its first call that counts, nothing went wrong, or a person has said since then why."""
    to_do = (
        "acknowledge each alert (broker alert ack) and release what is held; "
        f"or explain it: broker promote state {facts.name} trouble --text …"
    )
    asked = verdict.Asked("trouble", TITLE, facts, to_do)
    explained = verdict.explained(facts, "trouble")
    found = [each for each in _found(facts) if explained is None or each.at > explained]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return verdict.failed(asked, f"{_text(found[0])}{more}", found)
    quiet = verdict.Asked("trouble", TITLE, facts, "let the device call us")
    return verdict.of(quiet, facts.calls, lambda _: "nothing since its first call", "it has never called")


def _found(facts: Facts) -> list[Incident | Seen]:
    held = [image for image in verdict.own(facts.images) if image.stuck]
    loose = [step for step in verdict.own(facts.steps) if step.unlinked]
    return sorted((*facts.incidents, *held, *loose), key=lambda each: each.at, reverse=True)


def _text(what: Incident | Seen) -> str:
    if isinstance(what, Incident):
        return what.text
    kind = (
        "a performed step belongs to no order" if what.ref.startswith("procedure") else "an instance waits for a person"
    )
    return f"{kind} ({what.ref})"
