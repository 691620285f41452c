"""Every kind of message that a RIS sends: what came before it, what it is answered, and what shows when it has come.

For kills in the midst of it (F03): each kind has orders and patients of its own, and changes what can be looked at,
or nothing.
"""

from dataclasses import dataclass

from tests.torture.hl7_messages import Fields, adt, encoded, header, obr, orc, order, pid, segment

_LATER = {7: "20260201090000+0100"}
_TQ1 = "TQ1|1||||||20260201093000||R"
Shown = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Kind:
    """One message: `shown` are the accession numbers and patients on the worklist once it has had its effect."""

    message: bytes
    shown: Shown
    history: tuple[bytes, ...] = ()
    answer: str = "AA"
    changes: bool = True  # an order, a patient or the worklist


def _shown(*names: str, patient: str = "") -> Shown:
    return frozenset((f"A{name}", f"H{patient or name}") for name in names)


def _said(control: str, status: str = "", *, of_obr: Fields | None = None) -> bytes:
    """Return what is said later of order 1."""
    return order("1", control="LATER", msh=_LATER, of_orc={1: control, 5: status}, of_obr=of_obr)


def _both(first: str, second: str) -> bytes:
    """Return a message of two orders of patient 1: of the one that is known, and of order 2."""
    numbers = {8: "P1^^^&F1"} if second == "CH" else {}
    groups = (orc("1", {1: first}), obr("1"), orc("2", {1: second, **numbers}), obr("2"))
    return encoded(header("ORM^O01", "LATER", _LATER), pid("1"), *groups)


def _steps(control: str, *steps: str, message: str = "LATER") -> bytes:
    """Return an OMI of order 1 with these steps."""
    of_steps = [f"IPC|A1|R1|1.2.3.11.1|{step}|US|US{step}^{step}^L" for step in steps]
    lines = (
        pid("1"),
        orc("1", {1: control, 7: ""}),
        _TQ1,
        segment("OBR", {1: "1", 2: "P1", 3: "F1", 4: "US1^Abdomen^L"}),
    )
    return encoded(header("OMI^O23^OMI_O23", message, _LATER), *lines, *of_steps)


def _appointment(event: str, at: str = "20260201113000") -> bytes:
    sch = segment("SCH", {1: "P1", 2: "F1", 26: "P1", 27: "F1"})
    return encoded(header(f"SIU^{event}", "LATER", _LATER), sch, pid("1"), "RGS|1", f"AIS|1|A|US1|{at}")


_NEW = order("1")
_KNOWN = (_NEW, order("2"))
_STAYS = _shown("1", "2")
_OMG = encoded(header("OMG^O19^OMG_O19", "LATER"), pid("1"), orc("1", {7: ""}), _TQ1, obr("1"))
_HELD = order("1", control="HELD", msh={7: "20260201083000+0100"}, of_orc={1: "HD"})
_TWO_STEPS = _steps("NW", "S1", "S2", message="C")
_MOVED = order("1", control="LATER", msh=_LATER, of_orc={1: "XO", 7: "^^^20260202093000^^R"})
_OTHER_STUDY = {4: "US2^Kidney^L"}

KINDS: dict[str, Kind] = {
    "a new order": Kind(_NEW, _shown("1")),
    "a new order beside another": Kind(order("2"), _STAYS, (_NEW,)),
    "a general order": Kind(_OMG, _shown("1")),
    "an imaging order of three steps": Kind(_steps("NW", "S1", "S2", "S3"), _shown("1")),
    "two orders at once": Kind(encoded(header("ORM^O01", "TWO"), pid("1"), orc("1"), obr("1"), orc("2"), obr("2")),
                               _shown("1", "2", patient="1")),
    "a change of what is done": Kind(_said("XO", of_obr=_OTHER_STUDY), _STAYS, _KNOWN),
    "a change of when": Kind(_MOVED, _STAYS, _KNOWN),
    "a change of an order's steps": Kind(_steps("XO", "S1", "S4"), _shown("1"), (_TWO_STEPS,)),
    "a cancel": Kind(_said("CA"), _shown("2"), _KNOWN),
    "a cancel of all steps": Kind(_steps("CA", "S1", "S2"), frozenset(), (_TWO_STEPS,)),
    "a cancel of what is not known": Kind(_said("CA"), frozenset()),
    "a discontinuation": Kind(_said("DC"), _shown("2"), _KNOWN),
    "a replacement": Kind(_both("RP", "RO"), _shown("2", patient="1"), (_NEW,)),
    "a hold": Kind(_said("HD"), _shown("2"), _KNOWN),
    "a release": Kind(_said("RL"), _STAYS, (*_KNOWN, _HELD)),
    "a parent and its child": Kind(_both("PA", "CH"), _shown("2", patient="1"), (_NEW,)),
    "a start": Kind(_said("SC", "IP"), _STAYS, _KNOWN),
    "a completion": Kind(_said("SC", "CM"), _shown("2"), _KNOWN),
    "an order that was cancelled, anew": Kind(order("1", control="ANEW", msh={7: "20260201100000+0100"}), _STAYS,
                                              (*_KNOWN, _said("CA"))),
    "an appointment moved": Kind(_appointment("S13"), _STAYS, _KNOWN),
    "an appointment cancelled": Kind(_appointment("S15"), _shown("2"), _KNOWN),
    "a patient's new name": Kind(adt("A08", "1", control="LATER", of_pid={5: "Roe^Jane"}), _STAYS, _KNOWN),
    "a merge": Kind(adt("A40", "2", control="LATER", merged="H1^^^HOSP"), _shown("1", "2", patient="2"), _KNOWN),
    "a patient's new identifier": Kind(adt("A47", "3", control="LATER", merged="H1^^^HOSP"),
                                       _shown("1", patient="3") | _shown("2"), _KNOWN),
    "the same once more": Kind(_NEW, _STAYS, _KNOWN, changes=False),
    "an order of a sender that wants word of its receipt": Kind(order("1", msh={15: "AL", 16: "NE"}), _shown("1"),
                                                                answer="CA"),
    "an order without a modality": Kind(order("2", of_obr={24: ""}), _shown("1"), (_NEW,), "AE", changes=False),
    "an order for another processing": Kind(order("2", msh={11: "X"}), _shown("1"), (_NEW,), "AR", changes=False),
    "a message of an event that nobody knows": Kind(adt("A99", "2", control="LATER"), _shown("1"), (_NEW,), "AR",
                                                    changes=False),
}  # fmt: skip
