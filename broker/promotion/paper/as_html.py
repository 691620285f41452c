"""Card and packet as one HTML document each, for any browser, on screen and on A4. Pure; no script, nothing fetched."""

import io
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from string import Template

import segno

from broker.promotion.paper.card import Card, Line

_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<style>
@page { size: A4 portrait; margin: 12mm; }
* { box-sizing: border-box; }
body { font: 10pt/1.35 "Liberation Sans", Arial, sans-serif; color: #000;
  max-width: 190mm; margin: 0 auto; padding: 4mm; }
header { display: flex; gap: 6mm; align-items: flex-start; border-bottom: 2pt solid #000; padding-bottom: 3mm; }
header > div { flex: 1; }
h1 { font-size: 18pt; margin: 0; }
h2 { font-size: 11.5pt; margin: 5mm 0 1mm; }
p { margin: 1mm 0; }
.world { display: inline-block; border: 1.5pt solid; padding: 0.3mm 2.5mm; font-weight: bold; margin-right: 2mm; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: 1mm 2mm 1mm 0; border-bottom: 0.5pt solid #777;
  overflow-wrap: anywhere; }
th { font-size: 8.5pt; }
td.value, td.code { font-family: "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: 9.5pt; }
tr.differs td { font-weight: bold; background: #eee; }
tr.differs td:first-child::before { content: "\\2260\\00a0"; }
.small { font-size: 8.5pt; }
svg { width: 34mm; height: 34mm; }
tr { break-inside: avoid; }
</style></head><body>$body</body></html>
""")


def of_card(card: Card) -> str:
    """Return the card."""
    badges = "".join(
        f'<span class="world" style="color:{world.colour}">{escape(world.name)}</span>' for world in card.worlds
    )
    head = (
        f"<header><div><h1>{escape(card.device)}</h1><p>{escape(card.description)}</p><p>{badges}</p>"
        f'<p class="small">Console settings, made {escape(card.made)}. Rows marked \u2260 change at the cutover.</p>'
        "</div>"
        f"{qr(card.code)}</header>"
    )
    sections = groupby(card.lines, key=lambda line: line.section)
    return page(
        f"Console settings of {card.device}", head + "".join(_section(card, name, group) for name, group in sections)
    )


def page(title: str, body: str) -> str:
    """Return a whole document."""
    return _PAGE.substitute(title=escape(title), body=body)


def qr(text: str) -> str:
    """Return a QR code as SVG; its text is what stands beside it."""
    out = io.BytesIO()
    segno.make(text, error="l", micro=False).save(out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2)
    return out.getvalue().decode()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int] = ()) -> str:
    """Return a table of plain texts; widths are in percent."""
    columns = "".join(f'<col style="width:{width}%">' for width in widths)
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><colgroup>{columns}</colgroup><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _section(card: Card, name: str, lines: Iterable[Line]) -> str:
    values = "".join(f"<th>{escape(world.name)}</th>" for world in card.worlds)
    rows = "".join(_row(line) for line in lines)
    return f"<h2>{escape(name)}</h2><table><tr><th>setting</th>{values}<th>note</th></tr>{rows}</table>"


def _row(line: Line) -> str:
    mark = ' class="differs"' if line.differs else ""
    values = "".join(f'<td class="value">{escape(value)}</td>' for value in line.values)
    return f'<tr{mark}><td>{escape(line.setting)}</td>{values}<td class="small">{escape(line.note)}</td></tr>'
