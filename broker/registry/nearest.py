"""Which registered AE title an unknown caller probably meant, and why. Pure: words for a person, no decision."""

from collections.abc import Iterator
from dataclasses import dataclass

from broker.registry.model import Modality, Registry

# Two wrong letters are a slip in a long title, but another device's title in a short one.
_LONG_TITLE = 8


@dataclass(frozen=True, slots=True)
class Nearest:
    """The registered title (empty: none is near) and the reason in words."""

    title: str
    why: str


def advice(calling: str, address: str, registry: Registry) -> Nearest:
    """Return what a caller at `address` that names itself `calling` was probably meant to be."""
    # Spelling first, then the address; one letter tells US_1 from US_2 and is the weakest sign.
    candidates = [
        *_spelled_alike(calling, registry),
        *_at_the_address(calling, address, registry),
        *_letters_apart(calling, registry),
    ]
    if candidates:
        return candidates[0]
    if not registry.modalities:
        return Nearest("", "no modality is registered in this environment")
    return Nearest("", f'no registered title is near "{calling}"')


def _spelled_alike(calling: str, registry: Registry) -> Iterator[Nearest]:
    if not _letters(calling):
        return
    for device, title in _titles(registry):
        if _letters(calling) == _letters(title):
            yield _differs(calling, title, device, f"in {_kinds_of_difference(calling, title)}")


def _at_the_address(calling: str, address: str, registry: Registry) -> Iterator[Nearest]:
    for device, title in _titles(registry):
        if address and device.binding.host == address:
            yield Nearest(title, f'"{calling}" comes from {address}, which is bound to "{title}" ({device.name})')


def _letters_apart(calling: str, registry: Registry) -> Iterator[Nearest]:
    apart = [(distance(calling.upper(), title.upper()), device, title) for device, title in _titles(registry)]
    for count, device, title in sorted(apart, key=lambda found: found[0]):
        if count == 1:
            yield _differs(calling, title, device, "by one letter")
        elif count == 2 and len(title) >= _LONG_TITLE:
            yield _differs(calling, title, device, "by two letters")


def _titles(registry: Registry) -> Iterator[tuple[Modality, str]]:
    return ((device, str(title)) for device in registry.modalities for title in device.ae_titles)


def _differs(calling: str, title: str, device: Modality, how: str) -> Nearest:
    return Nearest(title, f'"{calling}" differs from the registered title "{title}" ({device.name}) {how}')


def _letters(text: str) -> str:
    return "".join(character for character in text.upper() if character.isalnum())


def _signs(text: str) -> str:
    return "".join(character for character in text if not character.isalnum() and character != " ")


def _kinds_of_difference(calling: str, title: str) -> str:
    as_written = [[c for c in text if c.isalnum()] for text in (calling, title)]
    kinds = {
        "upper and lower case": as_written[0] != as_written[1],
        "blanks": calling.count(" ") != title.count(" "),
        "punctuation": _signs(calling) != _signs(title),
    }
    # The same characters in other places: "US_1A" and "US1_A".
    return " and ".join(kind for kind, differs in kinds.items() if differs) or "the place of blanks or punctuation"


def distance(one: str, other: str) -> int:
    """Return how many letters were added, left out, mistaken or swapped with their neighbour (restricted Damerau)."""
    before, row = list[int](), list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before, above, row = row, before, [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
