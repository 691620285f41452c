"""What may stand in an attribute: length, repertoire and cut by value representation (PS3.5 6.2). Reads no message."""

import re
from collections.abc import Iterable

from broker.identifiers import AETitle, is_uid
from broker.orders.model import Refusal

DATA_TYPE_ERROR = "102"  # table 0357

SH = 16
LO = 64
LT = 10240
PN_GROUP = 64

# Controls and separators of lines that are not ASCII's alone: C0, DEL, C1, LS, PS.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL_IN_TEXT = re.compile("[\x00-\x09\x0b\x0e-\x1f\x7f-\x9f]+")
_CODE_STRING = re.compile("[A-Z0-9 _]{1,16}")
_USUAL_NAME = re.compile(r"(?:[^\W_]*\^){4}[^\W_]*").fullmatch  # one word in each part: nothing to mend
_DECIMAL = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?")


def identifier(text: str, limit: int, location: str, keyword: str) -> str:
    """Return an identifier as it is, without outer blanks; it is never cut or mended.

    Raises Refusal AE 102 for one that its attribute cannot hold: too long, or with a control or a backslash.
    """
    value = text.strip()
    if fits(value, limit):
        return value
    if len(value) > limit:
        raise Refusal("AE", location, DATA_TYPE_ERROR, f"{keyword} exceeds {limit} characters")
    raise Refusal("AE", location, DATA_TYPE_ERROR, f"{keyword} has a backslash or a control character")


def uid(text: str, location: str, keyword: str) -> str:
    """Return a UID as it is. Raises Refusal AE 102 for what is none; a UID is never mended."""
    value = text.strip()
    if value and not is_uid(value):
        raise Refusal("AE", location, DATA_TYPE_ERROR, f"{keyword} is not a UID")
    return value


def fits(text: str, limit: int = SH) -> bool:
    """Tell whether `identifier` would take the text."""
    value = text.strip()
    return len(value) <= limit and "\\" not in value and (value.isprintable() or not _CONTROL.search(value))


def line(text: str, limit: int) -> str:
    """Return descriptive text of one line: SH cut at 16, LO cut at 63 with a "+" that says so."""
    value = plain(text)
    if len(value) <= limit:
        return value
    return value[:limit].rstrip() if limit <= SH else value[: limit - 1].rstrip() + "+"


def lines(texts: Iterable[str], limit: int = LT) -> str:
    """Return comments joined line by line, cut at the limit; CR LF separates lines (PS3.5 6.1.3)."""
    joined = "\n".join(texts).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL_IN_TEXT.sub(" ", joined).strip().replace("\n", "\r\n")[:limit]


def plain(text: str) -> str:
    """Return text that may stand in one value: a backslash separates values, a control is nothing to show."""
    if text.isprintable() and "\\" not in text and "  " not in text:
        return text.strip()
    return " ".join(_CONTROL.sub(" ", text).replace("\\", "/").split())


def several(values: Iterable[str], most: int = 32) -> str:
    """Return a multi-valued attribute's text, without the empty and the repeated."""
    return "\\".join(list(dict.fromkeys(filter(None, values)))[:most])


def code_string(text: str) -> str:
    """Return a CS in upper case, or empty where its repertoire does not hold the text."""
    value = text.strip().upper()
    return value if _CODE_STRING.fullmatch(value) else ""


def ae_title(text: str) -> str:
    """Return an AE title, or empty where the text is none: a title is never cut."""
    try:
        return AETitle(text)
    except ValueError:
        return ""


def decimal(number: float) -> str:
    """Return a DS of at most 16 characters."""
    return f"{number:.3f}".rstrip("0").rstrip(".")[:SH]


def number(text: str) -> float | None:
    """Return what a plain decimal text says, or None."""
    return float(text) if _DECIMAL.fullmatch(text.strip()) else None


def patient_sex(text: str) -> str:
    """Return F, M, O or empty: A (ambiguous) and N (not applicable) are O, unknown is empty (PS3.3 C.7.1.1)."""
    value = text.strip().upper()[:1]
    return {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O"}.get(value, "")


def person_name(
    family: str, given: str = "", middle: str = "", prefix: str = "", *, suffix: str = "", degree: str = ""
) -> str:
    """Return one group of a PN of at most 64 characters; the degree follows the suffix.

    What does not fit goes in this order: degree, suffix, middle, prefix, then given is cut; the family name stays
    whole unless it alone is too long.
    """
    usual = (
        f"{family}^{given}^{middle}^{prefix}^{suffix} {degree}"
        if degree
        else f"{family}^{given}^{middle}^{prefix}^{suffix}"
    )
    if len(usual) <= PN_GROUP and _USUAL_NAME(usual):
        return usual.rstrip("^")
    parts = [_name_part(part) if part else "" for part in (family, given, middle, prefix, suffix)]
    with_degree = [*parts[:4], f"{parts[4]} {_name_part(degree)}".strip()] if degree else parts
    whole = "^".join(with_degree).rstrip("^")
    if len(whole) <= PN_GROUP:
        return whole
    for dropped in (4, 2, 3):
        if _length(parts) > PN_GROUP:
            parts[dropped] = ""
    if _length(parts) > PN_GROUP:
        parts[1] = parts[1][: max(0, PN_GROUP - 1 - len(parts[0]))].rstrip()
    return "^".join(parts).rstrip("^")[:PN_GROUP]


def _length(parts: list[str]) -> int:
    return len("^".join(parts).rstrip("^"))


def _name_part(text: str) -> str:
    return plain(text.replace("^", " ").replace("=", " ") if "^" in text or "=" in text else text)
