"""Mapping files: TOML into a checked mapping, on top of a preset. Every mistake is named with file and key."""

from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_dict

from broker.environments.reading import Mistakes, TomlTable, did_you_mean, parse, quoted
from broker.errors import Misconfigured
from broker.orders.mapping import Form, Made, Mapping, Rule, Source, source

PRESETS_DIRECTORY = Path(__file__).parent / "mappings"

# Which VRs a form gives values of.
_VRS: Map[Form, tuple[str, ...]] = {
    Form.SHORT: ("SH", "LO", "LT", "ST", "UT"),
    Form.LONG: ("LO", "LT", "ST", "UT"),
    Form.TEXT: ("LT", "ST", "UT"),
    Form.CODED_TEXTS: ("LO", "LT"),
    Form.PHONE: ("SH", "LO"),
    Form.SHORT_IDENTIFIER: ("SH", "LO"),
    Form.LONG_IDENTIFIER: ("LO",),
    Form.UID: ("UI",),
    Form.CODE_STRING: ("CS", "SH", "LO"),
    Form.MODALITY: ("CS",),
    Form.MEANING: ("CS", "SH", "LO"),
    Form.DECIMAL: ("DS",),
    Form.WHOLE_NUMBER: ("IS", "US"),
    **dict.fromkeys((Form.DATE, Form.START_DATE, Form.BIRTH_DATE), ("DA",)),
    **dict.fromkeys((Form.TIME, Form.START_TIME), ("TM",)),
    Form.SEX: ("CS",),
    **dict.fromkeys((Form.PATIENT_NAME, Form.NAME, Form.NAMES, Form.NAME_IN_SUBCOMPONENTS), ("PN",)),
    **dict.fromkeys((Form.PLACE, Form.ADDRESS, Form.ALLERGIES, Form.SPECIAL_NEEDS), ("LO",)),
    **dict.fromkeys((Form.PATIENT_ID, Form.PATIENT_ISSUER, Form.OTHER_IDENTIFIERS), ("LO",)),
    **dict.fromkeys((Form.PATIENT_ISSUER_QUALIFIERS, Form.OTHER_IDENTIFIER_ITEMS), ("SQ",)),
    **dict.fromkeys((Form.CODE, Form.CODES, Form.ISSUER, Form.ISSUER_IN_SUBCOMPONENTS), ("SQ",)),
    Form.AE_TITLES: ("AE",),
    Form.NOTES: ("LT", "ST", "UT"),
    Form.PREGNANCY: ("US",),
    **dict.fromkeys((Form.KILOGRAMS, Form.METRES), ("DS",)),
}
# The form of an attribute for which a file says none, by its VR.
_USUAL = {
    "SH": Form.SHORT,
    "LO": Form.LONG,
    "LT": Form.TEXT,
    "ST": Form.TEXT,
    "UT": Form.TEXT,
    "CS": Form.CODE_STRING,
    "DA": Form.DATE,
    "TM": Form.TIME,
    "DS": Form.DECIMAL,
    "IS": Form.WHOLE_NUMBER,
    "US": Form.WHOLE_NUMBER,
    "PN": Form.NAME,
    "UI": Form.UID,
    "AE": Form.AE_TITLES,
    "SQ": Form.CODE,
}
_SECTIONS = ("patient", "visit", "order", "step", "appointment.order", "appointment.step")


@dataclass(frozen=True, slots=True)
class _Stated:
    """A rule as written: its table is a name, its sources are texts with the key that they stand under."""

    at: str
    form: Form
    sources: tuple[str, ...] | None = None  # None: not said
    made: tuple[Made, ...] = ()
    table: str = ""
    beside: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """A whole mapping as written, its base merged in."""

    name: str
    types: tuple[str, ...]
    authorities: tuple[str, ...]
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    sections: dict[str, dict[str, _Stated]] = field(default_factory=dict)


def presets() -> tuple[str, ...]:
    """Return the names of the mappings that come with the product."""
    return tuple(sorted(file.stem for file in PRESETS_DIRECTORY.glob("*.toml")))


def load(name_or_path: str) -> Mapping:
    """Return the mapping of a preset's name or of a file. Raises Misconfigured with every mistake, a line each."""
    file = _file_of(name_or_path)
    return _loaded_preset(file) if file.parent == PRESETS_DIRECTORY else _loaded(file)


@cache
def _loaded_preset(file: Path) -> Mapping:
    return _loaded(file)


def _file_of(name_or_path: str) -> Path:
    if name_or_path in presets():
        return PRESETS_DIRECTORY / f"{name_or_path}.toml"
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        return Path(name_or_path)
    known = presets()
    near = did_you_mean(name_or_path, known)
    raise Misconfigured(f"mapping {name_or_path!r} is none of {quoted(known)}, and no path to a .toml file{near}")


def _loaded(file: Path) -> Mapping:
    read, mistakes = _read(file)
    mapping = _resolved(read, mistakes)
    mistakes.stop()
    return mapping


def _read(file: Path) -> tuple[_File, Mistakes]:
    try:
        root = parse(file.read_bytes(), str(file))
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from error
    base = _base(root, file)
    root.text("description", "")
    identity = root.table("identity", required=False)
    read = _File(
        name=file.stem,
        types=identity.texts("types", base.types),
        authorities=identity.texts("authorities", base.authorities),
        tables=_tables(root, base),
        sections=_sections(root, base),
    )
    identity.finish()
    root.finish()
    return read, root.mistakes


def _base(root: TomlTable, file: Path) -> _File:
    """Return what the file stands on: a preset, or nothing for a preset that stands alone."""
    alone = _File("", ("MR", "PI"), (), {}, {section: {} for section in _SECTIONS})
    if file.parent == PRESETS_DIRECTORY and not root.has("base"):
        return alone
    name = root.text("base")
    if name and name not in presets():
        root.wrong("base", f"{name!r} is none of {quoted(presets())}{did_you_mean(name, presets())}")
    if name not in presets():
        return alone
    found, mistakes = _read(PRESETS_DIRECTORY / f"{name}.toml")
    mistakes.stop()
    return found


def _tables(root: TomlTable, base: _File) -> dict[str, dict[str, str]]:
    """Return the value tables; a file's rows go over the base's."""
    tables = {name: dict(rows) for name, rows in base.tables.items()}
    for name, rows in root.table("tables", required=False).items():
        if not isinstance(rows, dict):
            root.mistakes.add(f"tables.{name}", "must be a table")
            continue
        table = tables.setdefault(name, {})
        for code, meaning in rows.items():
            if not isinstance(meaning, str):
                root.mistakes.add(f"tables.{name}.{code}", "must be a text")
                continue
            table[code.upper()] = meaning
    return tables


def _sections(root: TomlTable, base: _File) -> dict[str, dict[str, _Stated]]:
    found = {name: _section(root.table(name, required=False), name, base) for name in _SECTIONS[:4]}
    appointment = root.table("appointment", required=False)
    for part in ("order", "step"):
        name = f"appointment.{part}"
        found[name] = _section(appointment.table(part, required=False), name, base)
    appointment.finish()
    return found


def _section(table: TomlTable, name: str, base: _File) -> dict[str, _Stated]:
    rules = dict(base.sections[name])
    for keyword, value in table.items():
        at = f"{name}.{keyword}"
        if keyword not in keyword_dict:
            near = did_you_mean(keyword, rules) or did_you_mean(keyword, keyword_dict)
            table.mistakes.add(at, f"is no DICOM keyword{near}")
            continue
        rule = _rule(value, at, keyword, rules.get(keyword), table.mistakes)
        if rule is not None:
            rules[keyword] = rule
    return rules


def _rule(value: object, at: str, keyword: str, base: _Stated | None, mistakes: Mistakes) -> _Stated | None:
    """Return one rule: a list of sources, or a table of what is said about it; the rest is as in the base."""
    written = {"from": [value]} if isinstance(value, str) else {"from": value} if isinstance(value, list) else value
    if not isinstance(written, dict):
        mistakes.add(at, "must be a list of sources, or a table with `from`")
        return None
    table = TomlTable(written, mistakes, f"{at}.")
    sources = table.texts("from", ())
    usual = base or _Stated(at, _USUAL.get(_vr(keyword), Form.LONG))
    rule = _Stated(
        at=at,
        form=_form(table, keyword, usual.form),
        sources=sources if table.has("from") else usual.sources,
        made=_made(table, usual.made),
        table=table.text("table", usual.table),
        beside=table.texts("beside", usual.beside),
        called=table.texts("called", usual.called),
        default=table.text("default", usual.default),
    )
    table.finish()
    return rule


def _form(table: TomlTable, keyword: str, usual: Form) -> Form:
    form = table.choice("as", Form, usual) or usual
    if _vr(keyword) not in _VRS[form]:
        table.wrong("as", f"{form.value!r} gives no value of {keyword}, whose VR is {_vr(keyword)}")
    return form


def _made(table: TomlTable, usual: tuple[Made, ...]) -> tuple[Made, ...]:
    words = [made.value for made in Made]
    found = table.texts("made", [made.value for made in usual])
    for word in found:
        if word not in words:
            table.wrong("made", f"{word!r} is none of {quoted(words)}{did_you_mean(word, words)}")
    return tuple(Made(word) for word in found if word in words)


def _vr(keyword: str) -> str:
    # "US or SS" and the like: the first is as good.
    return dictionary_VR(keyword).split(" ")[0]


def _resolved(read: _File, mistakes: Mistakes) -> Mapping:
    """Return the mapping with every name of a table replaced by the table."""
    rules = {name: _rules(section, read.tables, mistakes) for name, section in read.sections.items()}
    return Mapping(
        name=read.name,
        patient=rules["patient"],
        visit=rules["visit"],
        order=rules["order"],
        step=rules["step"],
        appointment_order=rules["appointment.order"],
        appointment_step=rules["appointment.step"],
        patient_id_types=tuple(kind.upper() for kind in read.types),
        patient_authorities=read.authorities,
    )


def _rules(section: dict[str, _Stated], tables: dict[str, dict[str, str]], mistakes: Mistakes) -> tuple[Rule, ...]:
    dates = next((rule.sources for rule in section.values() if rule.form is Form.START_DATE), None)
    made = (_as_rule(keyword, rule, dates, tables, mistakes) for keyword, rule in section.items())
    # The start's time goes by what gave its date, which therefore is read before it.
    return tuple(sorted(made, key=lambda rule: rule.form is Form.START_TIME))


def _as_rule(
    keyword: str,
    stated: _Stated,
    dates: tuple[str, ...] | None,
    tables: dict[str, dict[str, str]],
    mistakes: Mistakes,
) -> Rule:
    written = dates if stated.sources is None and stated.form is Form.START_TIME else stated.sources
    if stated.table and stated.table not in tables:
        mistakes.add(f"{stated.at}.table", _no_table(stated.table, tables))
    return Rule(
        keyword=keyword,
        form=stated.form,
        sources=_sources(written or (), f"{stated.at}.from", tables, mistakes),
        made=stated.made,
        table=tables.get(stated.table),
        beside=_sources(stated.beside, f"{stated.at}.beside", tables, mistakes),
        called=frozenset(name.upper() for name in stated.called),
        default=stated.default,
    )


def _sources(
    written: Iterable[str], at: str, tables: dict[str, dict[str, str]], mistakes: Mistakes
) -> tuple[Source, ...]:
    found = []
    for text in written:
        path, _, table = text.partition(" in ")
        if table and table not in tables:
            mistakes.add(at, _no_table(table, tables))
        try:
            found.append(source(path.strip(), tables.get(table) if table else None))
        except ValueError as error:
            mistakes.add(at, f"{text!r} {error}")
    return tuple(found)


def _no_table(name: str, tables: Map[str, Any]) -> str:
    return f"there is no table {name!r} under [tables]{did_you_mean(name, tables)}"
