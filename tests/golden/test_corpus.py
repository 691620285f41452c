"""Every HL7 file there is: read or refused, never anything else."""

from pathlib import Path

from broker.orders.messages import header_facts, translate
from broker.orders.model import Refusal
from broker.orders.snapshot import from_json, to_json
from tests.golden.orders import CASES, CONTEXT


def files(samples: Path | None) -> list[Path]:
    folders = [CASES.parent, *([samples / "hl7"] if samples else [])]
    return [file for folder in folders for file in sorted(folder.rglob("*.hl7"))]


def test_every_file_is_translated_or_refused(samples: Path | None) -> None:
    for file in files(samples):
        raw = file.read_bytes()
        header_facts(raw)
        try:
            changes = translate(raw, CONTEXT)
        except Refusal as refusal:
            assert refusal.answer in ("AE", "AR"), file.name
            assert refusal.code, file.name
            continue
        assert all(change.order is None or from_json(to_json(change.order)) == change.order for change in changes)


def test_no_cut_of_a_message_is_anything_but_translated_or_refused() -> None:
    whole = (CASES / "everything_else.hl7").read_bytes()
    for length in range(0, len(whole), 3):
        header_facts(whole[:length])
        try:
            translate(whole[:length], CONTEXT)
        except Refusal:
            continue
