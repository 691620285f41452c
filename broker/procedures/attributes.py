"""A received data set as attributes by keyword: text in its own character set, sequences as items. Knows no MPPS."""

from collections.abc import Iterable

from broker.dimse.limits import NORMALIZED_BYTES
from broker.worklist import characters, elements
from broker.worklist.elements import Element, tag_of

MAXIMUM_ELEMENTS = 131_072  # more than fit into NORMALIZED_BYTES in an exam of images

IN_CHARACTER_SET = frozenset({"PN", "LO", "SH", "ST", "LT", "UT", "UC"})
"""VRs whose text is in the Specific Character Set (PS3.5 6.1.2.3)."""

_CHARACTER_SET = 0x00080005
_OUTER = " \t\r\n\0"  # consoles pad with NUL; PostgreSQL refuses it


class Attributes:
    """The elements of a data set or of an item, which has the character set of what holds it unless it says its own."""

    __slots__ = ("_elements", "character_set")

    def __init__(self, found: Iterable[Element], character_set: str = characters.DEFAULT) -> None:
        self._elements = {element.tag: element for element in found}
        own = self._elements.get(_CHARACTER_SET)
        self.character_set = own.value.decode("ascii", "replace").strip(_OUTER) if own else character_set

    def has(self, keyword: str) -> bool:
        """Tell whether an attribute is there, with a value or without."""
        return tag_of(keyword) in self._elements

    def element(self, keyword: str) -> Element | None:
        """Return an attribute as it came."""
        return self._elements.get(tag_of(keyword))

    def text(self, keyword: str) -> str:
        """Return the first value of an attribute without its padding; empty where it has none."""
        element = self._elements.get(tag_of(keyword))
        if element is None or element.items:
            return ""
        vr = elements.dictionary_vr(element.tag)
        in_set = self.character_set if vr in IN_CHARACTER_SET else characters.DEFAULT
        decoded = characters.decode(element.value, in_set).replace("\0", "")
        return (decoded if vr in elements.ONE_TEXT else decoded.split("\\")[0]).strip(_OUTER)

    def items(self, keyword: str) -> tuple["Attributes", ...]:
        """Return the items of a sequence."""
        element = self._elements.get(tag_of(keyword))
        return tuple(Attributes(item, self.character_set) for item in element.items) if element else ()


def read(data: bytes, transfer_syntax: str) -> Attributes:
    """Return the attributes of an encoded data set. Raises `elements.Malformed`."""
    return Attributes(read_elements(data, transfer_syntax))


def read_elements(data: bytes, transfer_syntax: str) -> tuple[Element, ...]:
    """Return the elements of an encoded data set. Raises `elements.Malformed`."""
    return elements.read(data, transfer_syntax, maximum_bytes=NORMALIZED_BYTES, maximum_elements=MAXIMUM_ELEMENTS)
