"""Card and packet as PDF, A4 portrait: drawn by fpdf2, which is loaded by the commands that print. Pure."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import segno
from fpdf import FPDF

from broker.exams.printed import fonts
from broker.promotion.paper import packet
from broker.promotion.paper.card import Card

_MARGIN = 12.0  # mm
_CODE = 34.0  # of the QR code


@dataclass(frozen=True, slots=True)
class Table:
    """A heading and what stands under it; `strong` are the numbers of the rows that are set bold."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int]  # of the columns, in parts
    strong: frozenset[int] = frozenset()


def of_card(card: Card, made: datetime) -> bytes:
    """Return the card."""
    names = " and ".join(world.name for world in card.worlds)
    note = f"Console settings for {names}, made {card.made}. Rows marked \u2260 change at the cutover."
    worlds = [world.name for world in card.worlds]
    tables = []
    for section, group in groupby(card.lines, key=lambda line: line.section):
        lines = list(group)
        marked = frozenset(number for number, line in enumerate(lines) if line.differs)
        rows = [[("\u2260 " if line.differs else "") + line.setting, *line.values, line.note] for line in lines]
        tables.append(Table(section, ["setting", *worlds, "note"], rows, [5, *[5] * len(worlds), 5], marked))
    return document(card.device, [card.description, note], tables, card.code, made)


def of_packet(said: Mapping[str, Any], made: datetime) -> bytes:
    """Return the sign-off packet, to be read and filed; whether it is whole, its HTML or text of that digest tells."""
    tables = [Table(each.title, each.heads, each.rows, each.widths) for each in packet.sections(said)]
    return document(f"Sign-off of {said['device']}", packet.notes(said), tables, packet.digest(said), made)


def document(title: str, notes: Sequence[str], tables: Sequence[Table], code: str, made: datetime) -> bytes:
    """Return a document of a title, notes, a QR code and tables."""
    pdf = FPDF(orientation="portrait", unit="mm", format="A4")
    pdf.set_margin(_MARGIN)
    pdf.set_auto_page_break(True, margin=_MARGIN)
    pdf.set_title(title)
    pdf.set_creation_date(made)
    pdf.set_lang("en")
    shown = _fonted(pdf, [title, *notes, *_texts(tables)])
    pdf.add_page()
    _draw_code(pdf, code)
    _draw_head(pdf, shown(title), [shown(note) for note in notes if note])
    for table in tables:
        _draw_table(pdf, table, shown)
    return bytes(pdf.output())


def _fonted(pdf: FPDF, texts: Iterable[str]):  # type: ignore[no-untyped-def]
    chosen = fonts.choose(list(texts), fonts.installed())
    if chosen.family:
        regular, bold, _ = chosen.family
        pdf.add_font("base", "", regular)
        pdf.add_font("base", "B", bold)
    return chosen.shown


def _texts(tables: Sequence[Table]) -> Iterable[str]:
    for table in tables:
        yield from (table.title, *table.heads)
        yield from (cell for row in table.rows for cell in row)


def _family(pdf: FPDF) -> str:
    return "base" if "base" in pdf.fonts else "helvetica"


def _draw_code(pdf: FPDF, code: str) -> None:
    picture = io.BytesIO()
    segno.make(code, error="l", micro=False).save(picture, kind="png", scale=8, border=2)
    pdf.image(picture, x=pdf.w - _MARGIN - _CODE, y=_MARGIN, w=_CODE, h=_CODE)


def _draw_head(pdf: FPDF, title: str, notes: Sequence[str]) -> None:
    width = pdf.epw - _CODE - 4
    pdf.set_font(_family(pdf), "B", 18)
    pdf.multi_cell(width, 9, title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(_family(pdf), "", 10)
    for note in notes:
        pdf.multi_cell(width, 5, note, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.set_y(max(pdf.get_y(), _MARGIN + _CODE) + 2)


def _draw_table(pdf: FPDF, table: Table, shown) -> None:  # type: ignore[no-untyped-def]
    pdf.set_font(_family(pdf), "B", 11)
    pdf.cell(0, 8, shown(table.title), new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(_family(pdf), "", 9)
    with pdf.table(
        col_widths=tuple(table.widths),
        line_height=4.6,
        borders_layout="HORIZONTAL_LINES",
        padding=0.8,
        text_align="LEFT",
    ) as drawn:
        head = drawn.row()
        for text in table.heads:
            head.cell(shown(text))
        for number, cells in enumerate(table.rows):
            pdf.set_font(_family(pdf), "B" if number in table.strong else "", 9)
            row = drawn.row()
            for text in cells:
                row.cell(shown(text))
    pdf.set_font(_family(pdf), "", 9)
    pdf.ln(2)
