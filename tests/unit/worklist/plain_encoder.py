"""The second opinion on answers: plain, element by element, with nothing encoded before the question is known."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

from broker.worklist import characters, elements
from broker.worklist.attributes import (
    STEP_KEYWORDS,
    STEP_SEQUENCE,
    TOP_KEYWORDS,
    Entity,
    always,
    answer_entity,
    is_code_sequence,
    members,
    step_entity,
    step_keywords_of,
    values_of,
)
from broker.worklist.dataset import Encoded
from broker.worklist.elements import Element, dictionary_vr
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import Query, keyword_of

_CHARACTER_SET = 0x00080005
# Never echoed: the set is the answer's own, times are civil and so have no offset (PS3.4 K.6.1.2.2).
_OWN = frozenset({_CHARACTER_SET, 0x00080201})
_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i"}


@dataclass(frozen=True, slots=True)
class _Part:
    """An attribute of the answer before its text is encoded."""

    tag: int
    vr: str
    values: tuple[str, ...] = ()
    raw: bytes = b""
    items: "tuple[tuple[_Part, ...], ...]" = ()
    supported: bool = True


def encode(query: Query, item: WorklistItem, viewer: Viewer, transfer_syntax: str) -> Encoded:
    """Return the answer for a resolved item. The same arguments give the same bytes."""
    parts = tuple(_parts(query.asked, _with_step(entity(item, viewer)), TOP_KEYWORDS | STEP_KEYWORDS))
    character_set, fits = characters.choose("".join(_texts(parts)), viewer.character_sets)
    writer = _Writer(character_set, fits, elements.byte_order(transfer_syntax))
    answer = list(writer.elements(parts))
    # Never zero length; left out of an answer in plain ASCII (A.5).
    if character_set and not writer.all_ascii:
        answer.append(Element(_CHARACTER_SET, "CS", character_set.encode("ascii")))
    identifier = elements.write(answer, transfer_syntax)
    sent_set = "" if writer.all_ascii else character_set
    return Encoded(identifier, _supported(parts), sent_set, transliterated=not fits)


def entity(item: WorklistItem, viewer: Viewer) -> Entity:
    """Return everything that an item has to say to a viewer."""
    answer, step = answer_entity(item), step_entity(item)
    station = {"ScheduledStationName": viewer.station_name, "ScheduledProcedureStepLocation": viewer.location}
    defaults = {keyword: values_of(keyword, text) for keyword, text in station.items()}
    changing = {keyword: values_of(keyword, text) for keyword, text in step_keywords_of(item).items()}
    if not item.scheduled_station_ae_titles:  # of type 1, and for no device we know
        changing["ScheduledStationAETitle"] = (viewer.stations or viewer.calling)[:1]
    whole = Entity({**defaults, **step.values, **changing}, step.sequences)
    return Entity(answer.values, {**answer.sequences, STEP_SEQUENCE: (whole,)})


# --- what is in it -----------------------------------------------------------------------------------------------


def _with_step(answer: Entity) -> Entity:
    """Add the step's attributes at the top, for consoles that ask for them there."""
    step = answer.sequences[STEP_SEQUENCE][0]
    return Entity({**step.values, **answer.values}, {**step.sequences, **answer.sequences})


def _parts(asked: Iterable[Element], of: Entity, known: frozenset[str]) -> Iterator[_Part]:
    seen = set(_OWN)
    for element in asked:
        if element.tag not in seen and not _is_structure(element.tag):
            seen.add(element.tag)
            yield _part(element, of, known)


def _is_structure(tag: int) -> bool:
    # Group lengths, and groups that belong to no data set (PS3.5 7.1).
    return tag & 0xFFFF == 0 or tag >> 16 < 0x0008


def _part(asked: Element, of: Entity, known: frozenset[str]) -> _Part:
    keyword = keyword_of(asked.tag)
    vr = dictionary_vr(asked.tag) if keyword else asked.vr
    if _is_private_creator(asked.tag):
        return _Part(asked.tag, "LO", raw=asked.value, supported=False)  # what follows means nothing without it
    supported = keyword in known or keyword in of.values or keyword in of.sequences
    if vr != "SQ":
        return _Part(asked.tag, vr, of.values.get(keyword, ()), supported=supported)
    items = tuple(tuple(_item(asked, keyword, item)) for item in of.sequences.get(keyword, ()))
    return _Part(asked.tag, vr, items=items, supported=supported)


def _item(asked: Element, sequence: str, item: Entity) -> Iterator[_Part]:
    """Yield an item's attributes: those asked for, or all when the request names none (D.2.3)."""
    keys = asked.items[0] if asked.items else ()
    named = {keyword_of(key.tag) for key in keys}
    whole = not keys or is_code_sequence(sequence)
    wanted = [keyword for keyword in _all_of(item, sequence) if keyword not in named] if whole else []
    known = frozenset(members(sequence)) | item.values.keys() | item.sequences.keys()
    return _parts([*keys, *map(_asking, wanted)], item, known)


def _all_of(item: Entity, sequence: str) -> tuple[str, ...]:
    valued = [keyword for keyword, values in item.values.items() if values]
    filled = [keyword for keyword, items in item.sequences.items() if items]
    return tuple(dict.fromkeys([*always(sequence), *valued, *filled]))


def _asking(keyword: str) -> Element:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return Element(tag, dictionary_vr(tag))


def _is_private_creator(tag: int) -> bool:
    return tag >> 16 & 1 == 1 and 0x10 <= tag & 0xFFFF <= 0xFF


def _supported(parts: Iterable[_Part]) -> bool:
    return all(part.supported and all(map(_supported, part.items)) for part in parts)


def _texts(parts: Iterable[_Part]) -> Iterator[str]:
    for part in parts:
        if part.vr in _TEXT:
            yield from part.values
        for item in part.items:
            yield from _texts(item)


# --- as bytes ----------------------------------------------------------------------------------------------------


class _Writer:
    """Encodes values in one character set and byte order, and notes whether any text needed the set."""

    def __init__(self, character_set: str, fits: bool, byte_order: str) -> None:
        self._character_set = character_set
        self._fits = fits
        self._prefix = "<" if byte_order == "little" else ">"
        self.all_ascii = True

    def elements(self, parts: Iterable[_Part]) -> Iterator[Element]:
        for part in parts:
            if part.vr == "SQ":
                yield Element(part.tag, "SQ", items=tuple(tuple(self.elements(item)) for item in part.items))
            else:
                yield Element(part.tag, part.vr, part.raw or self._value(part))

    def _value(self, part: _Part) -> bytes:
        if part.vr in _NUMBERS:
            return b"".join(self._number(part.vr, text) for text in part.values)
        if part.vr not in _TEXT:
            return "\\".join(part.values).encode("ascii", "replace")
        return b"\\".join(self._text(part.vr, text) for text in part.values)

    def _number(self, vr: str, text: str) -> bytes:
        try:
            return struct.pack(self._prefix + _NUMBERS[vr], int(text))
        except (ValueError, struct.error):
            return b""  # no number: as good as none

    def _text(self, vr: str, text: str) -> bytes:
        shown = text if self._fits else self._approximated(vr, text)
        self.all_ascii = self.all_ascii and shown.isascii()
        return characters.encode(shown, self._character_set)

    def _approximated(self, vr: str, text: str) -> str:
        if vr != "PN":
            return characters.transliterate(text, self._character_set)
        alphabetic, *others = text.split("=")
        kept = [group if characters.expresses(self._character_set, group) else "" for group in others]
        # A name in a script the device does not know is left out beside its alphabetic form, not shown as "??".
        if alphabetic:
            return "=".join([characters.transliterate(alphabetic, self._character_set), *kept]).rstrip("=")
        return characters.transliterate(text, self._character_set)
