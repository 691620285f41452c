"""The door to HL7 for orders: which message is what, and what it says. A type is one file here."""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache

from broker.inbox.model import HeaderFacts
from broker.orders.messages import adt, merges, omg, omi, orm, siu
from broker.orders.messages.context import Context
from broker.orders.model import Change, Refusal
from hl7.encoding import DEFAULT_FALLBACK, codecs_of
from hl7.errors import Hl7Error, Unreadable
from hl7.header import Header, is_batch, read_batch_header, read_header, without_lead
from hl7.message import Message

__all__ = ["TRANSLATORS", "Context", "header_facts", "is_character_set", "translate"]

Translator = Callable[[Message, Context], tuple[Change, ...]]

TRANSLATORS: dict[tuple[str, str], Translator] = {
    ("ORM", "O01"): orm.translate,
    ("ORM", ""): orm.translate,  # 2.2 knows no other event of it, and its senders leave it out
    ("OMI", "O23"): omi.translate,
    ("OMG", "O19"): omg.translate,
    **{("SIU", event): siu.translate for event in siu.EVENTS},
    **{("ADT", event): adt.translate for event in adt.EVENTS},
    **{("ADT", event): merges.translate for event in merges.EVENTS},
}

_CODES = frozenset(code for code, _ in TRANSLATORS)
_VERSION = re.compile(r"2\.([2-9]|1[0-9])(\.[0-9]{1,2})?")
# The kind of a message, not its content, is at fault: AR (HL7 2.9.2).
_OF_THE_KIND = ("MSH^1^18",)
_TIME_FIELD = 6  # MSH-7 among the parts of MSH


def header_facts(raw: bytes) -> HeaderFacts:
    """Return what the inbox keeps of the header, of any bytes whatever."""
    header = read_header(raw) or read_batch_header(raw)
    if header is None:
        return HeaderFacts(readable=False, acknowledgement=False, payload_sha256=hashlib.sha256(raw).hexdigest())
    return HeaderFacts(
        readable=True,
        acknowledgement=header.is_acknowledgement,
        sending_application=_carets(header, header.sending_application),
        sending_facility=_carets(header, header.sending_facility),
        receiving_application=_carets(header, header.receiving_application),
        receiving_facility=_carets(header, header.receiving_facility),
        message_type="^".join(filter(None, (header.message_code, header.trigger, header.structure))),
        control_id=header.control_id,
        processing_id=header.processing_id,
        payload_sha256=_payload_sha256(raw, header),
    )


def translate(raw: bytes, context: Context) -> tuple[Change, ...]:
    """Return what a message says about orders and patients, in wire order; none where it changes nothing.

    Raises Refusal, and nothing else, for whatever cannot be taken as it is.
    """
    if is_batch(raw):
        raise Refusal("AR", "", "200", "batches are not supported")
    try:
        message = Message.read(raw, _fallback(context.source.character_sets))
        return _translator(message.header, context)(_alone(message), context)
    except Unreadable as error:
        raise Refusal("AR", "MSH^1", "100", "no usable MSH segment") from error
    except Hl7Error as error:
        header = read_header(raw)
        if header is not None:
            _translator(header, context)  # what kind of message it is comes before how it is written
        answer = "AR" if error.code == "103" and error.location in _OF_THE_KIND else "AE"
        raise Refusal(answer, error.location, error.code, error.text) from error


def is_character_set(name: str) -> bool:
    """Tell whether this is a name of table 0211 that can be read."""
    try:
        return bool(codecs_of(name, ""))
    except Hl7Error:
        return False


@lru_cache(maxsize=64)
def _fallback(character_sets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the codecs to try, in turn, where MSH-18 declares nothing."""
    found = tuple(codec for name in character_sets for codec in codecs_of(name, "", ()))
    return tuple(dict.fromkeys(found)) or DEFAULT_FALLBACK


def _alone(message: Message) -> Message:
    """Return the message. Raises Refusal AE 100 where there are several: only the first would be acknowledged."""
    if len(message.all("MSH")) > 1:
        raise Refusal("AE", "MSH^2", "100", "a second MSH: each message needs a frame of its own")
    return message


def _translator(header: Header, context: Context) -> Translator:
    """Return what translates this kind of message. Raises Refusal AR by what MSH says."""
    if not header.control_id.strip():
        raise Refusal("AR", "MSH^1^10", "101", "MSH-10, the message control id, is missing")
    if header.message_code not in _CODES:
        raise Refusal("AR", "MSH^1^9", "200", "this message type is not supported")
    translator = TRANSLATORS.get((header.message_code, header.trigger))
    if translator is None:
        raise Refusal("AR", "MSH^1^9", "201", "this event is not supported")
    if header.processing_id not in context.source.processing_ids:
        raise Refusal("AR", "MSH^1^11", "202", _wrong_world(header.processing_id, context))
    if not _VERSION.fullmatch(header.version):
        raise Refusal("AR", "MSH^1^12", "203", "MSH-12 is not a version from 2.2 on")
    return translator


def _wrong_world(given: str, context: Context) -> str:
    taken = " or ".join(known or "nothing" for known in context.source.processing_ids) or "none"
    shown = "empty" if not given else given if given in ("P", "T", "D") else "something else than P, T and D"
    where = f"the environment {context.environment}"
    return f"MSH-11, the processing id, is {shown}, and {where} takes {taken} from this sender"


def _payload_sha256(raw: bytes, header: Header) -> str:
    """Return the digest of the message without MSH-7, which a sender may renew when it sends again."""
    payload = without_lead(raw)
    parts = payload.split(header.delimiters.field.encode("latin-1"), _TIME_FIELD + 1)
    if len(parts) > _TIME_FIELD + 1:
        before = len(payload) - len(parts[-1])
        if payload.find(b"\r", 0, before) < 0 and payload.find(b"\n", 0, before) < 0:
            parts[_TIME_FIELD] = b""
    return hashlib.sha256(b"".join([len(part).to_bytes(4, "big") + part for part in parts])).hexdigest()


def _carets(header: Header, text: str) -> str:
    component = header.delimiters.component
    return text if component in ("^", "") else text.replace(component, "^")
