"""What several segments or codes say together: notes, allergies, weight and size, ambulatory status."""

from collections.abc import Iterator, Mapping

from broker.orders import values
from broker.orders.mapping import Rule, Source
from broker.orders.messages.reading import NULL, Reader
from hl7.message import Segment

_PREGNANT = "B6"  # of PV1-15 (table 0009)
_DEFINITELY_PREGNANT = "3"  # PregnancyStatus 0004: (0010,21C0)
_KILOGRAMS = {"KG": 1.0, "G": 0.001, "LB": 0.45359237, "LBS": 0.45359237, "[LB_AV]": 0.45359237, "OZ": 0.0283495}
_METRES = {"M": 1.0, "CM": 0.01, "MM": 0.001, "IN": 0.0254, "[IN_I]": 0.0254}
_PLAUSIBLE_WEIGHT = (0.2, 500.0)  # kg
_PLAUSIBLE_SIZE = (0.2, 2.6)  # m


def notes(reader: Reader, _: Rule, __: Segment, source: Source) -> str:
    """Return the texts of all the segments and repetitions, each on a line of its own; null only where all are."""
    segments = reader.all.get(source.segment, ())
    found = [text for segment in segments for text in _repetitions(segment, source)]
    texts = [text for text in found if text.strip() != NULL]
    return values.lines(texts) if any(texts) or len(texts) == len(found) else NULL


def _repetitions(segment: Segment, source: Source) -> Iterator[str]:
    for number in range(1, segment.repetitions(source.field) + 1):
        yield segment.get(source.field, source.component, source.subcomponent, number)


def allergies(reader: Reader, _: Rule, __: Segment, source: Source) -> str:
    """Return each AL1's text, else its code, with the severity in parentheses; null only where all are."""
    segments = reader.all.get(source.segment, ())
    found = [_allergy(segment, source) for segment in segments]
    shown = values.several(text for text in found if text != NULL)
    return shown or (NULL if NULL in found else "")


def _allergy(segment: Segment, source: Source) -> str:
    text = segment.get(source.field, 2).strip() or segment.get(source.field).strip()
    severity = segment.get(4).strip()
    if not text or text == NULL:
        return text
    return values.line(f"{text} ({severity})" if severity and severity != NULL else text, values.LO)


def pregnancy(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return the status of a pregnancy that the ambulatory status states; nothing else is known of it."""
    return _DEFINITELY_PREGNANT if _PREGNANT in _ambulatory(segment, source) else ""


def special_needs(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return the other codes of the ambulatory status."""
    codes = (code for code in _ambulatory(segment, source) if code not in (_PREGNANT, NULL, ""))
    return values.line(" ".join(dict.fromkeys(codes)), values.LO)


def _ambulatory(segment: Segment, source: Source) -> list[str]:
    count = segment.repetitions(source.field)
    return [segment.get(source.field, repetition=number).strip() for number in range(1, count + 1)]


def kilograms(reader: Reader, rule: Rule, _: Segment, source: Source) -> str:
    """Return the first plausible weight, converted to kilograms."""
    return _measured(reader, rule, source, _KILOGRAMS, _PLAUSIBLE_WEIGHT)


def metres(reader: Reader, rule: Rule, _: Segment, source: Source) -> str:
    """Return the first plausible size, converted to metres."""
    return _measured(reader, rule, source, _METRES, _PLAUSIBLE_SIZE)


def _measured(
    reader: Reader, rule: Rule, source: Source, units: Mapping[str, float], plausible: tuple[float, float]
) -> str:
    for segment in reader.all.get(source.segment, ()):
        called = {segment.get(3, component).strip().upper() for component in (1, 2, 4, 5)}
        number, factor = values.number(segment.get(source.field)), units.get(segment.get(6).strip().upper())
        if called & rule.called and number is not None and factor is not None:
            measured = number * factor
            if plausible[0] <= measured <= plausible[1]:
                return values.decimal(measured)
    return ""
