"""The `[worlds]` of a profile: how what began in the other world is known, and which patients are none."""

from dataclasses import dataclass
from pathlib import Path

from broker.environments.reading import TomlTable
from broker.environments.secret import Secret, read_secret

_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class ListedPatient:
    """One identifier that is no patient's: of a commissioning or a test, with its assigning authority."""

    patient_id: str
    issuer: str  # empty: of identifiers without an authority


@dataclass(frozen=True, slots=True)
class WorldsSettings:
    """What `[worlds]` says. Without `key` nothing is written, and nothing of the other world is known."""

    key: Secret | None = None  # of the hashes; the same in both profiles
    file: Path | None = None  # our identifiers; None: `identifiers` in the state directory
    other: Path | None = None  # the other world's profile
    other_file: Path | None = None  # its identifiers, where its profile cannot be read here
    host: str = ""  # of its DICOM listener, as above
    port: int = 0
    ae_title: str = ""
    test_patients: tuple[ListedPatient, ...] = ()
    test_names: tuple[str, ...] = ()  # patterns of PatientName that alert: `*` is any text


def read_worlds(root: TomlTable, file: Path) -> WorldsSettings:
    """Return `[worlds]`; note each mistake."""
    table = root.table("worlds", required=False)
    settings = WorldsSettings(
        key=read_secret(table, "key", file) if table.has("key") else None,
        file=_path(table, "file", file),
        other=_path(table, "other", file),
        other_file=_path(table, "other_file", file),
        host=table.text("host", ""),
        port=table.integer("port", 1, _HIGHEST_PORT) if table.has("port") else 0,
        ae_title=str(table.title("ae_title")) if table.has("ae_title") else "",
        test_patients=tuple(_test_patient(one) for one in table.tables("test_patients")),
        test_names=table.texts("test_names", ()),
    )
    _demand_whole(table, settings)
    table.finish()
    return settings


def _path(table: TomlTable, key: str, file: Path) -> Path | None:
    text = table.text(key, "")
    return (file.parent / text).resolve() if text else None


def _test_patient(table: TomlTable) -> ListedPatient:
    patient = ListedPatient(table.text("id"), table.text("issuer", ""))
    table.finish()
    return patient


def _demand_whole(table: TomlTable, settings: WorldsSettings) -> None:
    """A half is a tripwire that somebody believes in and that is none."""
    knows_other = settings.other is not None or settings.other_file is not None
    if knows_other and settings.key is None:
        table.wrong("key", "is needed: the key of the hashes, the same in both worlds")
    if settings.key is not None and not knows_other:
        table.wrong("other", "is needed: the other world's profile (or other_file, host, port and ae_title)")
    called = (bool(settings.host), bool(settings.port), bool(settings.ae_title))
    if any(called) and not all(called):
        table.wrong("host", "host, port and ae_title go together")
