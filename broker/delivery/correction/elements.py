"""Encodes the few elements that a correction writes, in the syntax of the data set around them. Reads nothing."""

import json

from pydicom.datadict import tag_for_keyword

from broker.delivery.correction import text
from broker.delivery.correction.walk import Syntax, dictionary_vr

_ITEM = 0xFFFEE000
_BLANK = b" "
_NUL = b"\0"


def encoded(syntax: Syntax, tag: int, value: bytes) -> bytes:
    """Return an element whose value is text, padded to even length (PS3.5 6.2)."""
    vr = dictionary_vr(tag)
    padding = (_NUL if vr == b"UI" else _BLANK) * (len(value) % 2)
    return syntax.header(tag, vr, len(value) + len(padding)) + value + padding


def empty(syntax: Syntax, tag: int) -> bytes:
    """Return an element without a value: it was not there, or had none (PS3.3 C.12.1.1.9.1)."""
    return syntax.header(tag, dictionary_vr(tag), 0)


def sequence(syntax: Syntax, tag: int, items: bytes) -> bytes:
    """Return a sequence of encoded items, its length stated."""
    return syntax.header(tag, b"SQ", len(items)) + items


def item(syntax: Syntax, content: bytes) -> bytes:
    """Return an item of encoded elements, its length stated."""
    return syntax.tag(_ITEM) + syntax.number(len(content)) + content


def sequence_of(syntax: Syntax, tag: int, items: str, character_set: str) -> bytes:
    """Return a sequence of a JSON list of items: keyword -> text."""
    contents = (_item_of(syntax, one, character_set) for one in json.loads(items))
    return sequence(syntax, tag, b"".join(item(syntax, content) for content in contents))


def _item_of(syntax: Syntax, values: dict[str, str], character_set: str) -> bytes:
    tagged = {tag: value for keyword, value in values.items() if (tag := tag_for_keyword(keyword)) is not None}
    return b"".join(
        encoded(syntax, tag, text.encode(value, character_set)) for tag, value in sorted(tagged.items()) if value
    )
