"""Wildcard matching in bounded time, and the form in which names are compared. Reads no query."""

import re
import unicodedata

# Letters that Unicode does not decompose into a base letter and a mark.
_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ŧ": "t"}
)
_SEPARATORS = re.compile(r"[,\s]+")
_COMMAS = re.compile(r"\s*,\s*")
_OPEN_COMPONENTS = re.compile(r"(\^\*+)+$")
_OPEN_GROUPS = re.compile(r"(=\*+)+$")


def fold(text: str) -> str:
    """Return `text` without case and accents: how names are compared (a policy that PS3.4 C.2.2.2.1 allows)."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


def has_wildcard(pattern: str) -> bool:
    """Tell whether `*` or `?` occurs."""
    return "*" in pattern or "?" in pattern


def literal_prefix(pattern: str) -> str:
    """Return what every value that matches begins with."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def matches(pattern: str, value: str) -> bool:
    """Match `*` (any run, also empty) and `?` (one character) against the whole value.

    The time is at most the product of both lengths, where a regular expression with eight `.*` could run for hours.
    """
    return _matches_runs(pattern, value) if "?" in pattern else _matches_parts(pattern.split("*"), value)


def _matches_parts(parts: list[str], value: str) -> bool:
    """Match what stands between asterisks, each as far to the left as it goes: the many queries without `?`."""
    if len(parts) == 1:
        return parts[0] == value
    first, *inner, last = parts
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for part in inner:
        at = value.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _matches_runs(pattern: str, value: str) -> bool:
    """Match character by character, with two positions and one point of return."""
    at, here, star, resume = 0, 0, -1, 0
    while here < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", value[here]):
            at, here = at + 1, here + 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return pattern[at:].strip("*") == ""


def folded_name(name: str) -> str:
    """Return a PN folded, without blanks around components or trailing delimiters; `=` still divides the groups."""
    return "=".join(map(_tidy, fold(name).split("="))).rstrip("=")


def name_forms(key: str) -> tuple[str, ...]:
    """Return the folded forms of a PN key: as sent, and `SMITH JOHN` or `SMITH,JOHN` also as `SMITH^JOHN`.

    A comma divides by itself too, since families and given names may be of several words: `VAN DYCK, JAN`.
    """
    literal = folded_name(key)
    if "^" in literal or "=" in literal:
        return _open_ended(literal)
    divided = (_tidy(separators.sub("^", literal)) for separators in (_SEPARATORS, _COMMAS))
    forms = (form for each in (literal, *divided) for form in _open_ended(each))
    return tuple(dict.fromkeys(forms))


def _open_ended(form: str) -> tuple[str, ...]:
    """Return the forms of one that ends with components or groups of `*`: what a name lacks there is empty.

    `SMITH*^*^*` finds `Smith^John`, whose delimiters behind the last component are not written (PS3.5 6.2.1).
    """
    groups = [_OPEN_COMPONENTS.sub("", group) for group in form.split("=")]
    bare = _OPEN_GROUPS.sub("", "=".join(groups))
    if bare == form:
        return (form,)
    # Where the component before them ends with `*`, that one takes all that follows; without any, see `_group_matches`.
    is_open = all(group.endswith("*") or not has_wildcard(group) for group in groups)
    return (bare,) if is_open else (form, bare)


def name_matches(form: str, folded: str) -> bool:
    """Match a folded key against a folded PN: the whole value, or any of its component groups.

    A key of several groups is compared group by group, empty ones universal.
    """
    groups = folded.split("=")
    if "=" not in form:
        return any(_group_matches(form, group) for group in groups if group)
    wanted = form.split("=")
    return len(wanted) <= len(groups) and all(
        not w or _group_matches(w, g) for w, g in zip(wanted, groups, strict=False)
    )


def _group_matches(form: str, group: str) -> bool:
    if has_wildcard(form):
        return matches(form, group)
    # Consoles type a bare family name: components that are missing at the end are universal.
    return group == form or group.startswith(form + "^")


def _tidy(group: str) -> str:
    return "^".join(part.strip() for part in group.split("^")).rstrip("^")
