"""Whether everything that uses the device's titles is one device at its place."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, Seen

TITLE = "One device, and it alone, uses the title"


def judge(facts: Facts) -> CheckResult:
    """Pass where all that was heard under its titles is of the bound address and of one device."""
    if not facts.is_bound:
        asked = _asked(facts, f"say where it is: broker modality bind {facts.name} --host H --port P")
        return verdict.missing(asked, "it is not bound: no address is known as its own")
    if others := _others(facts):
        explain = f"broker promote state {facts.name} one_device --text …"
        asked = _asked(facts, f"find what else uses the title and give it another; then say what it was: {explain}")
        text = f"{len(others)} associations or instances {others[0].bearing.foreign}: they count for nothing"
        return verdict.failed(asked, text, others)
    asked = _asked(facts, "let the device call us: its verification will do")
    return verdict.of(asked, facts.calls, lambda call: f"{_who(facts)}, at {call.address}", "it has never called")


def _asked(facts: Facts, to_do: str) -> verdict.Asked:
    return verdict.Asked("one_device", TITLE, facts, to_do)


def _others(facts: Facts) -> list[Seen]:
    """Return what is not the device's own and nobody has explained since."""
    explained = verdict.explained(facts, "one_device")
    heard: tuple[Seen, ...] = (*facts.calls, *facts.images)
    return [each for each in heard if each.bearing.foreign and (explained is None or each.at > explained)]


def _who(facts: Facts) -> str:
    """Return what the device says of itself."""
    said = facts.fingerprint
    parts = (
        " ".join(filter(None, (said.manufacturer, said.model_name))),
        f"serial {said.device_serial_number}" if said.device_serial_number else "",
        f"software {said.software_versions}" if said.software_versions else "",
        said.implementation_version_name or said.implementation_class_uid,
    )
    return ", ".join(filter(None, parts)) or "a device that says nothing of itself"
