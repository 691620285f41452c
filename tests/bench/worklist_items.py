"""Worklist items for the measurements: a million of them, written as the store writes each, but without its reading.

Every day has 200: ten for each of nineteen stations, and ten that name none, for every device of their modality. The
numbers are the same however many there are, so that each of `QUERIES` finds ten among any number of items.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Table

from broker.database import Database
from broker.orders.model import Code, Order, Patient, ScheduledStep
from broker.worklist import store
from broker.worklist.model import Viewer
from broker.worklist.plan import plan
from broker.worklist.stations import Stations

A_DAY = 200
FIRST_DAY = date(2026, 3, 1)
QUIET_DAY = "20200101"  # has ten items, of the first ones
_MODALITIES = ("MG", "CT", "MR", "US", "DX")
STATIONS = tuple(f"{_MODALITIES[n % 5]}_{n // 5 + 1:02}" for n in range(19))
POOL = "XA"  # the modality of what names no station
_FAMILIES = ("Fischer", "Neumann", "Lehmann", "Schwarz", "Hofmann", "Winkler", "Richter")
_SLOT_OF_FEW = 16  # CT_04
_AT_ONCE = 20_000
# What stands in a template for an item's number, its patient's, the family name and the day, and nowhere else.
_NUMBER, _PATIENT, _FAMILY, _DAY = "9191919", "8282828", "Qqqqqqq", "17070707"
_SEPARATOR = "\x1f\x1f"


@dataclass(frozen=True)
class Query:
    """What a console asks: who it is, keys within the step's sequence, and others."""

    calling: str
    step: Mapping[str, str]
    keys: Mapping[str, str]
    finds: int = 10


def queries(count: int) -> dict[str, Query]:
    """Return the typical queries for so many items; each finds ten, and what a number names one."""
    number = (count // 2) // 10 * 10
    day = {"ScheduledProcedureStepStartDate": f"{day_of(number):%Y%m%d}"}
    station = {"ScheduledStationAETitle": "MG_01"}
    return {
        "station and today": Query("MG_01", day | station | {"Modality": "MG"}, {}),
        "today, items without a station": Query("XA_01", day, {}),
        "modality and today, any caller": Query("ANYBODY", day | {"Modality": POOL}, {}),
        "patient ID": Query("ANYBODY", {}, {"PatientID": f"P{number // 10:07}"}),
        "patient ID, today": Query("MG_01", day, {"PatientID": f"P{number // A_DAY * A_DAY // 10:07}"}),
        "name MUEL*, any caller": Query("ANYBODY", {}, {"PatientName": "MUEL*"}),
        "name SCHM* (one in ten), its station": Query("CT_04", {}, {"PatientName": "SCHM*"}),
        "accession number": Query("MG_01", {}, {"AccessionNumber": f"A{number // A_DAY * A_DAY:07}"}, finds=1),
        "accession number, ten by a wildcard": Query("ANYBODY", {}, {"AccessionNumber": f"A{number // 10:06}*"}),
        "all universal, a quiet day": Query("ANYBODY", {"ScheduledProcedureStepStartDate": QUIET_DAY}, {}),
    }


DEVICES = (*STATIONS, "XA_01", "XA_02")


def viewer_of(calling: str) -> Viewer:
    """Return who calls: a device that has its title as its only station, or one that nobody knows."""
    return Viewer(calling.lower(), (calling,), calling[:2]) if calling in DEVICES else Viewer()


def registered() -> Stations:
    """Return the stations of every device."""
    modalities = dict.fromkeys(title[:2] for title in DEVICES)
    return Stations({name: tuple(title for title in DEVICES if title[:2] == name) for name in modalities})


def document(title: str) -> str:
    """Return the modality document of a device."""
    name = title.lower().replace("_", "-")
    return f'name = "{name}"\nmodality = "{title[:2]}"\nae_titles = ["{title}"]\nstations = ["{title}"]\n'


def day_of(number: int) -> date:
    """Return the day of an item."""
    return FIRST_DAY + timedelta(days=number // A_DAY)


def _day_text(number: int) -> str:
    return QUIET_DAY if number < 10 else f"{day_of(number):%Y%m%d}"


def order(number: int) -> Order:
    """Return the order of one item."""
    slot, patient = number % A_DAY // 10, number // 10
    return _order(slot, f"{number:07}", f"{patient:07}", _family(patient), _day_text(number))


def order_id(number: int) -> int:
    """Return the order of an item: none that the product gives to those that it is sent meanwhile."""
    return 100_000_000 + number


def fill(database: Database, count: int) -> None:
    """Put in so many items, as rows that are made of one of each station by writing other numbers into it."""
    templates = [_Template(slot) for slot in range(A_DAY // 10)]
    for begin in range(0, count, _AT_ONCE):
        numbers = range(begin, min(begin + _AT_ONCE, count))
        with database.write("orders") as tx:
            for table in (store.ITEM, store.PLACE):
                columns = templates[0].columns(table)
                marks = ["?" if tx.dialect.name == "sqlite" else "%s"] * len(columns)
                rows = [templates[number % A_DAY // 10].row(table, number) for number in numbers]
                tx.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join(marks)})", rows)


def _family(patient: int) -> str:
    """Return a family name: Mueller of the first patient alone, one in ten Schmidt, at CT_04 the first day's alone."""
    if patient == 0:
        return "Mueller"
    if patient % 20 == _SLOT_OF_FEW:
        return "Schmidt" if patient == _SLOT_OF_FEW else "Fischer"
    return "Schmidt" if patient % 10 == 3 else _FAMILIES[patient % len(_FAMILIES)]


def _order(slot: int, number: str, patient: str, family: str, day: str) -> Order:
    titles = STATIONS[slot : slot + 1]
    step = ScheduledStep(
        scheduled_procedure_step_id=f"S{number}",
        modality=titles[0][:2] if titles else POOL,
        scheduled_procedure_step_start_date=day,
        scheduled_procedure_step_start_time=f"{8 + slot // 2:02}0000",
        scheduled_station_ae_titles=titles,
        scheduled_procedure_step_description="Abdomen",
        scheduled_protocol_codes=(Code("USABD", "L", "Abdomen"),),
        scheduled_performing_physician_name="Doctor^Some",
    )
    return Order(
        patient=Patient(f"P{patient}", "HOSP", f"{family}^Eva", "19700101", "F", {"PregnancyStatus": "4"}),
        placer_order_number=f"L{number}",
        filler_order_number=f"F{number}",
        accession_number=f"A{number}",
        requested_procedure_id=f"R{number}",
        study_instance_uid=f"1.2.826.0.1.9.{number}",
        requested_procedure_description="Abdomen",
        requested_procedure_code=Code("USABD", "L", "Abdomen"),
        steps=(step,),
        timezone="Europe/Berlin",
        attributes={"ReferringPhysicianName": "Doctor^Other"},
    )


class _Template:
    """The rows of one station's items, their texts as one, so that numbers are written into all at once."""

    def __init__(self, slot: int) -> None:
        (planned,) = plan(_order(slot, _NUMBER, _PATIENT, _FAMILY, _DAY), 0)
        (place,) = store.places_of(0, planned)
        self._rows = {store.ITEM: store.values_of(0, planned), store.PLACE: place}
        self._texts = {table: _SEPARATOR.join(_texts(row)) for table, row in self._rows.items()}

    def columns(self, table: Table) -> list[str]:
        """Return the columns of its rows, in their order."""
        numbers = ["id", "order_id", "offered"] if table is store.ITEM else ["item_id"]
        return [*numbers, *(name for name, value in self._rows[table].items() if isinstance(value, str | bytes))]

    def row(self, table: Table, number: int) -> tuple[Any, ...]:
        """Return the row of an item."""
        family, day = _family(number // 10), _day_text(number)
        text = self._texts[table].replace(_NUMBER, f"{number:07}").replace(_PATIENT, f"{number // 10:07}")
        text = text.replace(_FAMILY, family).replace(_FAMILY.lower(), family.lower()).replace(_DAY, day)
        texts = text.split(_SEPARATOR)
        if table is store.PLACE:
            return (number + 1, *texts)
        *others, encoded = texts
        return (number + 1, order_id(number), 1, *others, encoded.encode("latin-1"))


def _texts(row: Mapping[str, object]) -> Iterator[str]:
    for value in row.values():
        if isinstance(value, bytes):
            yield value.decode("latin-1")  # each byte a character
        elif isinstance(value, str):
            yield value
