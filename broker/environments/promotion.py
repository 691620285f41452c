"""The `[promotion]` of a profile: what is asked of a device before it may go live. Decides nothing."""

from dataclasses import dataclass
from pathlib import Path

from broker.environments.reading import TomlTable
from broker.environments.secret import Secret, read_secret


@dataclass(frozen=True, slots=True)
class PromotionSettings:
    """How much a device has to show in Test: so many exams, on so many days, by a clock so close to ours.

    In Production: so many whole exams until the watch over it ends, and after how many hours a person is told else.
    """

    soak_exams: int = 3
    soak_days: int = 2
    clock_minutes: int = 5
    watch_exams: int = 1
    watch_hours: int = 24
    packet_hours: int = 24  # so old may an evidence packet be that another host has signed
    packet_key: Secret | None = None  # that signs evidence packets, the same on both hosts; None: the key of `[worlds]`


_DEFAULT = PromotionSettings()


def read_promotion(root: TomlTable, file: Path | None = None) -> PromotionSettings:
    """Return `[promotion]`; note each mistake."""
    table = root.table("promotion", required=False)
    settings = PromotionSettings(
        soak_exams=table.integer("soak_exams", 1, 1000, _DEFAULT.soak_exams),
        soak_days=table.integer("soak_days", 1, 365, _DEFAULT.soak_days),
        clock_minutes=table.integer("clock_minutes", 1, 60, _DEFAULT.clock_minutes),
        watch_exams=table.integer("watch_exams", 1, 1000, _DEFAULT.watch_exams),
        watch_hours=table.integer("watch_hours", 1, 8760, _DEFAULT.watch_hours),
        packet_hours=table.integer("packet_hours", 1, 8760, _DEFAULT.packet_hours),
        packet_key=read_secret(table, "packet_key", file or Path()) if table.has("packet_key") else None,
    )
    table.finish()
    return settings
