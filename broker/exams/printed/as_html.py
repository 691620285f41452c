"""The printed worklist as one HTML document for any browser, on screen and on A4 landscape. Pure.

It needs nothing from anywhere: no script, font, picture or style of another file. It holds patient data.
"""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from string import Template

from broker.exams.printed.page import (
    BLACK,
    COLOURS,
    HEADS,
    NOTHING,
    WIDTHS,
    Heading,
    Room,
    counted,
    row,
)
from broker.worklist.model import WorklistItem

# The page's heading is in the table's head, since browsers repeat that on each page of a long table. Column widths are
# fixed: a long value breaks within its own column, and pushes no other off the paper.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Worklist $day, $environment</title>
<style>
@page { size: A4 landscape; margin: 9mm 10mm 13mm;
  @bottom-right { content: "page " counter(page) " of " counter(pages); vertical-align: top;
    padding-top: 1mm; font: 8.5pt Arial, sans-serif; } }
* { box-sizing: border-box; }
body { font: 10pt/1.3 "Liberation Sans", Arial, sans-serif; color: #000; margin: 0; }
section { break-after: page; }
section:last-child { break-after: auto; }
table { width: 100%; table-layout: fixed; border-collapse: collapse; }
thead { display: table-header-group; }
th { text-align: left; font-size: 8.5pt; border-bottom: 1pt solid #000; padding: 1mm 2mm 1mm 0;
  vertical-align: bottom; }
.page { border: 0; padding: 0 0 1mm; font-weight: normal; font-size: 10pt; }
.page p { margin: 1mm 0; }
.page > div { display: flex; justify-content: space-between; align-items: baseline; gap: 8mm;
  border-bottom: 2pt solid #000; padding-bottom: 1.5mm; }
h1 { font-size: 16pt; margin: 0; flex: 1; }
h1 small { font-weight: normal; font-size: 10pt; }
.day { font-size: 12pt; font-weight: bold; white-space: nowrap; }
.world { border: 2pt solid $colour; color: $colour; font-weight: bold; font-size: 12pt; padding: 0.5mm 2.5mm; }
.page .warning { border: 1.5pt solid #000; padding: 1.5mm 2.5mm; font-weight: bold; }
td { border-bottom: 0.5pt solid #555; padding: 1.6mm 2mm 1.6mm 0; vertical-align: top; height: 12mm;
  overflow-wrap: anywhere; }
tr { break-inside: avoid; }
.time { font-size: 12pt; font-weight: bold; white-space: nowrap; }
.name { font-weight: bold; font-size: 11pt; word-break: keep-all; }
.number { font-family: "Liberation Mono", "DejaVu Sans Mono", "Courier New", monospace; font-size: 9.5pt; }
.small { font-size: 8.5pt; }
.box { width: 5mm; height: 5mm; border: 1pt solid #000; display: inline-block; }
td.write { border-left: 0.5pt solid #555; }
th.write, td.write { padding-left: 2mm; }
footer { font-size: 8.5pt; margin-top: 2mm; }
@media screen { body { background: #ddd; }
  section { background: #fff; max-width: 297mm; margin: 6mm auto; padding: 9mm 10mm; } }
</style></head><body>
$sections</body></html>
""")
_SECTION = Template("""<section>
<table><colgroup>$widths</colgroup><thead><tr><th class="page" colspan="8">
<div><h1>$room <small>$place</small></h1><span class="day">$weekday</span><span class="world">$environment</span></div>
<p class="small">$made</p>
$warning</th></tr>
<tr>$heads</tr></thead>
<tbody>
$rows</tbody></table>
<footer>$count</footer>
</section>
""")
_ROW = Template("""<tr><td class="time">$time</td><td><bdi class="name">$name</bdi><br>$born</td>
<td class="number">$patient_id</td><td class="number">$accession</td>
<td><bdi>$procedure</bdi><br><bdi class="small">$step</bdi></td>
<td class="small">$station<br><b>$urgency</b> <bdi>$notes</bdi></td>
<td><span class="box"></span></td><td class="write"></td></tr>
""")


def document(rooms: Sequence[Room], heading: Heading) -> str:
    """Return the HTML document."""
    return _PAGE.substitute(
        day=heading.day.isoformat(),
        environment=escape(heading.environment),
        colour=COLOURS.get(heading.colour, BLACK),
        sections="".join(_section(room, heading) for room in rooms),
    )


def _section(room: Room, heading: Heading) -> str:
    return _SECTION.substitute(
        widths="".join(f'<col style="width: {100 * width / sum(WIDTHS):.2f}%">' for width in WIDTHS),
        heads="".join(f"<th{_WRITE if head is HEADS[-1] else ''}>{head}</th>" for head in HEADS),
        room=escape(room.name),
        place=escape(room.place),
        weekday=heading.weekday,
        environment=escape(heading.environment),
        warning=f'<p class="warning">{escape(heading.warning)}</p>\n' if heading.warning else "",
        rows="".join(map(_row, room.items)) or f'<tr><td colspan="8">{NOTHING}</td></tr>\n',
        count=counted(len(room.items)),
        made=escape(heading.made),
    )


_WRITE = ' class="write"'


def _row(item: WorklistItem) -> str:
    return _ROW.substitute({key: escape(value) for key, value in asdict(row(item)).items()})
