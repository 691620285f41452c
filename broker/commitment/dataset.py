"""The data sets of N-ACTION and N-EVENT-REPORT to values and back (PS3.4 tables J.3-1, J.3-2). Pure."""

from collections.abc import Iterable, Mapping

from broker.commitment.model import CommitmentRefused, Failure, Outcome, Reference, Report, Request
from broker.dimse.limits import NORMALIZED_BYTES
from broker.identifiers import is_uid_like
from broker.worklist import elements
from broker.worklist.elements import Element, Malformed, tag_of

_MAXIMUM_ELEMENTS = 131_072

_INVALID_ARGUMENT_VALUE = 0x0115
_MISTYPED_ARGUMENT = 0x0212

_TRANSACTION = tag_of("TransactionUID")
_REFERENCED = tag_of("ReferencedSOPSequence")
_FAILED = tag_of("FailedSOPSequence")
_CLASS = tag_of("ReferencedSOPClassUID")
_INSTANCE = tag_of("ReferencedSOPInstanceUID")
_REASON = tag_of("FailureReason")

_Elements = Mapping[int, Element]


def write_request(request: Request, transfer_syntax: str) -> bytes:
    """Return the data set of an N-ACTION."""
    found = [_uid(_TRANSACTION, request.transaction_uid)]
    found.append(_sequence(_REFERENCED, (_reference(each) for each in request.references)))
    return elements.write(found, transfer_syntax)


def read_request(data: bytes | None, transfer_syntax: str) -> Request:
    """Return what an N-ACTION asks for, each instance once. Raises CommitmentRefused."""
    found = _read(data, transfer_syntax)
    references = tuple(dict.fromkeys(_references(found, _REFERENCED)))
    if not references:
        raise CommitmentRefused(_INVALID_ARGUMENT_VALUE, "ReferencedSOPSequence names no instance")
    return Request(_transaction(found), references)


def write_report(report: Report, transfer_syntax: str) -> bytes:
    """Return the data set of an N-EVENT-REPORT: every instance stands in exactly one of its sequences."""
    committed = [_reference(each.reference) for each in report.outcomes if each.failure is None]
    failed = [_failed(each, transfer_syntax) for each in report.outcomes if each.failure is not None]
    found = [_uid(_TRANSACTION, report.transaction_uid)]
    found += [_sequence(tag, items) for tag, items in ((_REFERENCED, committed), (_FAILED, failed)) if items]
    return elements.write(found, transfer_syntax)


def read_report(data: bytes | None, transfer_syntax: str) -> Report:
    """Return what an N-EVENT-REPORT says. An instance in both sequences has failed. Raises CommitmentRefused."""
    found = _read(data, transfer_syntax)
    outcomes = {reference: Outcome(reference) for reference in _references(found, _REFERENCED)}
    for item in _items(found, _FAILED):
        reference = _referenced(item)
        outcomes[reference] = Outcome(reference, _number(item, transfer_syntax))
    return Report(_transaction(found), tuple(outcomes.values()))


# --- reading -----------------------------------------------------------------------------------------------------


def _read(data: bytes | None, transfer_syntax: str) -> _Elements:
    try:
        found = elements.read(
            data or b"", transfer_syntax, maximum_bytes=NORMALIZED_BYTES, maximum_elements=_MAXIMUM_ELEMENTS
        )
    except Malformed as error:
        raise CommitmentRefused(_MISTYPED_ARGUMENT, f"the data set cannot be read: {error}") from error
    return {element.tag: element for element in found}


def _transaction(found: _Elements) -> str:
    uid = _text(found, _TRANSACTION)
    if not is_uid_like(uid):
        raise CommitmentRefused(_INVALID_ARGUMENT_VALUE, "TransactionUID is missing or no UID")
    return uid


def _references(found: _Elements, tag: int) -> Iterable[Reference]:
    return map(_referenced, _items(found, tag))


def _referenced(item: _Elements) -> Reference:
    reference = Reference(_text(item, _CLASS), _text(item, _INSTANCE))
    if not (is_uid_like(reference.sop_class_uid) and is_uid_like(reference.sop_instance_uid)):
        raise CommitmentRefused(_INVALID_ARGUMENT_VALUE, "an item's SOP Class or SOP Instance UID is missing or no UID")
    return reference


def _items(found: _Elements, tag: int) -> Iterable[_Elements]:
    sequence = found.get(tag)
    return [{element.tag: element for element in item} for item in (sequence.items if sequence else ())]


def _text(found: _Elements, tag: int) -> str:
    element = found.get(tag)
    return element.value.decode("ascii", "replace").strip(" \0") if element else ""


def _number(item: _Elements, transfer_syntax: str) -> int:
    element = item.get(_REASON)
    if element is None or len(element.value) != 2:
        return Failure.PROCESSING_FAILURE
    return int.from_bytes(element.value, elements.byte_order(transfer_syntax))


# --- writing -----------------------------------------------------------------------------------------------------


def _uid(tag: int, uid: str) -> Element:
    return Element(tag, "UI", uid.encode("ascii", "replace"))


def _sequence(tag: int, items: Iterable[tuple[Element, ...]]) -> Element:
    return Element(tag, "SQ", items=tuple(items))


def _reference(reference: Reference) -> tuple[Element, ...]:
    return _uid(_CLASS, reference.sop_class_uid), _uid(_INSTANCE, reference.sop_instance_uid)


def _failed(outcome: Outcome, transfer_syntax: str) -> tuple[Element, ...]:
    reason = Failure.PROCESSING_FAILURE if outcome.failure is None else outcome.failure
    number = reason.to_bytes(2, elements.byte_order(transfer_syntax))
    return (*_reference(outcome.reference), Element(_REASON, "US", number))
