"""Modality documents: bytes to a frozen value, with every mistake named at once. Keeps and activates nothing."""

import re

from pydicom.charset import python_encoding

from broker.environments.reading import TomlTable, did_you_mean, parse
from broker.environments.routes import read_routes
from broker.registry.model import (
    CommitmentHabits,
    CommitmentMode,
    Document,
    Filter,
    Habits,
    ListOrder,
    Makes,
    ReportWay,
)

DEFAULT_CHARACTER_SETS = ("ISO_IR 100", "ISO_IR 192")
"""What a common ultrasound reads, best first."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
# PS3.5 table 6.2-1: CS, at most 16 of A-Z, 0-9, blank and underscore.
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")
# PS3.5 table 6.2-1: SH.
_SHORT_STRING_LENGTH = 16
_MOST_ANSWERS = 1_000_000
_MOST_HOURS = 7 * 24
_MOST_DAYS = 366
_MOST_MB = 64 * 1024
_PENDING = {"FF00": False, "FF01": True}


def read(content: bytes, name_of_file: str) -> Document:
    """Return the document that `content` holds.

    Raises Misconfigured whose text names every mistake, a line each: `name_of_file: key: reason`.
    """
    root = parse(content, name_of_file)
    document = _document(root)
    root.finish()
    root.mistakes.stop()
    return document


def _document(root: TomlTable) -> Document:
    titles = root.titles("ae_titles")
    if not titles and root.has("ae_titles"):
        root.wrong("ae_titles", "names no AE title: the device could not be recognised")
    worklist = root.table("worklist", required=False)
    document = Document(
        name=_name(root),
        description=root.text("description", ""),
        modality=_modality(root),
        ae_titles=titles,
        stations=root.titles("stations", titles),
        station_name=_short_string(root, "station_name"),
        location=_short_string(root, "location"),
        character_sets=_character_sets(worklist),
        routes=read_routes(root),
        habits=_habits(worklist),
        filter=_filter(worklist),
        commitment=_commitment(root),
        makes=_makes(root),
    )
    worklist.finish()
    return document


def _name(root: TomlTable) -> str:
    name = root.text("name")
    if name and not _NAME.fullmatch(name):
        root.wrong("name", f"{name!r} must be 1 to 64 of a-z, 0-9 and '-'")
    return name


def _modality(root: TomlTable) -> str:
    modality = root.text("modality")
    if modality and not _CODE_STRING.fullmatch(modality):
        root.wrong("modality", f"{modality!r} must be at most 16 of A-Z, 0-9, blank and '_', such as 'US'")
    return modality


def _short_string(root: TomlTable, key: str) -> str:
    value = root.text(key, "")
    if len(value) > _SHORT_STRING_LENGTH:
        root.wrong(key, f"has {len(value)} characters, at most {_SHORT_STRING_LENGTH} are allowed (PS3.5, SH)")
    if "\\" in value:
        root.wrong(key, "has a backslash")
    return value


def _character_sets(table: TomlTable) -> tuple[str, ...]:
    names = table.texts("character_sets", DEFAULT_CHARACTER_SETS)
    # A set with code extensions is several terms, the first of which may be empty: "\\ISO 2022 IR 87".
    terms = dict.fromkeys(term for name in names for term in name.split("\\"))
    for unknown in (term for term in terms if term not in python_encoding):
        hint = did_you_mean(unknown, filter(None, python_encoding))
        table.wrong("character_sets", f"{unknown!r} is no defined term of SpecificCharacterSet{hint}")
    if not names:
        table.wrong("character_sets", 'names none: write "" for the default repertoire')
    return names


def _habits(table: TomlTable) -> Habits:
    usual = Habits()
    order = table.choice("order", ListOrder, usual.order) or usual.order
    limit = table.integer("limit", 1, _MOST_ANSWERS) if table.has("limit") else table.integer("limit", 0, 0, 0)
    if order is not ListOrder.SOONEST and not table.has("limit"):
        table.wrong("order", f"{order.value!r} needs a limit: such a list is put together before it is sent")
    return Habits(
        ignore_station_key=table.flag("ignore_station_key", usual.ignore_station_key),
        default_station_key=table.flag("default_station_key", usual.default_station_key),
        case_insensitive_titles=table.flag("case_insensitive_titles", usual.case_insensitive_titles),
        widen_today_hours=table.integer("widen_today_hours", 0, 24, usual.widen_today_hours),
        default_window_days=_window(table),
        lenient_lists=table.flag("lenient_lists", usual.lenient_lists),
        keys_outside_sequence=table.flag("keys_outside_sequence", usual.keys_outside_sequence),
        limit=limit,
        order=order,
        warns_of_unsupported=_warns(table),
        unsupported_as_empty=table.flag("unsupported_as_empty", usual.unsupported_as_empty),
        keep_started_hours=_kept(table),
    )


def _commitment(root: TomlTable) -> CommitmentHabits:
    table, usual = root.table("commitment", required=False), CommitmentHabits()
    habits = CommitmentHabits(
        mode=table.choice("mode", CommitmentMode, usual.mode) or usual.mode,
        report=table.choice("report", ReportWay, usual.report) or usual.report,
        asks=table.flag("asks", usual.asks),
    )
    table.finish()
    return habits


def _makes(root: TomlTable) -> Makes:
    table, usual = root.table("makes", required=False), Makes()
    makes = Makes(
        still=table.flag("still", usual.still),
        loop=table.flag("loop", usual.loop),
        report=table.flag("report", usual.report),
        performed_step=table.flag("performed_step", usual.performed_step),
        largest_loop_mb=table.integer("largest_loop_mb", 0, _MOST_MB, usual.largest_loop_mb),
    )
    table.finish()
    return makes


def _kept(table: TomlTable) -> int | None:
    hours = table.integer("keep_started_hours", 0, _MOST_HOURS, 0)  # asked for, so that the key is known
    return hours if table.has("keep_started_hours") else None


def _window(table: TomlTable) -> int | None:
    days = table.integer("default_window_days", 0, _MOST_DAYS, 0)  # asked for, so that the key is known
    return days if table.has("default_window_days") else None


def _warns(table: TomlTable) -> bool:
    status = table.text("pending_status", "FF00")
    if status not in _PENDING:
        table.wrong("pending_status", f"{status!r} is neither 'FF00' nor 'FF01'")
    return _PENDING.get(status, False)


def _filter(worklist: TomlTable) -> Filter | None:
    table = worklist.table("filter", required=False)
    found = Filter(
        modalities=table.texts("modalities", ()),
        procedure_codes=table.texts("procedure_codes", ()),
        locations=table.texts("locations", ()),
        sending_applications=table.texts("sending_applications", ()),
    )
    table.finish()
    for modality in found.modalities:
        if not _CODE_STRING.fullmatch(modality):
            table.wrong("modalities", f"{modality!r} must be at most 16 of A-Z, 0-9, blank and '_', such as 'US'")
    if worklist.has("filter") and found == Filter():
        worklist.wrong("filter", "says nothing: name modalities, procedure_codes, locations or sending_applications")
    return found if worklist.has("filter") else None
