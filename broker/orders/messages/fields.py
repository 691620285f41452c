"""Values read out of one ORC/OBR group by the mapping's sources. Knows forms and nulls, no rule about orders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from broker.orders import values
from broker.orders.mapping import Form, Rule, Source
from broker.orders.messages.grouping import OrderGroup
from hl7.datatypes import PersonName, timestamp, xcn
from hl7.errors import Hl7Error
from hl7.message import Segment

NULL = '""'  # an explicit "there is no value" (HL7 2.6)

# Forms whose text is in several components, with how many of them are shown.
_STRUCTURED = {Form.PLACE: 3, Form.ADDRESS: 6, Form.NAME: 9, Form.NAMES: 9}


@dataclass(frozen=True, slots=True)
class Civil:
    """A date and time as a clock on the site's wall shows it: DA and TM, either may be empty."""

    date: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Further attributes by keyword, and the keywords that were sent as null."""

    stated: dict[str, str]
    cleared: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fields:
    """One group's fields, asked for by sources."""

    group: OrderGroup
    timezone: ZoneInfo

    def text(self, sources: tuple[Source, ...]) -> str:
        """Return the first valued source's text, or empty."""
        found = self._first(sources)
        return "" if found is None else _leaf(*found)

    def place(self, sources: tuple[Source, ...]) -> str:
        """Return where the text was found, or where it was first looked for."""
        found = self._first(sources)
        if found is not None:
            return found[0].location(found[1].field)
        segment = self.group.segment(sources[0].segment)
        position = segment.position if segment else 1
        return f"{sources[0].segment}^{position}^{sources[0].field}"

    def is_null(self, sources: tuple[Source, ...]) -> bool:
        """Tell whether a source says explicitly that there is no value, and none has one."""
        return self._first(sources) is None and any(
            segment.get(source.field, source.component, source.subcomponent).strip() == NULL
            or segment.is_null(source.field)
            for segment, source in self._present(sources)
        )

    def start(self, sources: tuple[Source, ...]) -> Civil:
        """Return when the first valued source says. Raises Hl7Error 102 with its place for no usable date."""
        text = self.text(sources)
        if not text:
            return Civil()
        try:
            found = civil(text, self.timezone)
        except Hl7Error as error:
            raise error.at(self.place(sources)) from error
        if not found.date and text.strip("0"):
            raise Hl7Error("102", self.place(sources), "a date without a day cannot be scheduled")
        return found

    def attributes(self, rules: tuple[Rule, ...]) -> Attributes:
        """Return what the rules find."""
        stated = {rule.keyword: value for rule in rules if (value := self._attribute(rule))}
        cleared = frozenset(rule.keyword for rule in rules if self.is_null(rule.sources))
        return Attributes(stated, cleared)

    def _attribute(self, rule: Rule) -> str:
        valued = _structured if rule.form in _STRUCTURED else _leaf
        found = self._first(rule.sources, valued)
        return "" if found is None else self._shaped(rule.form, *found)

    def _shaped(self, form: Form, segment: Segment, source: Source) -> str:
        if form in (Form.DATE, Form.TIME):
            found = self._descriptive_date(segment, source)
            return found.date if form is Form.DATE else found.time
        if form in (Form.NAME, Form.NAMES):
            count = segment.repetitions(source.field) if form is Form.NAMES else 1
            return values.several(pn(xcn(segment.components(source.field, n))) for n in range(1, count + 1))
        if form is Form.LONGS:
            return values.several(values.line(text, values.LO) for text in repeated(segment, source))
        text = _structured(segment, source, _STRUCTURED.get(form, 0)) or _leaf(segment, source)
        return values.line(text, values.SH if form is Form.SHORT else values.LO)

    def _descriptive_date(self, segment: Segment, source: Source) -> Civil:
        try:
            return civil(_leaf(segment, source), self.timezone)
        except Hl7Error:
            return Civil()  # nothing depends on it: no reason to refuse the order

    def _first(
        self, sources: tuple[Source, ...], valued: Callable[[Segment, Source], str] | None = None
    ) -> tuple[Segment, Source] | None:
        return next((found for found in self._present(sources) if (valued or _leaf)(*found)), None)

    def _present(self, sources: tuple[Source, ...]) -> Iterator[tuple[Segment, Source]]:
        for source in sources:
            segment = self.group.segment(source.segment)
            if segment is not None:
                yield segment, source


def _leaf(segment: Segment, source: Source) -> str:
    text = segment.get(source.field, source.component, source.subcomponent).strip()
    return "" if text == NULL else text


def _structured(segment: Segment, source: Source, most: int = 9) -> str:
    """Return the first components as one text; a name or a place may be valued in a later one only."""
    parts = (part.strip() for part in segment.components(source.field)[:most])
    return " ".join(part for part in parts if part and part != NULL)


def repeated(segment: Segment, source: Source) -> Iterator[str]:
    """Yield each repetition's text: its second component where it is coded and has one, else its first."""
    for number in range(1, segment.repetitions(source.field) + 1):
        parts = [segment.get(source.field, component, repetition=number).strip() for component in (2, 1)]
        yield next((part for part in parts if part and part != NULL), "")


def civil(text: str, zone: ZoneInfo) -> Civil:
    """Return a TS as date and time at the site; an offset is converted, never dropped. Raises Hl7Error 102."""
    stated = timestamp(text)
    if stated.offset is None or not stated.date or not stated.time:
        return Civil(stated.date, stated.time)
    east = timezone(timedelta(minutes=stated.offset))
    instant = datetime.strptime(stated.date + stated.time, "%Y%m%d%H%M%S").replace(tzinfo=east)
    try:
        return civil_of(instant, zone)
    except OverflowError as error:  # the first or last day of the calendar
        raise Hl7Error("102", "", "a date that no zone can hold") from error


def civil_of(instant: datetime, zone: ZoneInfo) -> Civil:
    """Return an instant as date and time at the site."""
    local = instant.astimezone(zone)
    return Civil(f"{local.year:04d}{local:%m%d}", f"{local:%H%M%S}")


def pn(name: PersonName) -> str:
    """Return a name as one group of a PN."""
    return values.person_name(name.family, name.given, name.middle, name.prefix, suffix=name.suffix, degree=name.degree)
