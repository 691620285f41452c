"""What a query asks for, prepared once for all of its answers: each attribute's header, and its keys within an item.

Knows no item's values.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from broker.worklist import elements
from broker.worklist.attributes import (
    STEP_KEYWORDS,
    STEP_SEQUENCE,
    TOP_KEYWORDS,
    always,
    is_code_sequence,
    members,
)
from broker.worklist.elements import Element, dictionary_vr, tag_of
from broker.worklist.encoding import NEVER_ANSWERED, NOTHING, Table, is_structure
from broker.worklist.query import keyword_of

STEP_TAG = tag_of(STEP_SEQUENCE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One attribute that is asked for."""

    tag: int
    vr: str
    empty: bytes  # the whole element where it has no value
    head: bytes  # what stands before its length
    length_size: int
    item_head: bytes  # what stands before the length of an item
    is_known: bool  # supported even where an item has no value for it
    keys: "tuple[Asked, ...]" = ()  # what is asked for in the items of a sequence
    is_whole: bool = False  # and all else that an item has
    always: "tuple[Asked, ...]" = ()  # what an item asked for as a whole shows even when it is empty


def compiled(asked: Iterable[Element], transfer_syntax: str) -> tuple[Asked, ...]:
    """Return what an identifier asks for, in the order of the answer."""
    return _compiled(asked, TOP_KEYWORDS | STEP_KEYWORDS, transfer_syntax)


def wanted(sequence: Asked, item: Table, transfer_syntax: str) -> list[Asked]:
    """Return what an item asked for as a whole answers: the keys, what is always there, and all that has a value."""
    found = {entry[0]: _asking(entry[0], transfer_syntax) for entry in item.values() if entry[1] != NOTHING}
    found |= {each.tag: each for each in sequence.always}
    found |= {each.tag: each for each in sequence.keys}
    return [found[tag] for tag in sorted(found)]


def _compiled(asked: Iterable[Element], known: frozenset[str], transfer_syntax: str) -> tuple[Asked, ...]:
    found = (_one(element, known, transfer_syntax) for element in _first_of_each(asked))
    return tuple(sorted(found, key=lambda each: each.tag))


def _first_of_each(asked: Iterable[Element]) -> Iterator[Element]:
    seen = set(NEVER_ANSWERED)
    for element in asked:
        if element.tag not in seen and not is_structure(element.tag):
            seen.add(element.tag)
            yield element


def _one(asked: Element, known: frozenset[str], transfer_syntax: str) -> Asked:
    keyword = keyword_of(asked.tag)
    if _is_private_creator(asked.tag):
        # Echoed: what follows means nothing without it.
        return _prepared(Element(asked.tag, "LO", asked.value), False, transfer_syntax)
    vr = dictionary_vr(asked.tag) if keyword else asked.vr
    if vr != "SQ":
        return _prepared(Element(asked.tag, vr), keyword in known, transfer_syntax)
    keys = asked.items[0] if asked.items else ()
    return _prepared(
        Element(asked.tag, "SQ"),
        keyword in known,
        transfer_syntax,
        keys=_compiled(keys, frozenset(members(keyword)), transfer_syntax),
        # Codes are only ever given whole; a request that names no key asks for all (D.2.3).
        is_whole=not keys or is_code_sequence(keyword),
    )


def _prepared(
    empty: Element, is_known: bool, transfer_syntax: str, *, keys: tuple[Asked, ...] = (), is_whole: bool = False
) -> Asked:
    written = elements.write([empty], transfer_syntax)
    size = elements.length_size(empty.vr, transfer_syntax)
    shown = always(keyword_of(empty.tag)) if is_whole else ()
    return Asked(
        tag=empty.tag,
        vr=empty.vr,
        empty=written,
        head=written[:-size],
        length_size=size,
        item_head=elements.item_tag(transfer_syntax),
        is_known=is_known,
        keys=keys,
        is_whole=is_whole,
        always=tuple(_asking(tag_of(keyword), transfer_syntax, frozenset(shown)) for keyword in shown),
    )


@lru_cache(maxsize=4096)
def _asking(tag: int, transfer_syntax: str, known: frozenset[str] = frozenset()) -> Asked:
    """Return an attribute as if it had been asked for, a sequence as a whole."""
    return _one(Element(tag, dictionary_vr(tag)), known, transfer_syntax)


def _is_private_creator(tag: int) -> bool:
    return tag >> 16 & 1 == 1 and 0x10 <= tag & 0xFFFF <= 0xFF
