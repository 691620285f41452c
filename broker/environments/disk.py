"""`[spool]` of a profile: below how much free space people are warned and images refused. Looks at no disk."""

from dataclasses import dataclass

from broker.environments.reading import TomlTable

_LARGEST_MIB = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """Free space of the spool's disk in MiB; None: 4,096 and 512, of a small disk a seventh and a twentieth."""

    warn_mib: int | None = None  # a person is told
    refuse_mib: int | None = None  # images are answered A700; the rest is left to orders, outcomes and alerts


def read_disk(root: TomlTable) -> DiskSettings:
    """Return `[spool]`; note each mistake. 0 warns, or refuses, never."""
    table = root.table("spool", required=False)
    settings = DiskSettings(_mib(table, "warn_mib"), _mib(table, "refuse_mib"))
    table.finish()
    return settings


def _mib(table: TomlTable, key: str) -> int | None:
    return table.integer(key, 0, _LARGEST_MIB) if table.has(key) else None
