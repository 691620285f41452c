"""Text of a data set by its Specific Character Set (0008,0005), best effort. Never fails; keeps no control character.

PS3.3 C.12.1.1.2: without code extensions one term holds for all; with them escape sequences switch (ISO 2022).
"""

import re

_CODECS = {
    "": "ascii",
    "6": "ascii",
    "13": "shift_jis",
    "100": "latin-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "126": "iso8859-7",
    "127": "iso8859-6",
    "138": "iso8859-8",
    "144": "iso8859-5",
    "148": "iso8859-9",
    "149": "euc_kr",
    "166": "tis-620",
    "192": "utf-8",
    "203": "iso8859-15",
    "58": "gb2312",
    "87": "iso2022_jp",
    "159": "iso2022_jp_2",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
_ESCAPES = {  # PS3.3 tables C.12-3 and C.12-4
    b"(B": "ascii",
    b"-A": "latin-1",
    b"-B": "iso8859-2",
    b"-C": "iso8859-3",
    b"-D": "iso8859-4",
    b"-F": "iso8859-7",
    b"-G": "iso8859-6",
    b"-H": "iso8859-8",
    b"-L": "iso8859-5",
    b"-M": "iso8859-9",
    b"-T": "tis-620",
    b"-b": "iso8859-15",
    b")I": "shift_jis",
    b"(J": "shift_jis",
    b"$B": "iso2022_jp",
    b"$(D": "iso2022_jp_2",
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
}
_ESCAPE = re.compile(rb"\x1b(\(B|\(J|-[A-HLMTb]|\)I|\$B|\$\(D|\$\)[AC])")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def decode(raw: bytes, specific_character_set: str) -> str:
    """Return the text of a value; outer blanks of each of its values and all control characters are removed."""
    if raw.isascii() and b"\x1b" not in raw and "13" not in specific_character_set:  # JIS X 0201 has a yen sign
        text = raw.decode("ascii").rstrip("\0")
        if text.isprintable():
            return text.strip(" ") if "\\" not in text else "\\".join(v.strip(" ") for v in text.split("\\"))
    text = _decode(raw, _codec(specific_character_set.split("\\", maxsplit=1)[0]))
    return "\\".join(_CONTROLS.sub("", value).strip(" ") for value in text.split("\\"))


def _decode(raw: bytes, codec: str) -> str:
    # re.split with one group gives: text, escape, text, escape, text...
    first, *rest = _ESCAPE.split(raw)
    pieces = [first.decode(codec, "replace")]
    for escape, part in zip(rest[::2], rest[1::2], strict=True):
        chosen = _ESCAPES[escape]
        # the codecs of ISO 2022 for Japanese want to see the escape sequence themselves
        seen = b"\x1b" + escape + part if chosen.startswith("iso2022") else part
        pieces.append(seen.decode(chosen, "replace"))
    return "".join(pieces)


def _codec(term: str) -> str:
    # "ISO_IR 100", "ISO 2022 IR 100" and careless spellings such as "ISO-IR 100" mean the same repertoire
    name = term.strip().upper()
    codec = _CODECS.get(name if name in ("GB18030", "GBK") else re.split("[ _-]", name)[-1], "latin-1")
    return "latin-1" if codec.startswith(("ascii", "iso2022")) else codec
