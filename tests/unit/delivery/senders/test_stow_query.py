"""Asking a DICOMweb server: what it lists, and whether it answers as one does."""

import json

import pytest

from broker.delivery.http_answers import Cut, HttpRefused
from broker.delivery.senders.stow_peer import StowPeer
from broker.delivery.senders.stow_query import lists, probe
from broker.errors import Unavailable
from tests.peers.web import http
from tests.unit.delivery.senders.desk import Desk


@pytest.fixture
def peer(desk: Desk) -> StowPeer:
    stow = desk.way.stow
    assert stow is not None
    return stow


def found(*uids: str) -> bytes:
    items = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]
    return http(200, json.dumps(items).encode(), "application/dicom+json")


def test_an_instance_is_looked_for_in_its_study(desk: Desk, peer: StowPeer) -> None:
    desk.web.answer = lambda _got: found("1.1")
    assert lists(peer, "1.2.3", "1.1")
    assert not lists(peer, "1.2.3", "1.11")
    assert lists(peer, "", "1.1")
    assert lists(peer, "../../x", "1.1")
    assert desk.web.asked == [
        "/dicom-web/studies/1.2.3/instances?SOPInstanceUID=1.1",
        "/dicom-web/studies/1.2.3/instances?SOPInstanceUID=1.11",
        "/dicom-web/instances?SOPInstanceUID=1.1",
        "/dicom-web/instances?SOPInstanceUID=1.1",
    ]
    assert {got.headers["accept"] for got in desk.web.got} == {"application/dicom+json"}


def test_a_uid_that_is_none_cannot_leave_its_key(desk: Desk, peer: StowPeer) -> None:
    desk.web.answer = lambda _got: found()
    assert not lists(peer, "", "1.1&limit=0#x /é")
    assert desk.web.asked == ["/dicom-web/instances?SOPInstanceUID=1.1%26limit%3D0%23x+%2F%C3%A9"]


@pytest.mark.parametrize("answer", [found(), found("9.9"), http(204), http(404)])
def test_what_is_not_listed_is_not_there(desk: Desk, peer: StowPeer, answer: bytes) -> None:
    desk.web.answer = lambda _got: answer
    assert not lists(peer, "1.2.3", "1.1")


@pytest.mark.parametrize(
    "answer",
    [http(200), http(200, b"<html/>", "text/html"), http(206, b"[]"), http(500), http(400), found("1.1")[:-5]],
)
def test_without_an_answer_that_can_be_read_nothing_is_known(desk: Desk, peer: StowPeer, answer: bytes) -> None:
    desk.web.answer = lambda _got: lambda connection: connection.sendall(answer)
    with pytest.raises(Unavailable):
        lists(peer, "1.2.3", "1.1")


@pytest.mark.parametrize("status", [401, 403, 405, 429, 503, 302])
def test_a_refusal_is_the_destination_s(desk: Desk, peer: StowPeer, status: int) -> None:
    desk.web.answer = lambda _got: http(status)
    with pytest.raises(HttpRefused, match=f"HTTP {status}"):
        lists(peer, "1.2.3", "1.1")


def test_a_question_over_a_connection_that_was_just_closed_is_put_again_and_no_more(desk: Desk, peer: StowPeer) -> None:
    answers = [found("1.1"), b"", found("1.1"), b"", b""]
    desk.web.answer = lambda _got: answers.pop(0)
    assert lists(peer, "1.2.3", "1.1")
    assert lists(peer, "1.2.3", "1.1")
    with pytest.raises(Cut):
        lists(peer, "1.2.3", "1.1")
    assert answers == []


@pytest.mark.parametrize("answer", [found(), http(204), http(405)])
def test_a_server_that_answers_is_well_and_is_asked_for_no_patient(desk: Desk, peer: StowPeer, answer: bytes) -> None:
    desk.web.answer = lambda _got: answer
    assert probe(peer).startswith("answers")
    (target,) = desk.web.asked
    assert target.startswith("/dicom-web/studies?StudyInstanceUID=2.25.")
    assert target.endswith("&limit=1")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(404), "there is no STOW-RS at this address"),
        (http(401), "it does not take our login"),
        (http(200, b"<html>PACS</html>", "text/html"), "something else than DICOM: is url its DICOMweb base?"),
        (http(500), "HTTP 500"),
    ],
)
def test_a_server_that_does_not_answer_as_one_is_said(desk: Desk, peer: StowPeer, answer: bytes, said: str) -> None:
    desk.web.answer = lambda _got: answer
    with pytest.raises(Unavailable) as raised:
        probe(peer)
    assert said in str(raised.value)
