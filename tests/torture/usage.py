"""What a process uses: memory, open files, threads; and what it may have kept when nothing goes on any more (I10)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.torture.judge import Used

BACK_SECONDS = 60.0  # within which files and threads are back
# What is kept for the next who needs it: connections of the database's pool (two files each), a segment, an association
# for each sender; a thread or two that wait for work.
KEPT_FILES, KEPT_THREADS = 16, 6
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Use:
    """What a process uses now; `peak` is the most memory that it had at any moment."""

    memory: int
    peak: int
    files: int
    threads: int


def use_of(process_id: int) -> Use | None:
    """Return what a process uses; None where there is none."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
        files = sum(1 for _ in Path(f"/proc/{process_id}/fd").iterdir())
    except OSError:
        return None
    said = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    if "VmRSS" not in said:
        return None  # it has ended, and nobody has asked for its exit code yet
    return Use(int(said["VmRSS"][0]) * 1024, int(said["VmHWM"][0]) * 1024, files, int(said["Threads"][0]))


def uses(process_ids: Mapping[str, int]) -> dict[str, Use]:
    """Return what each named process uses; those that have gone are left out."""
    found = {name: use_of(process_id) for name, process_id in process_ids.items()}
    return {name: use for name, use in found.items() if use is not None}


def used(base: Mapping[str, Use], now: Mapping[str, Use], associations: int, parts: int = 1) -> list[Used]:
    """Return what each process has used beyond what it began with; `parts` of the product are one process."""
    return [
        Used(
            name,
            growth=max(0, use.peak - base[name].memory),
            files=max(0, use.files - base[name].files - parts * KEPT_FILES),
            threads=max(0, use.threads - base[name].threads - parts * KEPT_THREADS),
            associations=associations,
        )
        for name, use in now.items()
        if name in base
    ]


def rested(look: Callable[[], list[Used]]) -> list[Used]:
    """Wait until files and threads are back, for no longer than they may take; return what is used then."""
    deadline = time.monotonic() + BACK_SECONDS
    found = look()
    while any(one.files or one.threads for one in found) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        found = look()
    return found


def children(process_id: int) -> list[int]:
    """Return the processes that one has begun, in their order."""
    return [int(word) for word in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]
