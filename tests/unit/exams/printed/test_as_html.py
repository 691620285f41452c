"""The worklist on paper: a page a room, everything escaped, nothing fetched from anywhere."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from broker.exams.printed.as_html import document
from broker.exams.printed.page import rooms
from tests.unit.exams.printed.building import DAY, HEADING, modality
from tests.unit.worklist.building import item


def test_a_page_has_what_a_technologist_needs_and_room_to_write() -> None:
    text = document(rooms([item()], [modality("us-1", "US1")], DAY), HEADING)
    for expected in ("Muster, Dr Eva M Jr", "1980-02-29", "4711", "A200", "09:30", "Abdomen US", "US1", "Refer, Rita"):
        assert expected in text, expected
    assert "Sunday 01 February 2026" in text
    assert "1 step." in text
    assert "General Hospital" in text
    assert text.count("<section>") == 1
    assert "break-after: page" in text


def test_an_empty_room_says_that_nothing_is_scheduled() -> None:
    assert "Nothing is scheduled" in document(rooms([], [modality("us-1", "US1")], DAY), HEADING)


def test_values_of_a_message_are_text_and_no_markup() -> None:
    hostile = item(patient_name='<script>alert("x")</script>^$name', requested_procedure_description="A & B < C")
    text = document(rooms([hostile], [modality("us-1", "US1")], DAY), HEADING)
    assert "<script" not in text
    assert "A &amp; B &lt; C" in text
    assert "$" not in text.partition("<body>")[2].replace("$name", "")


def test_it_is_one_whole_document_that_fetches_nothing() -> None:
    text = document(rooms([item()], [modality("us-1", "US1")], DAY), HEADING)
    assert not re.search(r"(src|href)=|url\(|@import", text)
    opened: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("br", "col", "meta"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Parser().feed(text)
    assert opened == []


def test_a_silent_ris_stands_over_every_page() -> None:
    warned = replace(HEADING, warning="nothing has come")
    found = rooms([item(scheduled_station_ae_titles=("X",))], [modality("us-1", "US1")], DAY)
    assert document(found, warned).count("nothing has come") == 2
