"""The worklist as PDF where the machine has no font: pages, and what is told. How it looks: tests/browser."""

import subprocess
import sys
from dataclasses import replace

from broker.exams.printed.as_pdf import document
from broker.exams.printed.page import rooms
from tests.unit.exams.printed.building import DAY, HEADING, modality
from tests.unit.worklist.building import item

ROOMS = [modality("us-1", "US1"), modality("us-2", "US2")]


def pages(content: bytes) -> int:
    return content.count(b"/Type /Page\n")


def test_each_room_has_a_page_and_a_long_day_several() -> None:
    assert pages(document(rooms([item()], ROOMS, DAY), HEADING, files=()).content) == 2
    many = [item(id=number) for number in range(40)]
    assert pages(document(rooms(many, ROOMS, DAY), HEADING, files=()).content) == 5


def test_characters_that_no_font_has_are_returned() -> None:
    named = item(patient_name="Wang^XiaoDong=王^小東", attributes={"ReferringPhysicianName": "Łuk"})
    paper = document(rooms([named], ROOMS, DAY), HEADING, files=())
    assert paper.lacking == ("Ł", "小", "東", "王")
    assert document(rooms([item()], ROOMS, DAY), HEADING, files=()).lacking == ()


def test_the_same_day_at_the_same_time_is_the_same_paper() -> None:
    warned = replace(HEADING, warning="nothing has come")
    first, second = (document(rooms([item()], ROOMS, DAY), warned, files=()).content for _ in range(2))
    assert first == second
    assert first.startswith(b"%PDF-")


def test_no_other_command_loads_what_draws_it() -> None:
    loaded = (
        "import broker.cli, broker.app.serve, sys; sys.exit(any(name in sys.modules for name in ('fpdf', 'fontTools')))"
    )
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
