"""Every HL7 file there is: read or refused, never anything else."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from broker.orders.messages import header_facts, translate
from broker.orders.messages.context import Context
from broker.orders.model import Refusal
from broker.orders.sources import Sources
from tests.golden.cases import FOLDER, messages_of
from tests.golden.world import World

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


def _context(sources: Sources, raw: bytes) -> Context:
    return sources.context(header_facts(raw), "127.0.0.1", NOW)


def _sources(folder: Path) -> Sources:
    with closing(World(folder)) as world:
        return Sources(world.profile.hl7, world.profile.name)


def _payloads(samples: Path | None) -> list[tuple[str, bytes]]:
    found = [(file.name, raw) for file in sorted(FOLDER.rglob("*.hl7")) for raw in messages_of(file)]
    files = sorted((samples / "hl7").iterdir()) if samples else []
    return found + [(file.name, file.read_bytes()) for file in files if file.is_file()]


def test_every_file_is_translated_or_refused(samples: Path | None, tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    for name, raw in _payloads(samples):
        try:
            translate(raw, _context(sources, raw))
        except Refusal as refusal:
            assert refusal.answer in ("AE", "AR"), name
            assert refusal.code, name


def test_no_cut_of_a_message_is_anything_but_translated_or_refused(tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    whole = (FOLDER / "orm_o01" / "everything_else.hl7").read_bytes()
    for length in range(0, len(whole), 3):
        try:
            translate(whole[:length], _context(sources, whole[:length]))
        except Refusal:
            continue
