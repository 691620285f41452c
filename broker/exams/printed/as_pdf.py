"""The printed worklist as PDF, A4 landscape: drawn by fpdf2, which is loaded here alone. It holds patient data.

Rows are measured before anything is drawn, so that each page knows how many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fpdf import FPDF

from broker.exams.printed import fonts
from broker.exams.printed.fonts import Fonts
from broker.exams.printed.page import (
    BLACK,
    COLOURS,
    HEADS,
    NOTHING,
    WIDTHS,
    Heading,
    Room,
    Row,
    counted,
    row,
    shortened,
)

_MARGIN = 10.0  # mm, as all lengths here
_WIDTH = float(sum(WIDTHS))
_BOTTOM = 196.0  # of the last row
_FOOT = 199.0
_GAP = 2.0  # between columns
_PAD = 1.6  # above and below a row's text
_LEAST = 12.0  # of a row: room for handwriting
_BOX = 5.0
_MM = 25.4 / 72  # a point

_STYLES = {  # family, emphasis, points
    "title": ("base", "B", 16.0),
    "day": ("base", "B", 12.0),
    "time": ("base", "B", 12.0),
    "name": ("base", "B", 11.0),
    "strong": ("base", "B", 10.0),
    "plain": ("base", "", 10.0),
    "number": ("fixed", "", 9.5),
    "head": ("base", "B", 8.5),
    "urgent": ("base", "B", 8.5),
    "small": ("base", "", 8.5),
}
_LAST_PLAIN = "\u024f"  # Latin Extended-B
_EVERYWHERE = {"base": "helvetica", "fixed": "courier"}
"""What stands for our families where no font was found."""

Piece = tuple[str, str]  # style, text


@dataclass(frozen=True, slots=True)
class Paper:
    """The PDF, and the characters that no font of this machine has: they stand in it as their numbers."""

    content: bytes
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A row with its height."""

    cells: tuple[tuple[Piece, ...], ...]
    height: float


def document(rooms: Sequence[Room], heading: Heading, files: Sequence[Path] | None = None) -> Paper:
    """Return the PDF, set in these fonts; without any, in those of this machine."""
    texts = [*_texts_of(heading), *(text for room in rooms for text in _texts(room))]
    chosen = fonts.choose(texts, fonts.installed() if files is None else files)
    pdf = _opened(chosen, heading)
    for room in rooms:
        lacking = chosen.lacking([*_texts_of(heading), *_texts(room)])
        _Sheet(pdf, chosen, heading, _notices(heading, lacking)).draw(room)
    return Paper(bytes(pdf.output()), chosen.lacking(texts))


def _notices(heading: Heading, lacking: Sequence[str]) -> tuple[str, ...]:
    told = f"no font of this machine has {fonts.scripts(lacking)}: such a character stands as its number, [U+0000]"
    return tuple(filter(None, (heading.warning, told if lacking else "")))


def _texts_of(heading: Heading) -> tuple[str, ...]:
    return (heading.environment, heading.made, heading.weekday, heading.warning, *HEADS, NOTHING)


def _texts(room: Room) -> Iterator[str]:
    yield from (room.name, room.place)
    yield from (text for item in room.items for cell in _cells(row(item)) for _, text in cell)


def _opened(chosen: Fonts, heading: Heading) -> FPDF:
    pdf = FPDF(orientation="landscape", unit="mm", format="A4")
    pdf.set_title(f"Worklist {heading.day.isoformat()}, {heading.environment}")
    pdf.set_creation_date(heading.printed)
    pdf.set_lang("en")
    pdf.set_auto_page_break(False)
    pdf.c_margin = 0
    if chosen.family:
        regular, bold, fixed = chosen.family
        for family, emphasis, file in (("base", "", regular), ("base", "B", bold), ("fixed", "", fixed)):
            pdf.add_font(family, emphasis, file)
        more = [f"more{number}" for number in range(len(chosen.others))]
        for family, file in zip(more, chosen.others, strict=True):
            pdf.add_font(family, "", file)
        pdf.set_fallback_fonts(["base", *more], exact_match=False)
    return pdf


def _cells(own: Row) -> tuple[tuple[Piece, ...], ...]:
    """Return what stands in each column but the last two, which are for the pen."""
    return (
        (("time", own.time),),
        (("name", own.name), ("plain", own.born)),
        (("number", own.patient_id),),
        (("number", own.accession),),
        (("plain", own.procedure), ("small", own.step)),
        (("small", own.station), ("urgent", own.urgency), ("small", own.notes)),
    )


class _Sheet:
    """The pages of one room."""

    def __init__(self, pdf: FPDF, chosen: Fonts, heading: Heading, notices: Sequence[str]) -> None:
        self._pdf = pdf
        self._fonts = chosen
        self._heading = heading
        self._notices = notices

    def draw(self, room: Room) -> None:
        """Draw a room: at least a page, the rest of the last one ruled for who comes without an order."""
        self._pdf.add_page()
        top = self._draw_head(room)
        pages = list(_paginated([self._measured(row(item)) for item in room.items], _BOTTOM - top))
        for number, lines in enumerate(pages, 1):
            if number > 1:
                self._pdf.add_page()
                self._draw_head(room)
            left = self._draw_lines(lines, top) if lines else self._draw_nothing(top)
            if number == len(pages):
                self._draw_lines([_Line((), _LEAST)] * int((_BOTTOM - left) // _LEAST), left)
            self._draw_foot(room, f"{room.name}: page {number} of {len(pages)}")

    # --- measures ---

    def _measured(self, own: Row) -> _Line:
        cells = _cells(own)
        heights = (self._height(cell, width - _GAP) for cell, width in zip(cells, WIDTHS, strict=False))
        return _Line(cells, max(_LEAST, 2 * _PAD + max(heights)))

    def _height(self, cell: Sequence[Piece], width: float) -> float:
        return sum(self._set(piece, width, is_drawn=False) for piece in cell)

    def _set(self, piece: Piece, width: float, *, is_drawn: bool, align: str = "L") -> float:
        """Set a text at the current position, or only measure it; return its height."""
        style, text = piece
        shown = shortened(self._fonts.shown(text))
        if not shown:
            return 0.0
        family, emphasis, points = _STYLES[style]
        self._pdf.set_font(family if self._fonts.family else _EVERYWHERE[family], emphasis, points)
        # Arabic letters are joined, Indic ones ordered, marks placed; plain Latin needs none of it, and is sooner done.
        self._pdf.set_text_shaping(bool(self._fonts.family) and max(shown) > _LAST_PLAIN)
        height = self._pdf.multi_cell(
            width,
            points * _MM * 1.28,
            shown,
            align=align,
            dry_run=not is_drawn,
            output="HEIGHT",
            new_x="LEFT",
            new_y="NEXT",
        )
        assert isinstance(height, float)
        return height

    # --- what is drawn ---

    def _draw_head(self, room: Room) -> float:
        """Draw what stands on every page of a room; return where its rows begin."""
        pdf = self._pdf
        self._at(_MARGIN, 10)
        left = self._set(("title", room.name), 165, is_drawn=True)
        self._at(_MARGIN, 10 + left)
        left += self._set(("plain", room.place), 165, is_drawn=True)
        self._at(180, 11.5)
        self._set(("day", self._heading.weekday), 66, is_drawn=True, align="R")
        right = self._draw_environment()
        y = 10 + max(left, right) + 1.5
        self._rule(y, 0.7)
        self._at(_MARGIN, y + 1)
        y += 1 + self._set(("small", self._heading.made), _WIDTH, is_drawn=True) + 1
        for notice in self._notices:
            self._at(_MARGIN + 2.5, y + 1.2)
            height = self._set(("strong", notice), _WIDTH - 5, is_drawn=True) + 2.4
            pdf.set_line_width(0.5)
            pdf.rect(_MARGIN, y, _WIDTH, height)
            y += height + 1
        return self._draw_heads(y + 1)

    def _draw_environment(self) -> float:
        """Draw the environment's name in its colour, framed: the frame is there without colour too."""
        pdf = self._pdf
        colour = COLOURS.get(self._heading.colour, BLACK)
        pdf.set_text_color(colour)
        pdf.set_draw_color(colour)
        pdf.set_line_width(0.8)
        self._at(250, 11.5)
        height = self._set(("day", self._heading.environment), 35, is_drawn=True, align="C")
        pdf.rect(249, 10.4, 38, height + 2.2)
        pdf.set_text_color(BLACK)
        pdf.set_draw_color(BLACK)
        return height + 2.2

    def _draw_heads(self, y: float) -> float:
        heights = [self._height([("head", head)], width - _GAP) for head, width in zip(HEADS, WIDTHS, strict=True)]
        bottom = y + max(heights)
        for (x, width), head, height in zip(_columns(), HEADS, heights, strict=True):
            self._at(x, bottom - height)
            self._set(("head", head), width - _GAP, is_drawn=True)
        self._rule(bottom + 1, 0.4)
        return bottom + 1

    def _draw_lines(self, lines: Sequence[_Line], y: float) -> float:
        for line in lines:
            self._draw_line(line, y)
            y += line.height
        return y

    def _draw_nothing(self, y: float) -> float:
        self._at(_MARGIN, y + _PAD)
        y += self._set(("plain", NOTHING), _WIDTH, is_drawn=True) + 2 * _PAD
        self._rule(y, 0.2)
        return y

    def _draw_line(self, line: _Line, y: float) -> None:
        columns = _columns()
        for (x, width), cell in zip(columns, line.cells, strict=False):
            top = y + _PAD
            for piece in cell:
                self._at(x, top)
                top += self._set(piece, width - _GAP, is_drawn=True)
        (box, _), (pen, _) = columns[-2:]
        self._pdf.set_line_width(0.35)
        self._pdf.rect(box, y + _PAD, _BOX, _BOX)
        self._pdf.set_line_width(0.2)
        self._pdf.line(pen - _GAP, y, pen - _GAP, y + line.height)
        self._rule(y + line.height, 0.2)

    def _draw_foot(self, room: Room, pages: str) -> None:
        self._at(_MARGIN, _FOOT)
        self._set(("small", counted(len(room.items))), 60, is_drawn=True)
        self._at(_MARGIN + 60, _FOOT)
        self._set(("small", pages), _WIDTH - 60, is_drawn=True, align="R")

    def _rule(self, y: float, width: float) -> None:
        self._pdf.set_line_width(width)
        self._pdf.line(_MARGIN, y, _MARGIN + _WIDTH, y)

    def _at(self, x: float, y: float) -> None:
        self._pdf.set_xy(x, y)


def _columns() -> list[tuple[float, float]]:
    """Return where each column begins, and its width."""
    return [(_MARGIN + sum(WIDTHS[:number]), width) for number, width in enumerate(WIDTHS)]


def _paginated(lines: Sequence[_Line], height: float) -> Iterator[list[_Line]]:
    """Yield the lines of each page; without any, one empty page."""
    page: list[_Line] = []
    left = height
    for line in lines:
        if page and line.height > left:
            yield page
            page, left = [], height
        page.append(line)
        left -= line.height
    yield page
