"""The console settings card, as rows, HTML and PDF."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.identifiers import AETitle
from broker.promotion.paper import as_html, as_pdf
from broker.promotion.paper.card import Card, World, card
from broker.registry.document import read
from broker.registry.model import Binding, Modality
from tests.peers.processes import program, run
from tests.unit.promotion.test_flow import PROFILE

DOCUMENT = b'name = "us-2"\nmodality = "US"\nae_titles = ["US2"]\nstation_name = "<ROOM2>"\n'
NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def both(tmp_path: Path) -> Card:
    worlds = []
    for name, port, title in (("test", 11112, AETitle("US2_T")), ("production", 11113, None)):
        file = tmp_path / f"{name}.toml"
        file.write_text(PROFILE.format(name=name).replace("port = 11112", f"port = {port}"))
        profile = profiles.read(file)
        binding = Binding("10.0.0.2", 104, title)
        worlds.append(World(name, profile.colour, profile, Modality("us-2", "ab", read(DOCUMENT, "us"), binding)))
    return card(worlds, "2026-02-01 09:00")


def test_what_changes_at_the_cutover_is_marked(both: Card) -> None:
    assert {line.setting for line in both.lines if line.differs} == {"port", "calling AE title"}


def test_the_code_says_what_is_typed_in_and_no_more(both: Card) -> None:
    assert "calling AE title=US2_T|US2" in both.code.splitlines()
    assert "port=11112|11113" in both.code.splitlines()
    assert "worklist limit" not in both.code


def test_one_world_alone_marks_nothing(both: Card) -> None:
    alone = card(both.worlds[:1], both.made)
    assert not any(line.differs for line in alone.lines)
    assert all(len(line.values) == 1 for line in alone.lines)


def test_html_has_every_value_escaped_and_the_code(both: Card) -> None:
    page = as_html.of_card(both)
    for line in both.lines:
        for value in line.values:
            assert as_html.escape(value) in page
    assert "<svg" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.foreign
def test_pdf_has_every_value(both: Card, tmp_path: Path) -> None:
    file = tmp_path / "card.pdf"
    file.write_bytes(as_pdf.of_card(both, NOW))
    done = run([program("pdftotext", "poppler-utils"), "-layout", file, "-"])
    text = " ".join(done.stdout.split())
    for line in both.lines:
        assert line.setting.split()[0] in text
    for value in ("US2_T", "US2", "11112", "11113", "BROKER"):
        assert value in text
