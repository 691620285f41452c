"""What a field's text becomes in an attribute: one small function for each form of a mapping. Knows no attribute."""

from collections.abc import Iterator

from broker.orders import values
from broker.orders.mapping import Form, Rule, Source
from broker.orders.messages.codes import code, codes, issuer, issuer_in_subcomponents
from broker.orders.messages.measures import allergies, kilograms, metres, notes, pregnancy, special_needs
from broker.orders.messages.people import (
    name,
    name_in_subcomponents,
    names,
    other_identifier_items,
    other_identifiers,
    patient_id,
    patient_issuer,
    patient_issuer_qualifiers,
    patient_name,
)
from broker.orders.messages.reading import NULL, Reader, Shape, leaf
from broker.orders.messages.times import plain
from broker.orders.model import Refusal
from hl7.datatypes import timestamp
from hl7.errors import Hl7Error
from hl7.message import Segment


def _short(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    return _line(reader, rule, segment, source, values.SH)


def _long(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    return _line(reader, rule, segment, source, values.LO)


def _line(reader: Reader, rule: Rule, segment: Segment, source: Source, limit: int) -> str:
    text = leaf(segment, source)
    if not text or text == NULL:
        return text
    aside = _aside(reader, rule) if rule.beside else ""
    return values.line(f"{text} ({aside})" if aside else text, limit)


def _aside(reader: Reader, rule: Rule) -> str:
    for source in rule.beside:
        segments = reader.all.get(source.segment)
        text = leaf(segments[0], source) if segments else ""
        if text and text != NULL:
            return text
    return ""


def _text(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL else values.lines([text])


def _coded_texts(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    return values.several(values.line(text, values.LO) for text in _each_text(segment, source))


def _each_text(segment: Segment, source: Source) -> Iterator[str]:
    for number in range(1, segment.repetitions(source.field) + 1):
        parts = [segment.get(source.field, source.component + more, 1, number).strip() for more in (1, 0)]
        yield next((part for part in parts if part and part != NULL), "")


def _phone(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an XTN: the number as written, else the unformatted one (.12), else its parts."""
    text = leaf(segment, source)
    if text:
        return text if text == NULL else values.line(text, values.SH)
    parts = [part.strip() for part in segment.components(source.field)]
    whole = parts[11] if len(parts) > 11 and parts[11] else " ".join(filter(None, parts[4:8]))
    return values.line(whole, values.SH)


def _short_identifier(_: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    return _identifier(rule, segment, source, values.SH)


def _long_identifier(_: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    return _identifier(rule, segment, source, values.LO)


def _identifier(rule: Rule, segment: Segment, source: Source, limit: int) -> str:
    text = leaf(segment, source)
    if text == NULL or values.fits(text, limit):
        return text
    return values.identifier(text, limit, segment.location(source.field), rule.keyword)


def _uid(_: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL else values.uid(text, segment.location(source.field), rule.keyword)


def _code_string(_: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL else values.code_string((rule.table or {}).get(text.upper(), text))


def _modality(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    value = _code_string(reader, rule, segment, source)
    if not value and leaf(segment, source):
        raise Refusal("AE", segment.location(source.field), "103", f"{rule.keyword} is no code string")
    return value


def _meaning(_: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    """Return what the table says of the whole code, else of its first letter."""
    text = leaf(segment, source).upper()
    table = rule.table or {}
    return text if text == NULL else table.get(text) or table.get(text[:1], "")


def _decimal(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    number = values.number(text)
    return NULL if text == NULL else "" if number is None else values.decimal(number)


def _whole_number(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL or (text.isascii() and text.isdigit() and int(text) < 65536) else ""


def _date(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL else reader.civil_or_none(text).date


def _time(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL else reader.civil_or_none(text).time


def _start_date(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    if not text or text == NULL:
        return text
    try:
        found = reader.civil(text)
    except Hl7Error as error:
        raise error.at(segment.location(source.field)) from error
    if not found.date and text.strip("0"):
        raise Hl7Error("102", segment.location(source.field), "a date without a day cannot be scheduled")
    if found.date:
        reader.start = source.origin
    return found.date


def _start_time(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    if reader.start is None or reader.start.source != source.origin.source:
        return ""
    return reader.civil_or_none(leaf(segment, source)).time


def _birth_date(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    # Never moved by a zone; one that is no date is no reason to refuse the order, since the type is 2.
    text = leaf(segment, source)
    if plain(text):
        return text[:8]
    try:
        return text if text == NULL else timestamp(text).date
    except Hl7Error:
        return ""


def _sex(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    text = leaf(segment, source)
    return text if text == NULL else values.patient_sex(text)


def _place(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    return _joined(segment, source, 3)


def _address(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    return _joined(segment, source, 6)


def _joined(segment: Segment, source: Source, most: int) -> str:
    """Return the first components as one text; a place may be valued in a later one only."""
    parts = [part.strip() for part in segment.components(source.field, source.repetition)[:most]]
    shown = " ".join(part for part in parts if part and part != NULL)
    return values.line(shown, values.LO) if shown else NULL if NULL in parts else ""


def _ae_titles(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return the repetitions that are titles; a title is never cut."""
    count = segment.repetitions(source.field)
    texts = (segment.get(source.field, source.component, source.subcomponent, n).strip() for n in range(1, count + 1))
    return values.several(values.ae_title(text) for text in texts if text != NULL)


FORMS: dict[Form, Shape] = {
    Form.SHORT: _short,
    Form.LONG: _long,
    Form.TEXT: _text,
    Form.CODED_TEXTS: _coded_texts,
    Form.PHONE: _phone,
    Form.SHORT_IDENTIFIER: _short_identifier,
    Form.LONG_IDENTIFIER: _long_identifier,
    Form.UID: _uid,
    Form.CODE_STRING: _code_string,
    Form.MODALITY: _modality,
    Form.MEANING: _meaning,
    Form.DECIMAL: _decimal,
    Form.WHOLE_NUMBER: _whole_number,
    Form.DATE: _date,
    Form.TIME: _time,
    Form.START_DATE: _start_date,
    Form.START_TIME: _start_time,
    Form.BIRTH_DATE: _birth_date,
    Form.SEX: _sex,
    Form.PATIENT_NAME: patient_name,
    Form.NAME: name,
    Form.NAMES: names,
    Form.NAME_IN_SUBCOMPONENTS: name_in_subcomponents,
    Form.PLACE: _place,
    Form.ADDRESS: _address,
    Form.PATIENT_ID: patient_id,
    Form.PATIENT_ISSUER: patient_issuer,
    Form.PATIENT_ISSUER_QUALIFIERS: patient_issuer_qualifiers,
    Form.OTHER_IDENTIFIERS: other_identifiers,
    Form.OTHER_IDENTIFIER_ITEMS: other_identifier_items,
    Form.CODE: code,
    Form.CODES: codes,
    Form.ISSUER: issuer,
    Form.ISSUER_IN_SUBCOMPONENTS: issuer_in_subcomponents,
    Form.AE_TITLES: _ae_titles,
    Form.NOTES: notes,
    Form.ALLERGIES: allergies,
    Form.PREGNANCY: pregnancy,
    Form.SPECIAL_NEEDS: special_needs,
    Form.KILOGRAMS: kilograms,
    Form.METRES: metres,
}
"""Every form has its function; a new one is a line here and a word in `broker.orders.mapping.Form`."""
