"""Modality documents: bytes to a frozen value, with every mistake named at once. Keeps and activates nothing."""

import re

from pydicom.charset import python_encoding

from broker.environments.reading import TomlTable, did_you_mean, parse
from broker.environments.routes import read_routes
from broker.registry.model import Document

DEFAULT_CHARACTER_SETS = ("ISO_IR 100", "ISO_IR 192")
"""What a common ultrasound reads, best first."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
# PS3.5 table 6.2-1: CS, at most 16 of A-Z, 0-9, blank and underscore.
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")
# PS3.5 table 6.2-1: SH.
_SHORT_STRING_LENGTH = 16


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
    return Document(
        name=_name(root),
        description=root.text("description", ""),
        modality=_modality(root),
        ae_titles=titles,
        stations=root.titles("stations", titles),
        station_name=_short_string(root, "station_name"),
        location=_short_string(root, "location"),
        character_sets=_character_sets(root.table("worklist", required=False)),
        routes=read_routes(root),
    )


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
    for unknown in (name for name in names if name not in python_encoding):
        hint = did_you_mean(unknown, filter(None, python_encoding))
        table.wrong("character_sets", f"{unknown!r} is no defined term of SpecificCharacterSet{hint}")
    if not names:
        table.wrong("character_sets", 'names none: write "" for the default repertoire')
    table.finish()
    return names
