"""The printed worklist as a browser and a reader of PDF show it: on A4, whole, in every script, black on white."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.exams.printed import as_html, as_pdf
from broker.exams.printed.page import Heading, Room, rooms
from broker.worklist.model import WorklistItem
from tests.peers import browser
from tests.unit.exams.printed.building import DAY, HEADING, modality
from tests.unit.worklist.building import item

pytestmark = [pytest.mark.foreign, pytest.mark.slow]

A4_PIXELS = 1123  # 297 mm at 96 dots an inch
NAMES = (
    "Müster^Eva^M^Dr^Jr",
    "Wang^XiaoDong=王^小東",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Διονυσίου^Αναστασία",
    "قباني^لنزار",
    "Люксембург^Мария Александровна",
    "שרון^דבורה",
    "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine^Senior",
    "Nguyễn^Văn Ánh",
)
EVERY_WORD = ("Müster,", "小東", "山田", "やまだ", "Διονυσίου,", "Люксембург,", "Nguyễn,")
WARNED: Heading = replace(HEADING, warning="no message has come from the RIS for 2 h 5 min")


def morning(count: int) -> list[WorklistItem]:
    """Items with the longest values that a worklist may hold among them."""
    return [
        item(
            id=number,
            patient_name=NAMES[number % len(NAMES)],
            patient_id="P" * 64 if number == 3 else f"{4711 + number}",
            accession_number=f"A{number:015}",
            requested_procedure_description="Obstetric ultrasound, 2nd trimester, with survey of the fetal anatomy",
            scheduled_procedure_step_start_time=f"{7 + number // 6:02}{number % 6 * 10:02}00",
            attributes={"RequestedProcedurePriority": "STAT", "Allergies": "Latex, penicillin and contrast media"},
        )
        for number in range(count)
    ]


def day(count: int) -> list[Room]:
    return rooms(morning(count), [modality("us-1", "US1"), modality("us-2", "US2")], DAY)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("html") / "worklist.html"
    page.write_text(as_html.document(day(24), WARNED), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def printed_html(html: Path) -> Path:
    pdf = html.with_suffix(".pdf")
    browser.print_to_pdf(html, pdf)
    return pdf


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pdf") / "worklist.pdf"
    paper = as_pdf.document(day(24), WARNED)
    assert paper.lacking == ()
    file.write_bytes(paper.content)
    return file


@pytest.fixture(params=["html", "pdf"])
def paper(request: pytest.FixtureRequest) -> Path:
    file: Path = request.getfixturevalue({"html": "printed_html", "pdf": "pdf"}[request.param])
    return file


def test_no_column_of_the_page_is_pushed_off_an_a4_window(html: Path) -> None:
    seen = browser.layout(html, A4_PIXELS)
    assert seen.wide == ()
    assert seen.scroll <= seen.window


def test_the_page_is_black_on_white_on_the_screen(html: Path) -> None:
    picture = browser.screenshot(html, html.with_suffix(".png"), A4_PIXELS, 2000)
    assert picture.size == (A4_PIXELS, 2000)
    assert 0.01 < browser.ink(picture) < 0.2


def test_a_long_day_fills_pages_and_each_has_the_whole_heading(paper: Path) -> None:
    pages = browser.text_of(paper).split("\f")[:-1]
    assert len(pages) >= 4  # one of the empty room, several of the other
    for number, page in enumerate(pages):
        room = "us-2" if number == len(pages) - 1 else "us-1"
        for words in (room, "test", "Sunday 01 February 2026", "06:00+00:00 by anna", WARNED.warning, "accession"):
            assert words in page, (number, words)
        assert "page" in page
        assert " of " in page
    assert "Nothing is scheduled" in pages[-1]


def test_every_item_is_on_paper_once_in_its_script(paper: Path) -> None:
    text = browser.text_of(paper)
    found = [word.text for word in browser.words(paper)]
    for number in range(24):
        assert text.count(f"A{number:015}") == 1
        assert f"{7 + number // 6:02}:{number % 6 * 10:02}" in found
    for word in EVERY_WORD:
        assert word in found, word
    assert found.count("STAT") == 24
    assert "[U+" not in text.replace("[U+0000]", "")


def test_nothing_stands_where_printers_do_not_print_nor_in_the_column_for_the_pen(paper: Path) -> None:
    words = browser.words(paper)
    assert browser.beyond_margins(words, 5) == []
    column = [word for word in words if word.left > (297 - 10 - 38) / 25.4 * 72 and word.bottom < 545]
    names = {"test", "began,", "ended,", "remarks", "2026", "February"}
    assert {word.text for word in column} <= names


def test_each_page_has_ink_in_black_and_white(paper: Path, tmp_path: Path) -> None:
    pictures = browser.pictures(paper, tmp_path)
    assert all(0.005 < browser.ink(picture) < 0.2 for picture in pictures)
    width, height = pictures[0].size
    assert width > height


def test_a_pdf_takes_its_fonts_with_it_and_says_of_itself_what_it_is(pdf: Path) -> None:
    assert browser.fonts(pdf)
    assert all(is_embedded for is_embedded in browser.fonts(pdf).values())
    facts = browser.facts(pdf)
    assert facts["Title"] == "Worklist 2026-02-01, test"
    assert facts["Page size"] == "841.89 x 595.28 pts (A4)"
    assert "Müster" not in str(facts)


def test_without_fonts_a_pdf_has_numbers_and_says_so(tmp_path: Path) -> None:
    bare = as_pdf.document(day(9), WARNED, files=())
    file = tmp_path / "bare.pdf"
    file.write_bytes(bare.content)
    text = browser.text_of(file)
    assert "Müster, Dr Eva M Jr" in text
    assert "[U+738B]" in text
    assert "no font of this machine has Arabic, CJK, Cyrillic" in text
    assert {"王", "Д"} & set(bare.lacking) == {"王"}
    assert browser.beyond_margins(browser.words(file), 5) == []


def test_the_longest_values_leave_room_on_their_page_even_as_numbers(tmp_path: Path) -> None:
    longest = item(patient_name="=".join(["ก" * 64] * 3), scheduled_procedure_step_description="ก" * 64)
    file = tmp_path / "longest.pdf"
    file.write_bytes(as_pdf.document(rooms([longest] * 3, [modality("us-1", "US1")], DAY), WARNED, files=()).content)
    assert browser.beyond_margins(browser.words(file), 5) == []
    assert browser.text_of(file).count("1980-02-29") == 3
