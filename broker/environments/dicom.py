"""The DICOM tables of a profile: listeners, their limits, and TLS. Names files and opens none."""

from pathlib import Path

from broker.environments.model import CallTls, ClientCertificates, DicomLimits, DicomSettings, ListenerTls
from broker.environments.reading import TomlTable

_HIGHEST_PORT = 65535


def read_dicom(table: TomlTable, file: Path) -> DicomSettings:
    """Return `[dicom]` with `[dicom.tls]` and `[dicom.limits]`; note each mistake."""
    title = table.title("ae_title")
    aliases = table.titles("aliases", ())
    if title in aliases:
        table.wrong("aliases", f"{str(title)!r} is the ae_title itself")
    settings = DicomSettings(
        host=table.text("host"),
        port=table.integer("port", 0, _HIGHEST_PORT),
        ae_title=title,
        aliases=aliases,
        plain=table.flag("plain", default=True),
        tls=read_listener_tls(table.table("tls"), file) if table.has("tls") else None,
        limits=_limits(table.table("limits", required=False)),
    )
    if not settings.plain and not table.has("tls"):
        table.wrong("plain", "no listener would be left: add [dicom.tls]")
    table.finish()
    return settings


def read_call_tls(table: TomlTable, file: Path) -> CallTls:
    """Return the `tls` of a destination; note each mistake."""
    settings = CallTls(
        certificate=_optional_file(table, "certificate", file),
        key=_optional_file(table, "key", file),
        trusted=_optional_file(table, "trusted", file),
        checks_host=table.flag("checks_host", default=True),
    )
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if table.has(other) and not table.has(key):
            table.wrong(key, f"is missing: {other} is there")
    table.finish()
    return settings


def read_listener_tls(table: TomlTable, file: Path) -> ListenerTls:
    """Return the `tls` of a listener; note each mistake."""
    asked = table.choice("client_certificates", ClientCertificates, ClientCertificates.REQUIRED)
    settings = ListenerTls(
        port=table.integer("port", 0, _HIGHEST_PORT),
        certificate=_file(table, "certificate", file),
        key=_file(table, "key", file),
        trusted=_optional_file(table, "trusted", file),
        client_certificates=asked or ClientCertificates.REQUIRED,
    )
    # A port that lets in anybody must say so in the profile.
    if asked is ClientCertificates.REQUIRED and not table.has("trusted"):
        table.wrong("trusted", "is missing: who issues the callers' certificates? Or client_certificates = 'none'")
    table.finish()
    return settings


def _limits(table: TomlTable) -> DicomLimits:
    default = DicomLimits()
    limits = DicomLimits(
        associations=table.integer("associations", 1, 4096, default.associations),
        idle_seconds=table.integer("idle_seconds", 1, 86_400, default.idle_seconds),
        object_bytes=table.integer("object_bytes", 1024**2, 1024**4, default.object_bytes),
    )
    table.finish()
    return limits


def _optional_file(table: TomlTable, key: str, file: Path) -> Path | None:
    if table.has(key):
        return _file(table, key, file)
    table.text(key, "")  # asked for, so that a misspelt key is told of it
    return None


def _file(table: TomlTable, key: str, file: Path) -> Path:
    """Return a file as it is named: a link is followed at each reading, since renewal often means another link."""
    return file.parent / table.text(key)
