"""`broker modality list` of every environment: how each device stands in Test and in Production, side by side."""

from collections.abc import Sequence
from pathlib import Path

from broker.cli.context import Title, listing, opened
from broker.promotion import gate
from broker.promotion import store as lives
from broker.promotion.life import ACTS_NEXT
from broker.promotion.model import Life
from broker.registry import store
from broker.registry.model import Modality

_SHORT = 12
_REHEARSING: tuple[Modality | None, Life] = (None, Life.REHEARSING)  # what comes to production is not there before
_SCHEDULED: tuple[Modality | None, Life] = (None, Life.SCHEDULED)


def beside(files: Sequence[Path], as_json: bool) -> None:
    """List every device with its life and revision in each of these environments."""
    worlds = [_world(file) for file in files]
    names = sorted({name for _, devices in worlds for name in devices})
    rows = [_row(name, worlds) for name in names]
    columns = [("name", "name"), *((world, world) for world, _ in worlds), ("same", "same"), ("next", "who acts next")]
    if not as_json:
        rows = [{key: _cell(value) for key, value in row.items()} for row in rows]
    listing(rows, columns, as_json, Title("modalities, side by side"))


def _world(file: Path) -> tuple[str, dict[str, tuple[Modality | None, Life]]]:
    with opened(str(file), by_token=False) as here, here.database.read() as tx:
        found: dict[str, tuple[Modality | None, Life]] = dict.fromkeys(lives.in_life(tx, Life.REHEARSING), _REHEARSING)
        found |= dict.fromkeys(lives.in_life(tx, Life.SCHEDULED), _SCHEDULED)
        devices = store.modalities(tx)
        this, now = gate.Here(here.profile, tx), here.clock.now()
        return here.profile.name, found | {each.name: (each, gate.stands(this, each, now)) for each in devices}


def _row(name: str, worlds: Sequence[tuple[str, dict[str, tuple[Modality | None, Life]]]]) -> dict[str, object]:
    row: dict[str, object] = {"name": name}
    revisions, acts = set(), []
    for world, devices in worlds:
        device, life = devices.get(name, (None, Life.DRAFT))
        row[world] = {"life": life.value, "revision": device.revision if device else ""}
        revisions.add(device.revision if device else "")
        is_there = device is not None or life is not Life.DRAFT
        if is_there and not ACTS_NEXT[life].startswith("nobody"):
            acts.append(f"{world}: {ACTS_NEXT[life]}")
    return {**row, "same": len(revisions) == 1, "next": "; ".join(acts)}


def _cell(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if value["revision"]:
        return f"{value['life']} {str(value['revision'])[:_SHORT]}"
    return "not there" if value["life"] == Life.DRAFT.value else value["life"]
