"""The rules of a mapping applied to the segments of one patient or order. Knows no form and no message type."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from broker.orders.mapping import Form, Made, Rule, Source
from broker.orders.messages.times import UNSTATED, Civil, civil, civil_of
from broker.orders.model import Code, Origin, Refusal
from hl7.errors import Hl7Error
from hl7.message import Segment

NULL = '""'  # an explicit "there is no value" (HL7 2.6)

Value = str | tuple[Code, ...]
"""Text, JSON text of a sequence's items, or codes. Empty is not stated; NULL is stated to be none."""

Shape = Callable[["Reader", Rule, Segment, Source], Value]

# What may not be taken back: without it nobody knows whose order it is, or which study.
_NEVER_NULL = frozenset({"PatientID", "PatientName", "StudyInstanceUID"})
# Of type 1 or a key: null is no statement there.
_NEVER_CLEARED = frozenset(
    {
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "Modality",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "AccessionNumber",
        "OrderPlacerIdentifierSequence",
        "OrderFillerIdentifierSequence",
        "IssuerOfAccessionNumberSequence",
        "IssuerOfPatientID",
        "IssuerOfPatientIDQualifiersSequence",
    }
)
_START_DATE = "ScheduledProcedureStepStartDate"


@dataclass(slots=True)
class Stated:
    """What some rules have found, by keyword."""

    values: dict[str, Value] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    found: dict[str, tuple[Segment, Source]] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        """Return a value that is text, or empty."""
        value = self.values.get(keyword, "")
        return value if isinstance(value, str) else ""

    def codes(self, keyword: str) -> tuple[Code, ...]:
        """Return a value that is codes, or none."""
        value = self.values.get(keyword, ())
        return value if isinstance(value, tuple) else ()


class Identifier(NamedTuple):
    """One repetition of a CX: its number, the identifier and who assigned it."""

    number: int
    text: str
    authority: str


class Reader:
    """The segments in question, by name, and what else the forms need to know."""

    __slots__ = (
        "_times",
        "all",
        "authority",
        "fields",
        "first",
        "id_authorities",
        "id_types",
        "identifiers",
        "origin",
        "sent",
        "site",
        "start",
        "valued",
        "zone",
    )

    def __init__(
        self,
        segments: Mapping[str, Sequence[Segment]],
        *,
        zone: ZoneInfo,
        site: ZoneInfo,
        sent: datetime,
        authority: str = "",
        id_types: tuple[str, ...] = (),
        id_authorities: tuple[str, ...] = (),
    ) -> None:
        self.all = segments
        self.first = {name: found[0] for name, found in segments.items()}
        self.fields = {name: segment.fields for name, segment in self.first.items()}
        self.valued = tuple([(name, tuple(map(bool, fields))) for name, fields in self.fields.items()])
        self.zone = zone  # of times without offset
        self.site = site  # of the times that are given back
        self.sent = sent  # when the message was made
        self.authority = authority  # of identifiers that name none
        self.id_types = id_types
        self.id_authorities = id_authorities
        self.identifiers: dict[tuple[int, int], Identifier] = {}  # what was preferred in a segment's field
        self.start: Origin | None = None  # what gave the start's date
        self.origin: Origin | None = None  # of the value that a form just gave, where it is not its source's
        self._times: dict[str, Civil] = {}

    def civil(self, text: str) -> Civil:
        """Return a TS as date and time at the site. Raises Hl7Error 102 without location."""
        found = self._times.get(text)
        if found is None:
            found = self._times[text] = civil(text, self.zone, self.site)
        return found

    def civil_or_none(self, text: str) -> Civil:
        """Return a TS as date and time at the site, nothing for what is none."""
        try:
            return self.civil(text)
        except Hl7Error:
            return UNSTATED

    def place(self, rule: Rule) -> str:
        """Return where a value of this rule is looked for, by the first of its segments that is there."""
        own = [source for source in rule.sources if source.table is None]
        for source in own:
            segments = self.all.get(source.segment)
            if segments:
                return segments[0].location(source.field)
        return next((f"{source.segment}^1^{source.field}" for source in reversed(own)), "")


def leaf(segment: Segment, source: Source) -> str:
    """Return the text of a source, without outer blanks; through its table, where it has one."""
    text = segment.get(source.field, source.component, source.subcomponent, source.repetition).strip()
    return text if source.table is None else source.table.get(text.upper(), "")


def read(rules: Sequence[Rule], reader: Reader, shapes: Mapping[Form, Shape]) -> Stated:
    """Return what the rules find: of each the first source with a value, or that it was stated to be none.

    Raises Refusal for what may not stand in its attribute.
    """
    stated = Stated()
    values, origins, found = stated.values, stated.origins, stated.found
    first, fields = reader.first, reader.fields
    for keyword, rule, shape, places in _in_question(rules, reader.valued, shapes):
        null = False
        for name, number, source, origin in places:
            segment = first[name]
            value = shape(reader, rule, segment, source) if number < 0 or fields[name][number] != NULL else NULL
            if not value:
                continue
            if value == NULL:
                null = True
                if keyword in _NEVER_NULL:
                    raise Refusal("AE", segment.location(source.field), "102", f"{keyword} cannot be cleared")
                continue
            values[keyword] = value
            found[keyword] = (segment, source)
            if reader.origin is not None:
                origins[keyword], reader.origin = reader.origin, None
            else:
                origins[keyword] = origin or _by_table(source, segment, value)
            break
        else:
            if null and keyword not in _NEVER_CLEARED:
                stated.cleared.add(keyword)
    return stated


class _Place(NamedTuple):
    """Where a rule looks: the segment, the field that may be null (-1: it looks at several), the source, its origin.

    There is no origin where a table says what the field means: the code is part of it.
    """

    name: str
    number: int
    source: Source
    origin: Origin | None


_Question = tuple[str, Rule, Shape, tuple[_Place, ...]]  # a rule with its keyword, and what its form does
_Valued = tuple[tuple[str, tuple[bool, ...]], ...]  # which fields of which segments have a value
_MOST_KNOWN = 1024  # combinations of valued fields; a sender sends the same few again and again
_MOST_FIELDS = 1000  # of a combination that is remembered
_known: dict[tuple[int, int, _Valued], tuple[object, object, tuple[_Question, ...]]] = {}


def _in_question(rules: Sequence[Rule], valued: _Valued, shapes: Mapping[Form, Shape]) -> tuple[_Question, ...]:
    """Return the rules that may find something where these fields have values, each with those of its places."""
    key = (id(rules), id(shapes), valued)
    known = _known.get(key)
    if known is None:
        narrowed = tuple(_narrowed(rules, dict(valued), shapes))
        if sum(len(fields) for _, fields in valued) > _MOST_FIELDS:
            return narrowed
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        # With rules and shapes themselves, so that their ids are not others' meanwhile.
        known = _known[key] = (rules, shapes, narrowed)
    return known[2]


def _narrowed(
    rules: Sequence[Rule], valued: Mapping[str, tuple[bool, ...]], shapes: Mapping[Form, Shape]
) -> Iterator[_Question]:
    for rule in rules:
        places = tuple(
            _place(rule, source)
            for name, number, source in rule.places
            if name in valued and (rule.of_several or (number < len(valued[name]) and valued[name][number]))
        )
        if places:
            yield rule.keyword, rule, shapes[rule.form], places


def _place(rule: Rule, source: Source) -> _Place:
    as_it_stands = rule.table is None and source.table is None
    number = -1 if rule.of_several else source.field
    return _Place(source.segment, number, source, source.origin if as_it_stands else None)


def _by_table(source: Source, segment: Segment, value: Value) -> Origin:
    code = segment.get(source.field, source.component, source.subcomponent, source.repetition).strip()
    return source.origin if code == value else Origin(source.path, f"{code} means {value}")


def make(rules: Sequence[Rule], reader: Reader, stated: Stated) -> None:
    """Add what is made here where no field gives a value: by the rules' `made`, then by their `default`."""
    for rule in rules:
        if rule.keyword in stated.values or not (rule.made or rule.default):
            continue
        for made in rule.made:
            value, why = _MAKERS[made](reader, rule, stated)
            if value:
                break
        else:
            value, why = rule.default, "the mapping's default"
        if value:
            stated.values[rule.keyword] = value
            stated.origins[rule.keyword] = Origin("", why)


def _message_time(reader: Reader, rule: Rule, _: Stated) -> tuple[str, str]:
    made = civil_of(reader.sent, reader.site)
    text = made.time if rule.form in (Form.START_TIME, Form.TIME) else made.date
    return text, "when the message was made, since no start is stated"


def _midnight(_: Reader, __: Rule, stated: Stated) -> tuple[str, str]:
    origin = stated.origins.get(_START_DATE)
    of_a_field = origin is not None and not origin.made_here
    return ("000000" if of_a_field else ""), "midnight, since the start is stated without a time"


_MAKERS: dict[Made, Callable[[Reader, Rule, Stated], tuple[str, str]]] = {
    Made.MESSAGE_TIME: _message_time,
    Made.MIDNIGHT: _midnight,
}
