"""The requested procedure and the scheduled step of one ORC/OBR group. Knows no other group of the message."""

from collections.abc import Iterable

from broker.orders import values
from broker.orders.mapping import Mapping, sources
from broker.orders.messages.fields import NULL, Attributes, Fields, pn
from broker.orders.messages.patient import comments, comments_are_null
from broker.orders.model import Code, Refusal
from hl7.datatypes import cnn
from hl7.message import Segment

_PERFORMER = sources("OBR-34")
_LOCAL_SCHEME = "L"
_WEIGHT = frozenset({"29463-7", "3141-9", "BODY WEIGHT", "WEIGHT", "PATIENT WEIGHT"})
_HEIGHT = frozenset({"8302-2", "3137-7", "BODY HEIGHT", "HEIGHT", "PATIENT HEIGHT"})
_KILOGRAMS = {"KG": 1.0, "G": 0.001, "LB": 0.45359237, "LBS": 0.45359237, "[LB_AV]": 0.45359237, "OZ": 0.0283495}
_METRES = {"M": 1.0, "CM": 0.01, "MM": 0.001, "IN": 0.0254, "[IN_I]": 0.0254}
_PLAUSIBLE_WEIGHT = (0.2, 500.0)  # kg
_PLAUSIBLE_SIZE = (0.2, 2.6)  # m


def modality_of(fields: Fields, mapping: Mapping) -> str:
    """Return the modality's defined term, or empty where none is stated. Raises Refusal AE 103 for no code string."""
    text = fields.text(mapping.modality).upper()
    modality = values.code_string(mapping.modality_codes.get(text, text))
    if text and not modality:
        raise Refusal("AE", fields.place(mapping.modality), "103", "Modality is no code string")
    return modality


def stations_of(fields: Fields, mapping: Mapping) -> tuple[str, ...]:
    """Return the station that is stated, where it is an AE title."""
    title = values.ae_title(fields.text(mapping.station_ae_title))
    return (title,) if title else ()


def performer_of(fields: Fields) -> str:
    """Return OBR-34's name, a CNN in subcomponents."""
    obr = fields.group.obr
    return pn(cnn(obr.subcomponents(34))) if obr else ""


def requested_code(obr: Segment) -> Code | None:
    """Return what is requested: OBR-44, else OBR-4."""
    return _code(obr, 44, 1) if obr.get(44).strip() not in ("", NULL) else _code(obr, 4, 1)


def requested_description(obr: Segment) -> str:
    """Return its text: OBR-44.2, else OBR-4.2, else OBR-4.1, where some senders put the text."""
    return _first_text(obr, (44, 2), (4, 2), (4, 1))


def step_description(obr: Segment) -> str:
    """Return the step's text: OBR-4.5, else OBR-4.2; the side of OBR-15.5 follows, a code would hide it."""
    text = _first_text(obr, (4, 5), (4, 2), (4, 1))
    side = obr.get(15, 5, 2).strip() or obr.get(15, 5).strip()
    shown = f"{text} ({side})" if text and side and side != NULL else text
    return values.line(shown, values.LO)


def protocol_code(obr: Segment) -> Code | None:
    """Return the protocol: OBR-4.4 to 4.6, else OBR-4.1 to 4.3."""
    return _code(obr, 4, 4) or _code(obr, 4, 1)


def attributes_of(fields: Fields, mapping: Mapping) -> Attributes:
    """Return the further attributes of the order."""
    ruled = fields.attributes(mapping.order_rules)
    group = fields.group
    stated = {
        **ruled.stated,
        "RequestedProcedurePriority": priority_of(fields, mapping),
        "RequestedProcedureComments": comments(group.notes),
        "PatientWeight": _measured(group.observations, _WEIGHT, _KILOGRAMS, _PLAUSIBLE_WEIGHT),
        "PatientSize": _measured(group.observations, _HEIGHT, _METRES, _PLAUSIBLE_SIZE),
    }
    nulls = {"RequestedProcedureComments"} if comments_are_null(group.notes) else set()
    nulls |= {"RequestedProcedurePriority"} if fields.is_null(mapping.priority) else set()
    return Attributes({key: value for key, value in stated.items() if value}, ruled.cleared | nulls)


def priority_of(fields: Fields, mapping: Mapping) -> str:
    """Return the priority's defined term, or empty for a code that has none."""
    return mapping.priorities.get(fields.text(mapping.priority).upper()[:1], "")


def performer_is_null(fields: Fields) -> bool:
    """Tell whether the performing physician was sent as null."""
    return fields.is_null(_PERFORMER)


def _first_text(obr: Segment, *places: tuple[int, int]) -> str:
    texts = (obr.get(number, component).strip() for number, component in places)
    return values.line(next((text for text in texts if text and text != NULL), ""), values.LO)


def _code(obr: Segment, number: int, component: int) -> Code | None:
    """Return three components as a code, or None where its value or scheme is missing or too long for one."""
    value, text, scheme = (obr.get(number, component + offset).strip() for offset in range(3))
    scheme = scheme or _LOCAL_SCHEME
    if value in ("", NULL) or not values.fits(value) or not values.fits(scheme):
        return None
    return Code(value, scheme, values.line(text or value, values.LO))


def _measured(
    observations: Iterable[Segment], names: frozenset[str], units: dict[str, float], plausible: tuple[float, float]
) -> str:
    """Return the first plausible measurement of these names in the attribute's unit, as DS; empty for none."""
    for obx in observations:
        called = {obx.get(3, component).strip().upper() for component in (1, 2)}
        number, factor = values.number(obx.get(5)), units.get(obx.get(6).strip().upper())
        if called & names and number is not None and factor is not None:
            measured = number * factor
            if plausible[0] <= measured <= plausible[1]:
                return values.decimal(measured)
    return ""
