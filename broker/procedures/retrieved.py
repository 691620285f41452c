"""The attributes of a performed step for N-GET (PS3.4 F.8): its requests laid over each other, encoded once. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from broker.procedures import attributes
from broker.procedures.attributes import IN_CHARACTER_SET
from broker.worklist import characters, elements
from broker.worklist.elements import Element, byte_order, dictionary_vr

_CHARACTER_SET = 0x00080005
_TEXT_SET = b"ISO_IR 192"
_NUMBERS = frozenset({"US", "SS", "UL", "SL"})


def data_set(requests: Iterable[tuple[str, bytes]], asked: Sequence[int], transfer_syntax: str) -> bytes:
    """Return the asked attributes, all where none is named, in UTF-8 and the given syntax.

    `requests` are (transfer syntax, data set) of the N-CREATE and each N-SET, oldest first; a sequence of a later one
    replaces the earlier one's items (E.2). Raises `elements.Malformed`, which what was accepted never does.
    """
    merged: dict[int, Element] = {}
    for syntax, data in requests:
        merged |= {element.tag: element for element in _unicode(data, syntax, transfer_syntax)}
    chosen = [element for tag, element in merged.items() if (not asked or tag in asked) and tag != _CHARACTER_SET]
    return elements.write([Element(_CHARACTER_SET, "CS", _TEXT_SET), *chosen], transfer_syntax)


def _unicode(data: bytes, syntax: str, wanted: str) -> tuple[Element, ...]:
    found = attributes.read_elements(data, syntax)
    return _recoded(found, characters.DEFAULT, byte_order(syntax) != byte_order(wanted))


def _recoded(found: Sequence[Element], character_set: str, swaps: bool) -> tuple[Element, ...]:
    own = attributes.Attributes(found, character_set).character_set
    return tuple(_element(element, own, swaps) for element in found if element.tag != _CHARACTER_SET)


def _element(element: Element, character_set: str, swaps: bool) -> Element:
    if element.vr == "SQ":
        return replace(element, items=tuple(_recoded(item, character_set, swaps) for item in element.items))
    vr = dictionary_vr(element.tag) if element.vr == "UN" else element.vr
    value = element.value
    if vr in IN_CHARACTER_SET:
        value = characters.decode(value, character_set).encode()
    elif swaps and vr in _NUMBERS:
        value = elements.swapped(vr, value)
    return replace(element, value=value)
