"""Whether everything that uses the device's titles is one device at its place."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, Seen

TITLE = "One device, and it alone, uses the title"
_TO_DO = (
    "find what else uses the title and give it another; then say what it was: "
    "broker promote state NAME one_device --text …"
)


def judge(facts: Facts) -> CheckResult:
    """Pass where all that was heard under its titles is of the bound address and of one device."""
    asked = verdict.Asked("one_device", TITLE, facts, _TO_DO)
    if not facts.is_bound:
        return verdict.missing(
            verdict.Asked("one_device", TITLE, facts, "say where it is: broker modality bind NAME …"),
            "it is not bound: no address is known as its own",
        )
    if others := _others(facts):
        text = f"{len(others)} associations or instances {others[0].bearing.foreign}: they count for nothing"
        return verdict.failed(asked, text, others)
    first = verdict.Asked("one_device", TITLE, facts, "let the device call us: its verification will do")
    return verdict.of(
        first, facts.calls, lambda call: f"calls from {call.address} as {_who(facts)}", "it has never called"
    )


def _others(facts: Facts) -> list[Seen]:
    """Return what is not the device's own and nobody has explained since."""
    explained = max((said.at for said in verdict.own(facts.stated("one_device"))), default=None)
    heard = (*facts.calls, *facts.images)
    return [each for each in heard if each.bearing.foreign and (explained is None or each.at > explained)]


def _who(facts: Facts) -> str:
    said = facts.fingerprint
    equipment = " ".join(filter(None, (said.manufacturer, said.model_name)))
    serial = f"serial {said.device_serial_number}" if said.device_serial_number else ""
    software = f"software {said.software_versions}" if said.software_versions else ""
    stack = said.implementation_version_name or said.implementation_class_uid
    return ", ".join(filter(None, (equipment, serial, software, stack))) or "a device that says nothing of itself"
