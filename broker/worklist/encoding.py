"""An item's elements as bytes, made once when it is planned: everything that does not depend on who asks for what.

Left to the question are the station's titles, name and place, the status, the transfer syntax and the character set:
values are kept without their headers, and text as UTF-8. An answer is joined of slices in `dataset`.
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword

from broker.worklist.attributes import Entity, answer_entity, step_entity
from broker.worklist.elements import dictionary_vr, padded
from broker.worklist.model import WorklistItem

VERSION = 1

# What an entry holds.
NOTHING = 0  # an attribute that is known, without a value
VALUE = 1  # as it is sent, padded
NUMBERS = 2  # binary, little endian
ASCII = 3  # text without its padding, the same in every character set
TEXT = 4  # text in UTF-8, to be encoded in the answer's character set
ITEMS = 5  # a sequence: where each of its items begins, 32 bits each

TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i"}
# Never answered: the set is the answer's own, times are civil and so have no offset (PS3.4 K.6.1.2.2).
NEVER_ANSWERED = frozenset({0x00080005, 0x00080201})

Entry = tuple[int, int, int, int]  # tag, kind, and where the value begins and ends
Table = dict[int, Entry]

_HEADER = struct.Struct("<BBI")  # version, whether all text is ASCII, where the step begins
_COUNT = struct.Struct("<H")
_ENTRY = struct.Struct("<IBII")
_PLACE = struct.Struct("<I")


def encoded_elements(item: WorklistItem) -> bytes:
    """Return the elements of an item, to be kept with it as `WorklistItem.encoded`. Its status is not among them."""
    out = bytearray(_HEADER.size)
    answer = answer_entity(item)
    is_ascii = _append(out, answer)
    step_at = len(out)
    is_ascii = _append(out, step_entity(item)) and is_ascii
    _HEADER.pack_into(out, 0, VERSION, is_ascii, step_at)
    return bytes(out)


def is_current(encoded: bytes) -> bool:
    """Tell whether bytes were encoded by this version, and so can be read."""
    return encoded[:1] == bytes((VERSION,))


def tables(encoded: bytes) -> tuple[bool, Table, Table]:
    """Return whether all text is ASCII, and the entries of the answer and of its step."""
    _, is_ascii, step_at = _HEADER.unpack_from(encoded)
    return bool(is_ascii), table(encoded, _HEADER.size), table(encoded, step_at)


def table(encoded: bytes, at: int) -> Table:
    """Return the entries, by tag, of the entity that begins at `at`."""
    begin = at + _COUNT.size
    end = begin + _COUNT.unpack_from(encoded, at)[0] * _ENTRY.size
    return {entry[0]: entry for entry in _ENTRY.iter_unpack(encoded[begin:end])}


def items(encoded: bytes, entry: Entry) -> Iterator[Table]:
    """Yield the entries of each item of a sequence."""
    for (at,) in _PLACE.iter_unpack(encoded[entry[2] : entry[3]]):
        yield table(encoded, at)


def value(vr: str, values: tuple[str, ...]) -> tuple[int, bytes]:
    """Return the kind and the bytes of an attribute's values."""
    if not values:
        return NOTHING, b""
    text = "\\".join(values)
    if vr in TEXT_VRS:
        return (ASCII if text.isascii() else TEXT), text.encode("utf-8", "surrogatepass")
    if vr in _NUMBERS:
        return NUMBERS, b"".join(_number(_NUMBERS[vr], each) for each in values)
    return VALUE, padded(vr, text.encode("ascii", "replace"))


def _append(out: bytearray, entity: Entity) -> bool:
    """Append an entity, its entries first; tell whether all of its text is ASCII."""
    layout = _layout(tuple(entity.values), tuple(entity.sequences))
    at = len(out)
    end = at + layout.entries.size
    fields, contents, is_ascii = [layout.known], [], True
    for place, values in zip(layout.values, entity.values.values(), strict=True):
        if place is None:
            continue
        if not values:
            fields += (place[0], NOTHING, end, end)
            continue
        tag, vr = place
        if vr in TEXT_VRS and len(values) == 1 and (text := values[0]).isascii():  # as in `value`: nearly all are
            kind, content = ASCII, text.encode("ascii")
        else:
            kind, content = value(vr, values)
            if kind == TEXT:
                is_ascii = False
        contents.append(content)
        begin, end = end, end + len(content)
        fields += (tag, kind, begin, end)
    out += bytes(layout.entries.size)
    out += b"".join(contents)
    for place, inner in zip(layout.sequences, entity.sequences.values(), strict=True):
        if place is not None:
            kind, begin, end, all_ascii = _append_items(out, inner)
            fields += (place[0], kind, begin, end)
            is_ascii = is_ascii and all_ascii
    layout.entries.pack_into(out, at, *fields)
    return is_ascii


def _append_items(out: bytearray, inner: Iterable[Entity]) -> tuple[int, int, int, bool]:
    """Append a sequence's items, then where they are; return the rest of its entry, and whether all text is ASCII."""
    places, is_ascii = [], True
    for each in inner:
        places.append(len(out))
        is_ascii = _append(out, each) and is_ascii
    begin = len(out)
    for place in places:
        out += _PLACE.pack(place)
    return (ITEMS if places else NOTHING), begin, len(out), is_ascii


class _Layout(NamedTuple):
    """How the entries of entities with the same keywords are packed: tag and VR of each, None for what is left out."""

    known: int
    entries: struct.Struct
    values: "tuple[tuple[int, str] | None, ...]"
    sequences: "tuple[tuple[int, str] | None, ...]"


@lru_cache(maxsize=1024)  # a sender states the same few attributes in all its messages
def _layout(values: tuple[str, ...], sequences: tuple[str, ...]) -> _Layout:
    places = [_place_of(keyword) for keyword in (*values, *sequences)]
    count = len(places) - places.count(None)
    entries = struct.Struct("<H" + "IBII" * count)
    return _Layout(count, entries, tuple(places[: len(values)]), tuple(places[len(values) :]))


@lru_cache(maxsize=1024)
def _place_of(keyword: str) -> tuple[int, str] | None:
    """Return tag and VR of an attribute; None for what no answer holds."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag in NEVER_ANSWERED or is_structure(tag):
        return None
    return tag, dictionary_vr(tag)


def is_structure(tag: int) -> bool:
    """Tell whether a tag is a group length, or of a group that belongs to no data set (PS3.5 7.1)."""
    return tag & 0xFFFF == 0 or tag >> 16 < 0x0008


def _number(form: str, text: str) -> bytes:
    try:
        return struct.pack(form, int(text))
    except (ValueError, struct.error):
        return b""  # no number: as good as none
