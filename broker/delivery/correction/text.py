"""Text of a data set in its Specific Character Set (0008,0005): what differs, what fits, what is text at all. Pure."""

import json
from collections.abc import Callable, Mapping

from broker.delivery.content import CannotCorrect
from broker.worklist import characters

encode = characters.encode

_WIDER = ("ISO_IR 100", characters.UNICODE)
_TEXT = frozenset({b"SH", b"LO", b"ST", b"LT", b"UC", b"UT", b"PN"})  # those that the set governs (PS3.5 6.1.2.2)
_UNKNOWN = b"UN"
_ROMAN_JAPANESE = frozenset({"ISO_IR 13", "ISO 2022 IR 13"})  # ISO-IR 14: 5CH is the yen sign, 7EH the overline
_NAMES = frozenset({"PatientName", "ReferringPhysicianName"})


def character_set(raw: bytes) -> str:
    """Return the value of Specific Character Set, its terms without blanks."""
    terms = raw.decode("ascii", "replace").strip("\0 ").split("\\")
    return "\\".join(term.strip(" ") for term in terms)


def differs(keyword: str, raw: bytes, value: str, terms: str) -> bool:
    """Tell whether a stated value is another one than that of the data set; padding is none."""
    return bool(value) and _bare(keyword, characters.decode(raw.rstrip(b"\0"), terms)) != _bare(keyword, value)


def _bare(keyword: str, value: str) -> str:
    value = value.strip(" ")
    if keyword not in _NAMES:
        return value
    groups = ("^".join(part.strip(" ") for part in group.split("^")).rstrip("^") for group in value.split("="))
    return "=".join(groups).rstrip("=")


def fitting(new: Mapping[str, str], terms: str, others_are_ascii: Callable[[], bool]) -> str:
    """Return the set in which the new values are written: the data set's own, or else a wider one.

    A wider one is taken only where all other text is ASCII, so that no byte of it changes its meaning. Raises
    CannotCorrect where it is not.
    """
    texts = {keyword: _text(keyword, value) for keyword, value in new.items()}
    together = "".join(texts.values())
    if characters.expresses(terms, together):
        return terms
    keywords = ", ".join(keyword for keyword, value in texts.items() if not characters.expresses(terms, value))
    if terms.split("\\", maxsplit=1)[0] in _ROMAN_JAPANESE or not others_are_ascii():
        raise CannotCorrect(
            f"its Specific Character Set {terms or '(none)'} has not all characters of the order's {keywords}, and it"
            f" holds other text that no other set would read alike: set the device to {characters.UNICODE}, or take"
            " them out of the destination's correction; then retry"
        )
    return next(wider for wider in _WIDER if characters.expresses(wider, together))


def _text(keyword: str, value: str) -> str:
    """Return the characters that a value brings; of a sequence, a JSON list of items, those of its items."""
    if not keyword.endswith("Sequence") or not value:
        return value
    return "".join(text for item in json.loads(value) for text in item.values())


def is_text(vr: bytes, without_set: bool) -> bool:
    """Tell whether the set governs a value. What a value of unknown VR holds may be text, where there is a set."""
    return vr in _TEXT or (vr == _UNKNOWN and not without_set)
