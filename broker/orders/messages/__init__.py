"""The door to HL7 for orders: which message is what, and what it says about orders. A type is one file here."""

import re
from collections.abc import Callable

from broker.inbox.model import HeaderFacts
from broker.orders.messages import orm
from broker.orders.messages.context import Context
from broker.orders.model import OrderChange, Refusal
from hl7.errors import Hl7Error
from hl7.header import Header, is_batch, read_batch_header, read_header
from hl7.message import Message

__all__ = ["TRANSLATORS", "Context", "header_facts", "translate"]

TRANSLATORS: dict[tuple[str, str], Callable[[Message, Context], tuple[OrderChange, ...]]] = {
    ("ORM", "O01"): orm.translate,
}

_VERSION = re.compile(r"2\.([2-9]|1[0-9])(\.[0-9]{1,2})?")
# The kind of a message, not its content, is at fault: AR (HL7 2.9.2).
_OF_THE_KIND = ("MSH^1^18",)


def header_facts(raw: bytes) -> HeaderFacts:
    """Return what the inbox keeps of the header, of any bytes whatever."""
    header = read_header(raw) or read_batch_header(raw)
    if header is None:
        return HeaderFacts(readable=False, acknowledgement=False)
    return HeaderFacts(
        readable=True,
        acknowledgement=header.is_acknowledgement,
        sending_application=header.sending_application,
        sending_facility=header.sending_facility,
        message_type="^".join(filter(None, (header.message_code, header.trigger, header.structure))),
        control_id=header.control_id,
    )


def translate(raw: bytes, context: Context) -> tuple[OrderChange, ...]:
    """Return what a message says about orders, in wire order; none where it changes nothing.

    Raises Refusal, and nothing else, for whatever cannot be taken as it is.
    """
    if is_batch(raw):
        raise Refusal("AR", "", "200", "batches are not supported")
    header = read_header(raw)
    if header is None:
        raise Refusal("AR", "MSH^1", "100", "no usable MSH segment")
    translator = _translator(header, context)
    try:
        return translator(Message.read(raw), context)
    except Hl7Error as error:
        answer = "AR" if error.code == "103" and error.location in _OF_THE_KIND else "AE"
        raise Refusal(answer, error.location, error.code, error.text) from error


def _translator(header: Header, context: Context) -> Callable[[Message, Context], tuple[OrderChange, ...]]:
    """Return what translates this kind of message. Raises Refusal AR by what MSH says."""
    if not header.control_id.strip():
        raise Refusal("AR", "MSH^1^10", "101", "MSH-10, the message control id, is missing")
    if not any(code == header.message_code for code, _ in TRANSLATORS):
        raise Refusal("AR", "MSH^1^9", "200", "this message type is not supported")
    translator = TRANSLATORS.get((header.message_code, header.trigger))
    if translator is None:
        raise Refusal("AR", "MSH^1^9", "201", "this event is not supported")
    if header.processing_id not in context.processing_ids:
        raise Refusal("AR", "MSH^1^11", "202", "MSH-11, the processing id, is not of this environment")
    if not _VERSION.fullmatch(header.version):
        raise Refusal("AR", "MSH^1^12", "203", "MSH-12 is not a version from 2.2 on")
    return translator
