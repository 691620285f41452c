"""In which transfer syntax an instance is offered where its own was refused. Pure; decodes nothing.

Without further loss only: to Explicit or Implicit VR Little Endian, which every storage provider must take one of
(PS3.5 10.1). Video is never decoded.
"""

from datetime import datetime

from broker.delivery.model import Delivery
from broker.delivery.state import Again, Decision, Park, after_context_refused
from broker.spool.model import SpooledInstance

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

_JPEG = "1.2.840.10008.1.2.4"
LOSSY = {
    f"{_JPEG}.50": "ISO_10918_1",
    f"{_JPEG}.51": "ISO_10918_1",
    f"{_JPEG}.81": "ISO_14495_1",
    f"{_JPEG}.91": "ISO_15444_1",
    f"{_JPEG}.203": "ISO_15444_15",
}
"""Syntaxes whose pixels are lossy already, with LossyImageCompressionMethod (PS3.3 C.7.6.1.1.5.1)."""

COMPRESSED = frozenset({*LOSSY, "1.2.840.10008.1.2.5"} | {f"{_JPEG}.{number}" for number in (57, 70, 80, 90, 201, 202)})
"""Syntaxes whose pixels are decoded."""

_PLAIN = frozenset({IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.1.99"})  # pixels stay as they are
_VIDEO = frozenset(f"{_JPEG}.{number}" for number in range(100, 109)) | frozenset(
    f"{_JPEG}.{number}.1" for number in range(100, 107)
)
_CLASS_NOT_SUPPORTED = 3  # PS3.8 table 9-18: another syntax does not help


def next_syntax(original: str, sent_as: str) -> str:
    """Return the syntax to offer after `original`, and `sent_as` where it is not empty, were refused; or nothing."""
    if original not in _PLAIN | COMPRESSED:
        return ""
    refused = {original, sent_as}
    return next((syntax for syntax in (EXPLICIT, IMPLICIT) if syntax not in refused and sent_as != IMPLICIT), "")


def decide(
    result: int | None, delivery: Delivery, instance: SpooledInstance, now: datetime, *, transcodes: bool
) -> Decision:
    """Decide when a destination, whose rule lets us transcode or not, took no context for an instance."""
    sop_class, original = instance.facts.sop_class_uid, instance.facts.transfer_syntax
    if transcodes:
        return after_refused(result, sop_class, original, delivery.syntax, now)
    return after_context_refused(result, sop_class, original)


def after_refused(result: int | None, sop_class: str, original: str, sent_as: str, now: datetime) -> Decision:
    """Decide when a destination, whose rule lets us transcode, took no context for an instance."""
    other = "" if result == _CLASS_NOT_SUPPORTED else next_syntax(original, sent_as)
    if other:
        return Again(now, f"it does not accept transfer syntax {sent_as or original}: offered in {other}", syntax=other)
    parked = after_context_refused(result, sop_class, original)
    assert isinstance(parked, Park)
    return Park(f"{parked.reason}; {_why_not(original, sent_as)}")


def _why_not(original: str, sent_as: str) -> str:
    if sent_as:
        return f"nor in {EXPLICIT} or {IMPLICIT}, to which it was transcoded"
    if original in _VIDEO:
        return "video is never transcoded: the destination must accept this video format"
    return "this syntax is not transcoded by this version"
