"""Classes H10 to H12: order controls in every state, segments out of place, merges; how each is answered."""

import itertools
from collections.abc import Callable, Iterator, Sequence

from tests.torture.hl7_exchange import EITHER, REFUSED, TAKEN, Case
from tests.torture.hl7_messages import adt, encoded, header, obr, orc, order, pid, segment

# --- H10: order control x state ----------------------------------------------------------------------------------

STATES = ("unknown", "scheduled", "arrived", "held", "started", "completed", "canceled")
_A, _E = "AA", "AE 204"
# What an order control gets in each state, in their order: what has begun is not canceled by CA but ended by DC.
CONTROLS = {
    **dict.fromkeys(("NW", "SN", "RO", "CH"), (_A,) * 7),
    # What is canceled is ordered anew, not changed, held or released.
    **dict.fromkeys(("XO", "XX", "XR", "HD", "OH", "HR"), (*(_A,) * 6, "AE 205")),
    **dict.fromkeys(("RL", "OE", "OR"), (_E, *(_A,) * 5, "AE 205")),
    **dict.fromkeys(("CA", "OC", "CR"), (_A, _A, _A, _A, _E, _E, _A)),
    **dict.fromkeys(("DC", "OD", "DR", "RP", "RU", "RQ"), (_A,) * 7),
    **dict.fromkeys(("PA", "SC"), (_A,) * 7),
    "UA": (_A, _A, _A, _A, _E, _E, _A),
}


def controls() -> Iterator[Case]:
    """H10: every order control in every state."""
    for control, answers in CONTROLS.items():
        for state, answer in zip(STATES, answers, strict=True):
            number = f"10{control}{state[:3].upper()}"
            history = _history(number, state)
            sent = _said(number, control, at=5)
            allowed = (*(TAKEN,) * len(history), frozenset({answer}))
            yield Case(f"{control} of what is {state}", (*history, sent), allowed)


def _said(number: str, control: str, status: str = "", *, at: int) -> bytes:
    sent = {7: f"2026020108{at:02d}00+0100"}
    return order(number, control=f"C{number}{at}", msh=sent, of_orc={1: control, 5: status})


def _history(number: str, state: str) -> tuple[bytes, ...]:
    new = _said(number, "NW", at=1)
    then = {
        "unknown": (),
        "scheduled": (new,),
        "arrived": (new, _arrival(number)),
        "held": (new, _said(number, "HD", at=2)),
        "started": (new, _said(number, "SC", "IP", at=2)),
        "completed": (new, _said(number, "SC", "CM", at=2)),
        "canceled": (new, _said(number, "CA", at=2)),
    }
    return then[state]


def _arrival(number: str) -> bytes:
    return adt("A10", number, control=f"C{number}A")


# --- H11: segments -----------------------------------------------------------------------------------------------


def _kinds(n: str) -> dict[str, tuple[str, ...]]:
    ipc = f"IPC|A{n}|R{n}|1.2.3.11.{n}|S1|US"
    tq1 = "TQ1|1||||||20260201093000||R"
    sch = segment("SCH", {1: f"P{n}", 2: f"F{n}", 26: f"P{n}", 27: f"F{n}"})
    of_adt = ("EVN|A08|20260201080000", pid(n), "PV1|1|O")
    of_merge = ("EVN|A40|20260201080000", pid(f"{n}N"), f"MRG|H{n}O^^^HOSP")
    return {
        "ORM^O01": (pid(n), orc(n), obr(n)),
        "OMG^O19": (pid(n), orc(n), tq1, obr(n)),
        "OMI^O23": (pid(n), orc(n), tq1, obr(n), ipc),
        "SIU^S13": (sch, pid(n), "RGS|1", "AIS|1|A|US1|20260201093000"),
        **dict.fromkeys(("ADT^A08", "ADT^A24", "ADT^A23"), of_adt),
        **dict.fromkeys(("ADT^A40", "ADT^A18", "ADT^A34", "ADT^A47"), of_merge),
    }


# What a message is answered that lacks a segment: everything else in it does without.
LACKING = {
    **{(kind, "PID"): "AE 101 PID^1^3" for kind in ("ORM^O01", "OMG^O19", "OMI^O23")},
    **{(kind, "ORC"): "AE 101 ORC^1^1" for kind in ("ORM^O01", "OMG^O19", "OMI^O23")},
    **{(kind, "OBR"): "AE 101" for kind in ("ORM^O01", "OMG^O19")},
    **{(kind, "PID"): "AE 100 PID^1" for kind in ("ADT^A08", "ADT^A23", "ADT^A24", "SIU^S13")},
    **{(kind, "PID"): "AE 100 PID^1" for kind in ("ADT^A40", "ADT^A18", "ADT^A34", "ADT^A47")},
    **{(kind, "MRG"): "AE 100 MRG^1" for kind in ("ADT^A40", "ADT^A18", "ADT^A34", "ADT^A47")},
    ("SIU^S13", "SCH"): "AE 100 SCH^1",
    ("ADT^A24", "PID"): "AA",  # links change nothing
}


def segments() -> Iterator[Case]:
    """H11: each required segment missing, doubled, out of order; unknown and Z segments anywhere."""
    numbers = (str(number) for number in itertools.count(1101))
    for kind, usual in _kinds("11").items():
        for at, line in enumerate(usual):
            for what, change in _changes(usual, at):
                number = next(numbers)
                whole = change(list(_kinds(number)[kind]))
                missing = LACKING.get((kind, line[:3]), "AA") if what == "missing" else ""
                answers = (missing,) if missing else ("AA",) if what.startswith("behind") else ("AA", "AE")
                yield _of(kind, f"{line[:3]} {what}", number, whole, answers)


_Change = Callable[[list[str]], list[str]]


def _changes(usual: Sequence[str], at: int) -> Iterator[tuple[str, _Change]]:
    yield "missing", lambda whole: whole[:at] + whole[at + 1 :]
    yield "twice", lambda whole: whole[: at + 1] + whole[at:]
    for to in range(len(usual)):
        if to != at:
            yield f"moved to {to}", lambda whole, to=to: _moved(whole, at, to)  # type: ignore[misc]
    for unknown in ("XYZ|1|2", "Z01|a^b", "", "PI", "PID2|x"):
        yield f"behind {unknown!r}", lambda whole, unknown=unknown: [*whole[:at], unknown, *whole[at:]]  # type: ignore[misc]


def _moved(whole: list[str], at: int, to: int) -> list[str]:
    line = whole.pop(at)
    return [*whole[:to], line, *whole[to:]]


def _of(kind: str, what: str, number: str, lines: Sequence[str], answers: tuple[str, ...]) -> Case:
    known = (order(number),) if kind.startswith("SIU") else ()
    sent = encoded(header(kind, f"C{number}K"), *lines)
    return Case(f"{kind} {what}", (*known, sent), (*(TAKEN,) * len(known), frozenset(answers)))


# --- H12: merges -------------------------------------------------------------------------------------------------


def merges() -> Iterator[Case]:
    """H12: chains, cycles, merges into itself, of unknown patients, and before their orders."""
    for event in ("A40", "A18", "A34", "A39", "A47"):
        for length in (2, 3, 10):
            chain = [_merge(event, f"12{event}{length}L{n}", f"12{event}{length}L{n - 1}") for n in range(1, length)]
            name = f"{event} chain of {length}"
            yield Case(name, (order(f"12{event}{length}L0"), *chain), (TAKEN,) * length)
    for event in ("A40", "A18", "A47"):
        number = f"12{event}C"
        cycle = (_merge(event, f"{number}B", f"{number}A"), _merge(event, f"{number}A", f"{number}B", again=True))
        yield Case(f"{event} cycle", cycle, (TAKEN, frozenset({"AE 205"})))
        itself = _merge(event, f"{number}S", f"{number}S")
        yield Case(f"{event} into itself", (itself,), (frozenset({"AE 205"}),))
    for name, merged in {"empty": "", "null": '""', "without an ID": "^^^HOSP", "of blanks": "  "}.items():
        yield Case(f"MRG-1 {name}", (_merged("A40", "12M", merged, f"C12{name}"),), (REFUSED,))
    late = (_merge("A40", "12L2", "12L1"), order("12L1"), order("12L1", control="C12L1X", of_orc={1: "XO"}))
    yield Case("the order comes behind the merge", late, (TAKEN, TAKEN, TAKEN))
    conflicting = order("12K1"), order("12K2", of_pid={7: "19800101"}), _merge("A40", "12K2", "12K1", born="19800101")
    yield Case("birth dates that conflict", conflicting, (TAKEN, TAKEN, frozenset({"AE 204"})))
    yield Case("a merge in two authorities", (_merged("A40", "12W", "H12V^^^CLINIC", "C12W"),), (EITHER,))


def _merge(event: str, surviving: str, old: str, *, born: str = "19700101", again: bool = False) -> bytes:
    return _merged(event, surviving, f"H{old}^^^HOSP", f"C{event}{surviving}{old}{again}", born)


def _merged(event: str, surviving: str, merged: str, control: str, born: str = "19700101") -> bytes:
    lines = [header(f"ADT^{event}", control), f"EVN|{event}|20260201080000", pid(surviving, {7: born})]
    return encoded(*lines, segment("MRG", {1: merged}))
