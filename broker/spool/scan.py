"""Reads what routing needs from a data set as it streams by. Holds at most one short value; decodes nothing else.

Every length is a peer's word: it is only ever counted down, never allocated and never recursed on. Pixel data,
sequences and long values are passed over. Bounds: 4,096 elements, 32 levels of sequences, values up to 1 KiB;
a deflated data set is inflated for reading up to 64 MiB and 200:1.
"""

import struct
import zlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR, keyword_dict

from broker.spool import names, text

LAST_GROUP = 0x0040
MAXIMUM_ELEMENTS = 4096
MAXIMUM_DEPTH = 32
MAXIMUM_VALUE = 1024
MAXIMUM_INFLATED = 64 * 1024 * 1024
MAXIMUM_RATIO = 200

_RATIO_FLOOR = 1024 * 1024  # a ratio says nothing about the first few bytes
_INFLATE_STEP = 64 * 1024
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SPECIFIC_CHARACTER_SET = 0x00080005
_PATIENT_NAME = 0x00100010
LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"}
    | {b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"})
# Of the patient only what routes and support need: names (but for a digest), birth date and addresses are not copied
# out of the data set.
_PATIENT = frozenset(
    {"PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientSex", "PatientAge", "PatientSpeciesDescription"}
)
KEYWORDS: dict[int, str] = {
    tag: keyword
    for keyword, tag in keyword_dict.items()
    if 0x0008 <= tag >> 16 <= LAST_GROUP
    and dictionary_VR(tag) in _TEXTS
    and (tag >> 16 != 0x0010 or keyword in _PATIENT)
}
READ = frozenset((*KEYWORDS, _PATIENT_NAME))

IMPLICIT = frozenset({"1.2.840.10008.1.2", "1.2.840.113619.5.2"})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})


@dataclass(frozen=True, slots=True)
class Scan:
    """What was read: keyword -> text. `problem` says why reading stopped early; `cut`: it is not whole."""

    attributes: dict[str, str]
    problem: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Encoding:
    explicit: bool
    order: str  # of struct: "<" or ">"


_IMPLICIT_LITTLE = _Encoding(explicit=False, order="<")


@dataclass(frozen=True, slots=True)
class _Header:
    tag: int
    vr: bytes
    length: int


class _Stop(Exception):
    """Reading ends here, for the reason given; what was read before counts."""


# A parser asks for n bytes by yielding n, and for n bytes to be passed over by yielding -n.
_Parser = Generator[int, bytes, None]


def decoded(values: Mapping[int, bytes]) -> dict[str, str]:
    """Return values by keyword, as text of the character set that is among them."""
    character_set = values.get(_SPECIFIC_CHARACTER_SET, b"").decode("ascii", "replace").strip(" \0")
    name = _digest(values.get(_PATIENT_NAME, b""), character_set)
    named = {names.DIGEST: name} if name else {}
    read = ((tag, raw) for tag, raw in values.items() if tag != _PATIENT_NAME)
    return {KEYWORDS[tag]: _text(raw, character_set) for tag, raw in read} | named


# The images of a study have most of their values in common.
_text = lru_cache(maxsize=1024)(text.decode)


@lru_cache(maxsize=64)
def _digest(patient_name: bytes, character_set: str) -> str:
    return names.digest(text.decode(patient_name, character_set))


class Scanner:
    """Takes the pieces of one data set in turn; `finish` gives what was found."""

    def __init__(self, transfer_syntax: str) -> None:
        order = ">" if transfer_syntax == BIG_ENDIAN else "<"
        self._values: dict[int, bytes] = {}
        self._problem = ""
        self._done = False
        self._between_elements = True
        self._elements_left = MAXIMUM_ELEMENTS
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if transfer_syntax in DEFLATED else None
        self._fed = self._inflated = 0
        self._buffer = bytearray()
        self._parser = self._elements(_Encoding(transfer_syntax not in IMPLICIT, order))
        self._want = next(self._parser)

    def feed(self, piece: memoryview | bytes) -> None:
        """Read on in the next piece; costs nothing once everything of interest has passed."""
        if self._done:
            return
        try:
            if self._inflate is None:
                self._push(memoryview(piece))
            else:
                self._push_inflated(piece)
        except _Stop as stop:
            self._stop(str(stop))
        except zlib.error:
            self._stop("the deflated data set cannot be inflated")

    def finish(self) -> Scan:
        """Return what was found, after the last piece."""
        attributes = self._attributes()
        if self._done:
            return Scan(attributes, self._problem)
        if self._between_elements and not self._buffer and (self._inflate is None or self._inflate.eof):
            return Scan(attributes)
        return Scan(attributes, "the data set ends inside an element", cut=True)

    def _stop(self, problem: str) -> None:
        self._problem = problem
        self._done = True
        self._buffer.clear()

    def _attributes(self) -> dict[str, str]:
        return decoded(self._values)

    # --- from pieces to what the parser asks for

    def _push_inflated(self, piece: memoryview | bytes) -> None:
        inflate = self._inflate
        assert inflate is not None  # the caller has looked
        self._fed += len(piece)
        tail, more = bytes(piece), True
        while more and not self._done:
            out = inflate.decompress(tail, _INFLATE_STEP)
            tail = inflate.unconsumed_tail
            more = bool(tail) or len(out) == _INFLATE_STEP
            self._inflated += len(out)
            if self._inflated > min(MAXIMUM_INFLATED, max(_RATIO_FLOOR, MAXIMUM_RATIO * self._fed)):
                raise _Stop("the deflated data set inflates beyond bounds")
            self._push(memoryview(out))

    def _push(self, data: memoryview) -> None:
        position = 0
        while not self._done:
            if self._want < 0:
                step = min(-self._want, len(data) - position)
                position += step
                self._want += step
                if self._want < 0:
                    return
                self._advance(b"")
                continue
            taken = data[position : position + self._want - len(self._buffer)]
            self._buffer += taken
            position += len(taken)
            if len(self._buffer) < self._want:
                return
            value = bytes(self._buffer)
            self._buffer.clear()
            self._advance(value)

    def _advance(self, value: bytes) -> None:
        try:
            self._want = self._parser.send(value)
        except StopIteration:
            self._done = True

    # --- the grammar (PS3.5 7.1 and 7.5)

    def _elements(self, encoding: _Encoding) -> _Parser:
        while True:
            self._between_elements = True
            header = yield from self._header(encoding)
            group = header.tag >> 16
            if group == 0xFFFE:
                raise _Stop("an item stands outside a sequence")
            if group > LAST_GROUP:
                return
            if header.length == _UNDEFINED:
                yield from self._pass_over_items(_inside(header, encoding))
            elif header.tag in READ and header.tag not in self._values and header.length <= MAXIMUM_VALUE:
                self._values[header.tag] = (yield header.length) if header.length else b""
            elif header.length:
                yield -header.length

    def _header(self, encoding: _Encoding) -> Generator[int, bytes, _Header]:
        raw = yield 8
        self._between_elements = False
        self._elements_left -= 1
        if self._elements_left < 0:
            raise _Stop(f"the data set has more than {MAXIMUM_ELEMENTS} elements")
        group, element = struct.unpack_from(encoding.order + "HH", raw)
        tag = group << 16 | element
        if not encoding.explicit or group == 0xFFFE:
            return _Header(tag, b"", struct.unpack_from(encoding.order + "I", raw, 4)[0])
        vr = raw[4:6]
        if vr in SHORT:
            return _Header(tag, vr, struct.unpack_from(encoding.order + "H", raw, 6)[0])
        if vr not in LONG and not (vr.isalpha() and vr.isupper()):
            raise _Stop("an element has no value representation")
        # A VR of a later edition has the long form (PS3.5 7.1.2).
        raw = yield 4
        return _Header(tag, vr, struct.unpack(encoding.order + "I", raw)[0])

    def _pass_over_items(self, encoding: _Encoding) -> _Parser:
        """Pass over a value of undefined length: a sequence, or the fragments of encapsulated pixel data."""
        open_: list[tuple[_Encoding, bool]] = [(encoding, False)]  # encoding, whether inside an item
        while open_:
            if len(open_) > 2 * MAXIMUM_DEPTH:
                raise _Stop(f"sequences are nested deeper than {MAXIMUM_DEPTH}")
            current, in_item = open_[-1]
            header = yield from self._header(current)
            undefined = header.length == _UNDEFINED
            if header.tag == (_ITEM_END if in_item else _SEQUENCE_END):
                open_.pop()
            elif in_item == (header.tag >> 16 == 0xFFFE) or (not in_item and header.tag != _ITEM):
                raise _Stop("a sequence is not made of items")
            elif undefined:
                open_.append((_inside(header, current), not in_item))
            elif header.length:
                yield -header.length


def _inside(header: _Header, encoding: _Encoding) -> _Encoding:
    # UN of undefined length holds Implicit VR Little Endian whatever is around it (PS3.5 6.2.2).
    return _IMPLICIT_LITTLE if header.vr == b"UN" else encoding
