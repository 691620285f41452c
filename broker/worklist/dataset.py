"""The answer's data set: exactly what was asked for (PS3.4 K.6, standards D.2), joined of the item's encoded elements.

Policies, unless the device's habits say otherwise: an attribute we do not support is returned with zero length. An
attribute of the step that was asked for outside its sequence is answered there too. Decides no match.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from broker.worklist import characters, elements, encoding
from broker.worklist.asked import STEP_TAG, Asked, compiled, wanted
from broker.worklist.attributes import STEP_KEYWORDS, step_keywords_of, values_of
from broker.worklist.elements import ByteOrder, dictionary_vr
from broker.worklist.encoding import ASCII, ITEMS, NUMBERS, TEXT, VALUE, Entry, Table
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import Query, keyword_of

_CHARACTER_SET = 0x00080005
_STEP = 9  # the kind of the step's own entry, whose one item is made at query time
_STEP_ENTRY: Entry = (STEP_TAG, _STEP, 0, 0)
_PLAIN = frozenset({VALUE, ASCII})
_TAILS = 256  # held for a question
_JOINED = 1024  # answers held for all questions, some 3 KiB each


@dataclass(frozen=True, slots=True)
class Encoded:
    """One answer: its bytes, and what the log should know of it."""

    identifier: bytes
    all_supported: bool
    character_set: str  # (0008,0005) as sent; empty when it was left out
    transliterated: bool  # no set the device takes holds all of the text


class Answers:
    """Joins the answers of one query. The same item gives the same bytes."""

    def __init__(self, query: Query, viewer: Viewer, transfer_syntax: str) -> None:
        self._asked = compiled(query.asked, transfer_syntax)
        self._viewer = viewer
        # A type 1 attribute of a step that is for no device we know: who asks for it may take it.
        self._own = (viewer.stations or viewer.calling)[:1]
        self._transfer_syntax = transfer_syntax
        self._fills = viewer.habits.unsupported_as_empty
        self._order = elements.byte_order(transfer_syntax)
        # Some consoles ask for the step's attributes outside its sequence.
        self._asks_for_step_at_top = any(keyword_of(each.tag) in STEP_KEYWORDS for each in self._asked)
        # Nothing that we support goes before the set.
        self._front = sum(each.tag < _CHARACTER_SET for each in self._asked) if self._fills else 0
        self._of_viewer = {
            "ScheduledStationName": viewer.station_name,
            "ScheduledProcedureStepLocation": viewer.location,
        }
        self._tails: dict[tuple[object, ...], _Tail] = {}

    def encode(self, item: WorklistItem) -> Encoded:
        """Return the answer for a resolved item, from its encoded elements where this version made them."""
        tail = self._tail(item)
        if encoding.is_current(item.encoded):
            return _joined(self, item.encoded, tail)
        return self.join(encoding.encoded_elements(item), tail)

    def join(self, made: bytes, tail: "_Tail") -> Encoded:
        """Return the answer of an item's encoded elements and what the question adds to them."""
        is_ascii, top, step = encoding.tables(made)
        tail.add_to(step, len(made))
        if self._asks_for_step_at_top:
            top = {**step, **top}
        top[STEP_TAG] = _STEP_ENTRY
        source = _Source(made + tail.content, step, self._transfer_syntax, self._order, self._fills)
        if not (is_ascii and tail.is_ascii):
            source.choose(self._asked, top, self._viewer.character_sets)
        written = source.written(self._asked, top)
        # Never zero length; left out of an answer in plain ASCII (A.5).
        sent_set = "" if source.all_ascii else source.character_set
        if sent_set:
            written.insert(self._front, self._character_set(sent_set))
        return Encoded(b"".join(written), source.all_supported, sent_set, transliterated=not source.fits)

    def _tail(self, item: WorklistItem) -> "_Tail":
        key = (item.scheduled_station_ae_titles, item.status)
        tail = self._tails.get(key)
        if tail is None:
            if len(self._tails) >= _TAILS:
                self._tails.clear()
            shown = item if item.scheduled_station_ae_titles else replace(item, scheduled_station_ae_titles=self._own)
            tail = self._tails[key] = _Tail(self._of_viewer, step_keywords_of(shown))
        return tail

    def _character_set(self, character_set: str) -> bytes:
        element = elements.Element(_CHARACTER_SET, "CS", character_set.encode("ascii"))
        return elements.write([element], self._transfer_syntax)


def encode(query: Query, item: WorklistItem, viewer: Viewer, transfer_syntax: str) -> Encoded:
    """Return the answer for one resolved item."""
    return Answers(query, viewer, transfer_syntax).encode(item)


class _Tail:
    """What the question adds to an item's elements: values behind them, and where these stand."""

    __slots__ = ("_count", "_entries", "content", "is_ascii")

    def __init__(self, defaults: dict[str, str], always: dict[str, str]) -> None:
        self.content = b""
        self.is_ascii = True
        self._count = len(defaults)
        self._entries: list[Entry] = []
        for keyword, text in (*defaults.items(), *always.items()):
            tag = elements.tag_of(keyword)
            kind, value = encoding.value(dictionary_vr(tag), values_of(keyword, text))
            self._entries.append((tag, kind, len(self.content), len(self.content) + len(value)))
            self.content += value
            self.is_ascii = self.is_ascii and kind != TEXT

    def add_to(self, step: Table, base: int) -> None:
        """Add to a step's entries: the defaults where the item says nothing, the others whatever it says."""
        for index, (tag, kind, at, end) in enumerate(self._entries):
            if index >= self._count or tag not in step:
                step[tag] = (tag, kind, base + at, base + end)


@lru_cache(maxsize=_JOINED)
def _joined(answers: Answers, made: bytes, tail: _Tail) -> Encoded:
    """Return an answer that was given before: consoles ask for the same list every few minutes."""
    return answers.join(made, tail)


class _Source:
    """One item's values, and the writing of those that are asked for."""

    __slots__ = (
        "_content",
        "_fills",
        "_order",
        "_plain",
        "_step",
        "_syntax",
        "all_ascii",
        "all_supported",
        "character_set",
        "fits",
    )

    def __init__(self, content: bytes, step: Table, transfer_syntax: str, order: ByteOrder, fills: bool) -> None:
        self._content = content
        self._step = step
        self._syntax = transfer_syntax
        self._order = order
        self._fills = fills  # what is unknown is answered with zero length
        self.character_set = characters.DEFAULT
        self.fits = True
        self.all_ascii = True
        self.all_supported = True
        self._plain = _PLAIN  # kinds whose values are sent as they stand

    def choose(self, asked: Iterable[Asked], table: Table, offered: tuple[str, ...]) -> None:
        """Choose the character set by the text that is asked for."""
        self.character_set, self.fits = characters.choose("".join(self._texts(asked, table)), offered)
        if not self.fits:
            self._plain = _PLAIN - {ASCII}  # a set may hold less than ASCII, and names are cut

    def written(self, asked: Iterable[Asked], table: Table) -> list[bytes]:
        """Return the elements that are asked for."""
        content, plain, order = self._content, self._plain, self._order
        written = []
        for each in asked:
            entry = table.get(each.tag)
            if entry is None or not (kind := entry[1]):  # NOTHING
                is_supported = each.is_known or entry is not None
                self.all_supported = self.all_supported and is_supported
                if is_supported or self._fills:
                    written.append(each.empty)
                continue
            value = content[entry[2] : entry[3]] if kind in plain else self._value(each, entry)
            if len(value) & 1:
                value += b" "  # only text is kept without its padding
            written.append(each.head + len(value).to_bytes(each.length_size, order) + value)
        return written

    def _value(self, asked: Asked, entry: Entry) -> bytes:
        _, kind, at, end = entry
        if kind >= ITEMS:
            return b"".join(self._item(asked, table) for table in self._items(entry))
        value = self._content[at:end]
        if kind == NUMBERS:
            return elements.swapped(asked.vr, value) if self._order == "big" else value
        return self._text(asked.vr, value.decode("utf-8", "surrogatepass"))

    def _items(self, entry: Entry) -> Iterable[Table]:
        return (self._step,) if entry[1] == _STEP else encoding.items(self._content, entry)

    def _item(self, asked: Asked, table: Table) -> bytes:
        content = b"".join(self.written(self._wanted(asked, table), table))
        return asked.item_head + len(content).to_bytes(4, self._order) + content

    def _wanted(self, asked: Asked, table: Table) -> Iterable[Asked]:
        return wanted(asked, table, self._syntax) if asked.is_whole else asked.keys

    def _texts(self, asked: Iterable[Asked], table: Table) -> Iterator[str]:
        for each in asked:
            entry = table.get(each.tag)
            if entry is None:
                continue
            if entry[1] in (ASCII, TEXT):
                yield self._content[entry[2] : entry[3]].decode("utf-8", "surrogatepass")
            elif entry[1] >= ITEMS:
                for item in self._items(entry):
                    yield from self._texts(self._wanted(each, item), item)

    def _text(self, vr: str, text: str) -> bytes:
        if self.fits:
            self.all_ascii = self.all_ascii and text.isascii()
            return characters.encode(text, self.character_set)
        values = (text,) if vr in elements.ONE_TEXT else text.split("\\")
        shown = [self._approximated(vr, value) for value in values]
        self.all_ascii = self.all_ascii and all(map(str.isascii, shown))
        return b"\\".join(characters.encode(value, self.character_set) for value in shown)

    def _approximated(self, vr: str, text: str) -> str:
        if vr != "PN":
            return characters.transliterate(text, self.character_set)
        alphabetic, *others = text.split("=")
        kept = [group if characters.expresses(self.character_set, group) else "" for group in others]
        # A name in a script the device does not know is left out beside its alphabetic form, not shown as "??".
        if alphabetic:
            return "=".join([characters.transliterate(alphabetic, self.character_set), *kept]).rstrip("=")
        return characters.transliterate(text, self.character_set)
