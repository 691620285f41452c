"""Random histories of orders, as chains whose own order matters, and interleavings of them. Runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from hypothesis import strategies as st

from tests.torture.hl7_messages import encoded, header, obr, orc, pid

# What may follow what for one order; a cancel may be followed by a new order of the same numbers.
FOLLOWING = {
    "NW": ("XO", "XO", "HD", "CA", "CA2", "RP", "IP", "NW"),
    "XO": ("XO", "HD", "CA", "CA2", "IP"),
    "HD": ("RL", "CA", "XO"),
    "RL": ("XO", "HD", "CA"),
    "CA": ("NW",),
    "CA2": ("XO", "CA"),
    "RP": (),
    "IP": ("CM", "XO"),
    "CM": (),
}
LONGEST = 5


@dataclass(frozen=True)
class History:
    """Messages of several chains in the order in which they were sent: (chain, message)."""

    events: tuple[tuple[int, bytes], ...]

    @property
    def sent(self) -> list[bytes]:
        return [message for _, message in self.events]

    def delivered(self, choices: Sequence[int]) -> list[bytes]:
        """Return the messages in another order, in which each chain keeps its own."""
        waiting: dict[int, list[bytes]] = {}
        for chain, message in self.events:
            waiting.setdefault(chain, []).append(message)
        found = []
        for choice in (*choices, *[0] * len(self.events)):
            if not waiting:
                break
            chain = sorted(waiting)[choice % len(waiting)]
            found.append(waiting[chain].pop(0))
            if not waiting[chain]:
                del waiting[chain]
        return found


class Kind(Enum):
    """What happens beside orders: one of these, since the later ones would show when the earlier ones came."""

    NAMES = auto()  # a patient's name changes: the newest statement is what counts
    MERGE = auto()  # two patients turn out to be one
    BEGINS = auto()  # exams begin: what a modality took stays as it is


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw two to four orders of two patients, and what happens beside them."""
    kind = draw(st.sampled_from(Kind))
    whole = [_controls(draw, begins=kind is Kind.BEGINS) for _ in range(draw(st.integers(2, 4)))]
    if kind is Kind.NAMES:
        whole.append(["A08"] * draw(st.integers(1, 2)))
    elif kind is Kind.MERGE:
        whole.append(["A40"])
    turns = draw(st.permutations([number for number, chain in enumerate(whole) for _ in chain]))
    left = [list(chain) for chain in whole]
    events = []
    for at, chain in enumerate(turns):
        name = f"Doe{at}^Jane" if kind is Kind.NAMES else "Doe^Jane"
        said = _Said(left[chain].pop(0), str(chain), at, draw(st.integers(9, 16)), name)
        events.append((chain, _message(said)))
    return History(tuple(events))


@dataclass(frozen=True)
class _Said:
    event: str
    number: str  # of the order
    at: int  # how many messages were sent before it
    hour: int  # of the start that it states
    name: str


def _controls(draw: st.DrawFn, *, begins: bool) -> list[str]:
    chain = ["NW"]
    while len(chain) < LONGEST:
        following = [one for one in FOLLOWING[chain[-1]] if begins or one != "IP"]
        if not following or not draw(st.booleans()):
            break
        chain.append(draw(st.sampled_from(following)))
    return chain


def _message(said: _Said) -> bytes:
    moment = f"202602010800{said.at:02d}+0100"
    kind = f"ADT^{said.event}" if said.event in ("A08", "A40") else "ORM^O01"
    head = header(kind, f"C{said.at}", {7: moment, 11: "P"})
    match said.event:
        case "A08":
            return encoded(head, f"EVN|A08|{moment}", pid("0", {5: said.name}), "PV1|1")
        case "A40":
            return encoded(head, f"EVN|A40|{moment}", pid("1", {5: said.name}), "MRG|H0^^^HOSP^MR")
    return encoded(head, pid(str(int(said.number) % 2), {5: said.name}), *_groups(said))


def _groups(said: _Said) -> list[str]:
    number, start = said.number, {7: f"^^^20260203{said.hour:02d}0000^^R"}
    first, second = obr(number), obr(number, {20: "S2"})
    match said.event:
        case "NW":
            return [orc(number, start), first, orc(number, start), second]
        case "XO":
            return [orc(number, {1: "XO", **start}), first]
        case "CA2":
            return [orc(number, {1: "CA", 7: ""}), second]
        case "RP":
            newer = f"{number}N{said.at}"
            return [orc(number, {1: "RP", 7: ""}), orc(newer, {1: "RO", **start}), obr(newer)]
        case "IP" | "CM":
            return [orc(number, {1: "SC", 5: said.event, 7: ""}), first]
    return [orc(number, {1: said.event, 7: ""})]
