"""Names and identifiers of persons: XPN, XCN and CNN as PN, CX as patient identifiers. Knows no order."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from broker.orders import values
from broker.orders.mapping import Rule, Source
from broker.orders.messages.codes import designator, sequence
from broker.orders.messages.reading import NULL, Identifier, Reader
from broker.orders.model import Origin
from hl7.datatypes import PersonName, cnn, preferred, xcn, xpn
from hl7.message import Segment

_NAME_PARTS = 7  # of an XCN: identifier, family, given, middle, suffix, prefix, degree
AUTHORITY_RULE = "the authority configured for this sender, since the identifier names none"


def pn(name: PersonName) -> str:
    """Return a name as one group of a PN."""
    return values.person_name(name.family, name.given, name.middle, name.prefix, suffix=name.suffix, degree=name.degree)


@lru_cache(maxsize=4096)  # a hospital's staff
def _physician(components: tuple[str, ...]) -> str:
    return _null_or(components, pn(xcn(components)))


def patient_name(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an XPN as PN: alphabetic, ideographic and phonetic repetitions are its groups (XPN-8)."""
    count = segment.repetitions(source.field)
    repetitions = [segment.components(source.field, number) for number in range(1, count + 1)]
    if count == 1:
        return _null_or(repetitions[0], pn(xpn(repetitions[0])))
    written = {kind: [r for r in repetitions if len(r) > 7 and r[7].strip().upper() == kind] for kind in ("I", "P")}
    alphabetic = [r for r in repetitions if r not in written["I"] and r not in written["P"]]
    best = [alphabetic[preferred(alphabetic)]] if alphabetic else []
    groups = [pn(xpn(found[0])) if found else "" for found in (best, written["I"], written["P"])]
    return "=".join(groups).rstrip("=")


def name(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an XCN as PN; of several the first."""
    components = segment.components(source.field, source.repetition)
    return _physician(components[:_NAME_PARTS])


def names(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return each repetition of an XCN as a PN."""
    count = segment.repetitions(source.field)
    found = (_physician(segment.components(source.field, n)[:_NAME_PARTS]) for n in range(1, count + 1))
    return values.several(name for name in found if name != NULL)


def name_in_subcomponents(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return a CNN as PN: the parts of the name are subcomponents; senders of an XCN are understood too."""
    parts = segment.subcomponents(source.field, source.component, source.repetition)
    components = segment.components(source.field, source.repetition)
    if len(parts) < 2 and len(components) > 1 and any(part.strip() for part in components[1:7]):
        return _physician(components[:_NAME_PARTS])
    return _null_or(parts, pn(cnn(parts)))


def _null_or(parts: tuple[str, ...], shown: str) -> str:
    return shown if shown.strip("=^ ") else NULL if NULL in parts else ""


def patient_id(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    """Return the preferred repetition's identifier."""
    own = chosen(reader, segment, source.field)
    if not own.text:
        return NULL if segment.get(source.field).strip() == NULL else ""
    reader.origin = _origin(source, own.number)
    if values.fits(own.text, values.LO):
        return own.text
    return values.identifier(own.text, values.LO, segment.location(source.field), rule.keyword)


def patient_issuer(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    """Return that repetition's assigning authority, else the sender's own."""
    own = chosen(reader, segment, source.field)
    text = own.authority or reader.authority
    if not own.text or not text:
        return ""
    reader.origin = _origin(source, own.number) if own.authority else Origin("", AUTHORITY_RULE)
    if values.fits(text, values.LO):
        return text
    return values.identifier(text, values.LO, segment.location(source.field, source.component), rule.keyword)


def patient_issuer_qualifiers(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    """Return the authority's universal ID with its type."""
    number = chosen(reader, segment, source.field).number
    universal = segment.get(source.field, 4, 2, number).strip()
    return designator("", universal, segment.get(source.field, 4, 3, number).strip()) if universal else ""


def other_identifiers(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    """Return the identifiers of the other repetitions."""
    return values.several(other.text for other in _others(reader, segment, source.field))


def other_identifier_items(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    """Return the other repetitions as items, each with its authority."""
    items = []
    for other in _others(reader, segment, source.field):
        named = other.authority and values.fits(other.authority, values.LO)
        issuer = {"IssuerOfPatientID": other.authority} if named else {}
        items.append({"PatientID": other.text, **issuer, "TypeOfPatientID": "TEXT"})
    return sequence(items) if items else ""


def chosen(reader: Reader, segment: Segment, field: int) -> Identifier:
    """Return the repetition of a CX to go by: the preferred authority, then type, else the first with a value."""
    key = (id(segment), field)
    found = reader.identifiers.get(key)
    if found is None:
        found = reader.identifiers[key] = _preferred(reader, segment, field)
    return found


def _preferred(reader: Reader, segment: Segment, field: int) -> Identifier:
    if segment.repetitions(field) < 2:
        return _identifier(segment, field, 1)
    valued = [found for found in _repetitions(segment, field) if found.text]
    return min(valued, key=lambda found: _rank(reader, segment, field, found), default=Identifier(1, "", ""))


def _rank(reader: Reader, segment: Segment, field: int, found: Identifier) -> tuple[int, int, int]:
    kind = segment.get(field, 5, 1, found.number).strip().upper()
    return _place(reader.id_authorities, found.authority), _place(reader.id_types, kind), found.number


def _place(preferences: tuple[str, ...], value: str) -> int:
    return preferences.index(value) if value in preferences else len(preferences)


def _repetitions(segment: Segment, field: int) -> Iterator[Identifier]:
    return (_identifier(segment, field, number) for number in range(1, segment.repetitions(field) + 1))


def _identifier(segment: Segment, field: int, number: int) -> Identifier:
    """Return one repetition of a CX; its authority is the namespace, else the universal ID. A null is none."""
    text = segment.get(field, 1, 1, number).strip()
    namespace = segment.get(field, 4, 1, number).strip()
    authority = namespace if namespace not in ("", NULL) else segment.get(field, 4, 2, number).strip()
    return Identifier(number, "" if text == NULL else text, "" if authority == NULL else authority)


def _others(reader: Reader, segment: Segment, field: int) -> Iterator[Identifier]:
    if segment.repetitions(field) > 1:
        own = chosen(reader, segment, field)
        for found in _repetitions(segment, field):
            if found.number != own.number and found.text and values.fits(found.text, values.LO):
                yield found


def _origin(source: Source, number: int) -> Origin:
    return source.origin if number == source.repetition else replace(source, repetition=number).origin
