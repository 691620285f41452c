"""The sign-off packet: whole, or said to be altered."""

import hashlib
from datetime import UTC, datetime

import pytest

from broker.errors import Refused
from broker.promotion.model import Difference, Request, RequestState
from broker.promotion.paper import as_pdf, packet
from broker.registry.model import Binding
from tests.unit.promotion.test_flow import ONE, PASSED

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
REQUEST = Request(
    id="production/7",
    name="us",
    plan_checksum="c0",
    source_environment="test",
    source_file="test.toml",
    revision=hashlib.sha256(ONE).hexdigest(),
    document=ONE,
    binding=Binding("10.0.0.9", 104),
    state=RequestState.APPLIED,
    requested=NOW,
    requested_by="person:ann",
    decided=NOW,
    decided_by="person:eve",
    applied=NOW,
    applied_by="person:ann",
    why="</script> cutover",
    evidence=(PASSED,),
)
SAID = packet.contents(REQUEST, (Difference("location", "", "ROOM 2"),), "General Hospital")
PAGE = packet.document(SAID)
TEXT = packet.text(SAID)


def test_a_packet_says_all_that_it_was_made_of() -> None:
    said = packet.read(PAGE)
    assert (said["id"], said["people"]["decided_by"]) == ("production/7", "person:eve")
    assert said["evidence"][0]["check"] == "verification"
    assert said["differences"][0]["after"] == "ROOM 2"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("person:eve", "person:ann"),
        ("echoed", "ECHOED"),
        ('"state": "passed"', '"state": "n/a"'),
        ("ROOM 2", "ROOM 3"),
        ("General Hospital", "Special Hospital"),
        ("</body>", "<p>and approved by all</p></body>"),
    ],
)
def test_whatever_is_altered_is_told(before: str, after: str) -> None:
    assert before in PAGE
    for altered in (PAGE.replace(before, after), PAGE.replace(before, after, 1)):
        with pytest.raises(Refused, match="altered"):
            packet.read(altered)


def test_a_document_that_is_another_is_told_even_under_a_new_digest() -> None:
    said = packet.read(PAGE)
    said["document"] = "bmFtZSA9ICJ4Igo="
    with pytest.raises(Refused, match="not the revision"):
        packet.read(packet.document(said))


@pytest.mark.parametrize("page", ["", "<html></html>", PAGE[: len(PAGE) // 2]])
def test_what_is_no_packet_is_told(page: str) -> None:
    with pytest.raises(Refused):
        packet.read(page)


def test_as_text_it_says_the_same_and_is_verified_the_same_way() -> None:
    assert packet.read(TEXT) == packet.read(PAGE)
    lines = TEXT.splitlines()
    assert lines[0] == "Sign-off of us"
    assert "decided    person:eve  2026-02-01 08:00:00" in lines
    assert "location  -       ROOM 2" in lines


@pytest.mark.parametrize("before", ["person:eve", "ROOM 2", "echoed", "cutover", "-----END PACKET-----"])
def test_a_text_that_is_altered_is_told(before: str) -> None:
    assert before in TEXT
    with pytest.raises(Refused, match=r"altered|no sign-off packet"):
        packet.read(TEXT.replace(before, before.upper() if before.islower() else "person:ann", 1))


def test_as_pdf_it_is_one_file_to_be_read() -> None:
    pdf = as_pdf.of_packet(SAID, NOW)
    assert pdf.startswith(b"%PDF-")
    assert b"/Type /Page" in pdf
