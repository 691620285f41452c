"""A day's worklist on paper, for when the network or a console is down: one HTML document, a page a room. Pure.

It needs nothing from anywhere: no script, font, picture or style of another file. It holds patient data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from string import Template

from broker.registry.model import Modality
from broker.worklist.model import WorklistItem

_PAGE = Template("""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Worklist $day, $environment</title>
<style>
@page { size: A4 landscape; margin: 12mm 10mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.35 "Liberation Sans", Arial, sans-serif; color: #000; margin: 0; }
section { padding: 0 2mm; break-after: page; }
section:last-child { break-after: auto; }
header { display: flex; justify-content: space-between; align-items: baseline; border-bottom: 2pt solid #000;
  padding-bottom: 1.5mm; margin-bottom: 3mm; gap: 8mm; }
h1 { font-size: 17pt; margin: 0; }
h1 small { font-weight: normal; font-size: 10.5pt; }
.world { border: 1.5pt solid $colour; color: $colour; font-weight: bold; padding: 0.5mm 2.5mm; }
.warning { border: 1.5pt solid #000; padding: 1.5mm 2.5mm; margin: 0 0 3mm; font-weight: bold; }
table { width: 100%; border-collapse: collapse; }
thead { display: table-header-group; }
th { text-align: left; font-size: 8.5pt; border-bottom: 1pt solid #000; padding: 0 2mm 1mm 0; vertical-align: bottom; }
td { border-bottom: 0.5pt solid #777; padding: 1.6mm 2mm 1.6mm 0; vertical-align: top; }
tr { break-inside: avoid; }
.time { font-size: 13pt; font-weight: bold; white-space: nowrap; }
.name { font-weight: bold; }
.number { font-family: "Liberation Mono", "Courier New", monospace; white-space: nowrap; }
.small { font-size: 8.5pt; }
.box { width: 5mm; height: 5mm; border: 1pt solid #000; display: inline-block; }
.write { min-width: 38mm; }
footer { font-size: 8.5pt; margin-top: 3mm; }
@media screen { body { background: #ddd; } section { background: #fff; width: 277mm; margin: 6mm auto; padding: 8mm; } }
</style></head><body>
$sections</body></html>
""")
_SECTION = Template("""<section>
<header><h1>$room <small>$place</small></h1><strong>$weekday</strong>
<div class="world">$environment</div></header>
$warning<table><thead><tr><th>time</th><th>patient</th><th>born, sex</th><th>patient ID</th><th>accession</th>
<th>procedure</th><th>referred by, notes</th><th>done</th><th class="write">began, ended, remarks</th></tr></thead>
<tbody>
$rows</tbody></table>
<footer>$count. $site, printed $printed by $actor. What was ordered later is not on it.
Destroy it after use: it names patients.</footer>
</section>
""")
_ROW = Template("""<tr><td class="time">$time</td><td class="name">$name</td><td>$born<br>$sex</td>
<td class="number">$patient_id</td><td class="number">$accession</td>
<td>$procedure<br><span class="small">$step</span></td>
<td class="small">$notes</td><td><span class="box"></span></td><td></td></tr>
""")
_COLOURS = {"red": "#b00000", "green": "#006400"}
_NOTED = {
    "MedicalAlerts": "alert",
    "Allergies": "allergies",
    "SpecialNeeds": "needs",
    "PatientState": "state",
    "PatientTransportArrangements": "transport",
}
_URGENT = frozenset({"STAT", "HIGH"})


@dataclass(frozen=True, slots=True)
class Room:
    """One page: a device with what it is to do, soonest first."""

    name: str
    place: str
    items: tuple[WorklistItem, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands on every page. `printed` is in the site's zone; `warning` is empty where all is well."""

    environment: str
    colour: str
    site: str
    day: date
    printed: datetime
    actor: str
    warning: str = ""


def rooms(items: Iterable[WorklistItem], modalities: Sequence[Modality], day: date) -> list[Room]:
    """Return the rooms of a day, by name: each device with the items for its stations, then what no device has.

    A room without items is a page too: an empty page says that nothing was forgotten.
    """
    of_day = [item for item in items if item.scheduled_procedure_step_start_date == f"{day:%Y%m%d}"]
    of_day.sort(key=lambda item: (item.scheduled_procedure_step_start_time, item.patient_name, item.id))
    found: list[Room] = []
    placed: set[int] = set()
    for modality in sorted(modalities, key=lambda one: one.name):
        stations = set(map(str, modality.stations))
        own = tuple(item for item in of_day if stations.intersection(item.scheduled_station_ae_titles))
        placed.update(item.id for item in own)
        document = modality.document
        place = ", ".join(filter(None, (document.description, document.location, document.modality)))
        found.append(Room(modality.name, place, own))
    left = tuple(item for item in of_day if item.id not in placed)
    return [*found, Room("no device", "for stations that no registered device has", left)] if left else found


def document(rooms_: Sequence[Room], heading: Heading) -> str:
    """Return the HTML document."""
    return _PAGE.substitute(
        day=heading.day.isoformat(),
        environment=escape(heading.environment),
        colour=_COLOURS.get(heading.colour, "#000"),
        sections="".join(_section(room, heading) for room in rooms_),
    )


def _section(room: Room, heading: Heading) -> str:
    count = len(room.items)
    return _SECTION.substitute(
        room=escape(room.name),
        place=escape(room.place),
        weekday=f"{heading.day:%A %d %B %Y}",
        environment=escape(heading.environment),
        warning=f'<p class="warning">{escape(heading.warning)}</p>\n' if heading.warning else "",
        rows="".join(map(_row, room.items)) or '<tr><td colspan="9">Nothing is scheduled.</td></tr>\n',
        count=f"{count} {'step' if count == 1 else 'steps'}",
        site=escape(heading.site or heading.environment),
        printed=heading.printed.isoformat(sep=" ", timespec="minutes"),
        actor=escape(heading.actor),
    )


def _row(item: WorklistItem) -> str:
    description = item.scheduled_procedure_step_description
    values = {
        "time": _time(item.scheduled_procedure_step_start_time),
        "name": _name(item.patient_name),
        "born": _day(item.patient_birth_date),
        "sex": item.patient_sex,
        "patient_id": item.patient_id,
        "accession": item.accession_number,
        "procedure": item.requested_procedure_description or description,
        "step": description if item.requested_procedure_description else "",
        "notes": _notes(item),
    }
    return _ROW.substitute({key: escape(value) for key, value in values.items()})


def _notes(item: WorklistItem) -> str:
    stated = item.attributes
    priority = stated.get("RequestedProcedurePriority", "")
    found = [priority if priority in _URGENT else "", _name(stated.get("ReferringPhysicianName", ""))]
    found += [f"{word}: {stated[keyword]}" for keyword, word in _NOTED.items() if stated.get(keyword)]
    return "; ".join(filter(None, found))


def _name(value: str) -> str:
    """Return a PN as people write it: family name, given names; each group that is there."""
    groups = []
    for group in filter(None, value.split("=")):
        family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
        rest = " ".join(filter(None, (prefix, given, middle, suffix)))
        groups.append(", ".join(filter(None, (family, rest))))
    return " / ".join(groups)


def _day(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 else value


def _time(value: str) -> str:
    return f"{value[:2]}:{value[2:4]}" if len(value) >= 4 else value
