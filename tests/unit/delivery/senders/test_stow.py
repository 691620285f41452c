"""Each class of answer to STOW-RS, over real connections: what is said of each instance, and what is sent again."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from broker.delivery.http_answers import HttpRefused, Unreached
from broker.delivery.senders import stow
from broker.delivery.senders.outcome import (
    Answered,
    Damaged,
    Enough,
    Listed,
    NoContext,
    Outcome,
    Refused,
    Unanswered,
)
from broker.errors import Unavailable
from tests.peers.web import Got, Reply, http, stated, statement
from tests.unit.delivery.senders.desk import Desk
from tests.unit.spool.datasets import data_set

KEPT = Answered(0x0000)
UIDS = ("1.1", "1.2", "1.3")


def storing(reply: Callable[[Got], Reply | None]) -> Callable[[Got], Reply | None]:
    """Answer requests to store with `reply`, and searches as a server does."""
    return lambda got: reply(got) if got.method == "POST" else None


def once(reply: Reply) -> Callable[[Got], Reply | None]:
    """Answer the first request to store so, and the others as a server does."""
    left = [reply]
    return storing(lambda _got: left.pop() if left else None)


# --- what is sent ------------------------------------------------------------------------------------------------


def test_a_batch_is_one_request_and_arrives_byte_for_byte(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    assert desk.send() == dict.fromkeys(UIDS, KEPT)
    (got,) = desk.web.got
    assert (got.method, got.target) == ("POST", "/dicom-web/studies")
    assert got.headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert got.headers["accept"] == "application/dicom+json"
    assert "transfer-encoding" not in got.headers
    assert [part.header for part in got.parts] == [b"Content-Type: application/dicom"] * 3
    assert [part.data_set for part in got.parts] == [data_set(uid) for uid in UIDS]
    assert {part.transfer_syntax for part in got.parts} == {"1.2.840.10008.1.2.1"}


def test_what_arrives_says_whence_it_came_but_not_how(desk: Desk) -> None:
    desk.owe("1.1")
    desk.send()
    (part,) = desk.web.got[0].parts
    assert part.file.startswith(bytes(128) + b"DICM")
    assert b"US_ROOM2" in part.meta
    assert b"01ASSOCIATION" not in part.file


def test_a_batch_is_cut_by_number_and_by_size(desk: Desk) -> None:
    desk.owe_all("1.1", "1.2", "1.3", "1.4", "1.5")
    desk.send(batch_instances=2)
    assert desk.web.stored == [["1.1", "1.2"], ["1.3", "1.4"], ["1.5"]]
    assert {got.connection for got in desk.web.got} == {0}
    desk.batch, desk.web.got = [], []
    desk.owe("2.1", pixels=600_000)
    desk.owe("2.2", pixels=600_000)
    desk.owe("2.3", pixels=3_000_000)
    desk.send(batch_instances=20, batch_megabytes=1)
    assert desk.web.stored == [["2.1"], ["2.2"], ["2.3"]]


def test_what_is_sent_goes_at_its_pace_whole(desk: Desk) -> None:
    desk.owe("1.1", pixels=300_000)
    asked: list[int] = []

    def pace(ready: bytes) -> Iterator[memoryview]:
        for start in range(0, len(ready), 1000):
            asked.append(start)
            yield memoryview(ready)[start : start + 1000]

    way = desk.way
    assert way.stow is not None
    way.stow.pace = pace
    assert [outcome for _, outcome in stow.send(desk.batch, way)] == [KEPT]
    assert len(asked) > 300
    assert desk.web.got[0].parts[0].data_set == data_set("1.1", pixels=300_000)


def test_one_uid_is_never_twice_in_a_request(desk: Desk) -> None:
    desk.owe("1.1")
    desk.owe("1.1", pixels=80)
    desk.owe("1.2")
    desk.send()
    assert desk.web.stored == [["1.1"], ["1.1", "1.2"]]


def test_a_damaged_file_is_not_sent_and_keeps_no_other(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    path = desk.spool.path_of(desk.batch[1][1])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    outcomes = desk.send()
    assert isinstance(outcomes["1.2"], Damaged)
    assert (outcomes["1.1"], outcomes["1.3"]) == (KEPT, KEPT)
    assert desk.web.stored == [["1.1", "1.3"]]


# --- what is stated ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "outcome"),
    [
        (0xA700, Answered(0xA700)),
        (0xA900, Answered(0xA900)),
        (0xC000, Answered(0xC000)),
        (0x0110, Answered(0x0110)),
        (0x0124, Answered(0x0124)),
        (0x0122, NoContext(3)),
        (0xC122, NoContext(4)),
        (0xFE00, Answered(0xFE00)),
    ],
)
@pytest.mark.parametrize("status", [200, 202, 400, 409, 422])
def test_a_failure_reason_is_that_of_its_instance(desk: Desk, status: int, failed: int, outcome: Outcome) -> None:
    desk.owe_all(*UIDS)
    others = {"1.1": None, "1.3": None} if status < 400 else {}
    failures = {"1.2": failed} if status < 400 else dict.fromkeys(UIDS, failed)
    desk.web.answer = storing(lambda _got: stated(others, failures, status))
    outcomes = desk.send()
    assert outcomes["1.2"] == outcome
    assert len(desk.web.stored) == 1
    assert desk.web.asked == []
    if others:
        assert (outcomes["1.1"], outcomes["1.3"]) == (KEPT, KEPT)


def test_a_warning_is_kept_with_its_reason(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = storing(lambda _got: stated({"1.1": 0xB000, "1.2": None, "1.3": 0xB007}, status=202))
    assert desk.send() == {"1.1": Answered(0xB000), "1.2": KEPT, "1.3": Answered(0xB007)}


def test_what_is_stored_is_told_before_what_makes_the_destination_pause(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = storing(lambda _got: stated({"1.3": None}, {"1.1": 0xA700, "1.2": 0xC000}, 202))
    assert list(desk.send()) == ["1.3", "1.2", "1.1"]


def test_who_has_had_enough_is_told_what_is_known_and_no_more_is_sent(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    desk.settings = desk.settings.__class__(batch_instances=2)
    outcomes = stow.send(desk.batch, desk.way)
    first = next(outcomes)
    second = outcomes.throw(Enough())
    assert [first[0].id, second[0].id] == [1, 2]
    assert list(outcomes) == []
    assert desk.web.stored == [["1.1", "1.2"]]


def test_xml_is_read_where_the_server_writes_it(desk: Desk) -> None:
    desk.owe_all("1.1", "1.2")
    desk.web.answer = storing(lambda _got: http(202, XML, "application/dicom+xml"))
    assert desk.send() == {"1.1": Answered(0xB006), "1.2": Answered(0xA901)}


XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">
 <DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"><Item number="1">
  <DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2</Value></DicomAttribute>
  <DicomAttribute tag="00081197" vr="US"><Value number="1">43265</Value></DicomAttribute></Item></DicomAttribute>
 <DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence"><Item number="1">
  <DicomAttribute tag="00081155" vr="UI"><Value number="1">1.1</Value></DicomAttribute>
  <DicomAttribute tag="00081196" vr="US"><Value number="1">45062</Value></DicomAttribute></Item></DicomAttribute>
</NativeDicomModel>"""


def test_xml_is_asked_for_where_json_is_not_acceptable_and_then_at_once(desk: Desk) -> None:
    desk.owe_all("1.1", "1.2")
    desk.web.answer = storing(lambda got: None if "xml" in got.headers["accept"] else http(406))
    assert desk.send(batch_instances=1) == {"1.1": KEPT, "1.2": KEPT}
    assert [got.headers["accept"] for got in desk.web.got] == ["application/dicom+json"] + ["application/dicom+xml"] * 2


# --- what is not stated ------------------------------------------------------------------------------------------

SILENT: dict[str, Reply] = {
    "no body": http(200),
    "204": http(204),
    "HTML": http(200, b"<html><body>Welcome</body></html>", "text/html"),
    "other JSON": http(200, b'{"status": "ok"}', "application/json"),
    "empty JSON": http(200, b"{}", "application/dicom+json"),
    "a list": http(200, b"[1, 2]", "application/dicom+json"),
    "cut JSON": http(200, statement(list(UIDS))[:-9], "application/dicom+json"),
    "deep JSON": http(200, b"[" * 100_000, "application/dicom+json"),
    "nobody's UID": stated(["9.9"]),
    "201": http(201, b"created", "text/plain"),
    "cut body": http(200, statement(list(UIDS)), "application/dicom+json")[:-20],
    "compressed": http(200, statement(list(UIDS)), "application/dicom+json", Content_Encoding="gzip"),
    "document type": http(200, b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + XML.partition(b"?>")[2], "application/dicom+xml"),
}


def closing(reply: Reply) -> Reply:
    """The same, and the connection ends."""
    if not isinstance(reply, bytes):
        return reply

    def say(connection: socket.socket) -> None:
        connection.sendall(reply)
        connection.shutdown(socket.SHUT_RDWR)

    return say


@pytest.mark.parametrize("what", SILENT)
def test_without_a_word_nothing_is_taken_for_stored_and_it_is_asked(desk: Desk, what: str) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = storing(lambda _got: closing(SILENT[what]))
    (outcome,) = desk.send().values()
    assert isinstance(outcome, Unanswered)
    assert "without a word" in str(outcome.error)
    assert desk.web.stored == [list(UIDS), ["1.1"]]
    assert desk.web.asked == [f"/dicom-web/studies/1.2.3/instances?SOPInstanceUID={uid}" for uid in (*UIDS, "1.1")]


@pytest.mark.parametrize("what", SILENT)
def test_what_it_lists_it_has_though_it_did_not_say_so(desk: Desk, what: str) -> None:
    desk.owe_all(*UIDS)

    def keep(got: Got) -> Reply:
        desk.web.kept |= {part.sop_instance_uid: part for part in got.parts[:2]}
        return closing(SILENT[what]) if len(desk.web.stored) == 1 else stated(got.uids)

    desk.web.answer = storing(keep)
    assert desk.send() == {"1.1": Listed(), "1.2": Listed(), "1.3": KEPT}
    assert desk.web.stored == [list(UIDS), ["1.3"]]


def test_an_instance_in_neither_list_is_sent_again_alone(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = once(stated(["1.1", "1.3"], status=202))
    assert desk.send() == {"1.1": KEPT, "1.3": KEPT, "1.2": KEPT}
    assert desk.web.stored == [list(UIDS), ["1.2"]]


@pytest.mark.parametrize(
    "reply",
    [
        stated(["1.1"], {"1.1": 0xC000}, 202),
        stated({"1.1": 0xA700}, status=202),
        stated(["1.1"], status=409),
        stated({}, {"1.1": 0x0000}, 202),
        stated({}, {"1.1": 0xB00E}, 409),
        stated({}, {"1.1": 0x0111}, 409),
        stated({}, {"1.1": None}, 202),
    ],
    ids=["both lists", "A700 as a warning", "stored with 409", "failed with 0000", "has it (B00E)", "0111", "none"],
)
def test_a_contradiction_is_settled_by_asking(desk: Desk, reply: bytes) -> None:
    desk.owe("1.1")
    desk.web.answer = storing(lambda _got: reply)
    assert not isinstance(desk.send()["1.1"], Listed | type(KEPT)) or desk.send()["1.1"] != KEPT
    desk.web.kept = {"1.1": desk.web.got[0].parts[0]}
    assert desk.send() == {"1.1": Listed()}


def test_a_failure_without_a_usable_reason_is_a_processing_failure(desk: Desk) -> None:
    desk.owe("1.1")
    desk.web.answer = storing(lambda _got: stated({}, {"1.1": 0xB00E}, 409))
    assert desk.send() == {"1.1": Answered(0x0110, "failure reason B00E, which is none")}
    desk.web.answer = storing(lambda _got: stated({}, {"1.1": None}, 409))
    assert desk.send() == {"1.1": Answered(0x0110)}


def test_a_failure_without_a_reference_is_that_of_an_instance_alone(desk: Desk) -> None:
    other = {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA900]}}]}}
    desk.owe_all("1.1", "1.2")

    def reply(got: Got) -> Reply | None:
        is_bad = "1.2" in got.uids
        return http(202, json.dumps(other).encode(), "application/dicom+json") if is_bad else None

    desk.web.answer = storing(reply)
    assert desk.send() == {"1.1": KEPT, "1.2": Answered(0xA900)}


def test_a_server_that_lists_all_it_has_lists_not_this_one(desk: Desk) -> None:
    desk.owe("1.1")
    everything = json.dumps([{"00080018": {"vr": "UI", "Value": ["9.9"]}}]).encode()
    desk.web.answer = lambda got: http(200) if got.method == "POST" else http(200, everything, "application/json")
    assert isinstance(desk.send()["1.1"], Unanswered)


@pytest.mark.parametrize("search", [http(404), http(405), http(501), http(200, b"<html/>", "text/html"), http(400)])
def test_a_server_that_takes_no_queries_is_not_believed_without_a_word(desk: Desk, search: bytes) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = lambda got: http(200) if got.method == "POST" else search
    assert [type(outcome) for outcome in desk.send().values()] == [Unanswered]


# --- refused whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 409, 413, 415, 418, 422, 451])
def test_one_that_makes_a_request_be_refused_keeps_no_other(desk: Desk, status: int) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = storing(lambda got: http(status, b"no: bad\x07 one", "text/plain") if "1.2" in got.uids else None)
    assert desk.send() == {"1.1": KEPT, "1.2": Refused(status, "no: bad one"), "1.3": KEPT}
    assert desk.web.stored == [list(UIDS), ["1.1"], ["1.2"], ["1.3"]]


def test_a_refused_media_type_may_be_the_syntax_where_another_is_allowed(desk: Desk) -> None:
    desk.owe("1.1")
    desk.web.answer = storing(lambda _got: http(415))
    way = desk.way
    assert way.stow is not None
    way.stow.transcodes = True
    assert [outcome for _, outcome in stow.send(desk.batch, way)] == [NoContext(4)]


def test_after_413_requests_are_smaller(desk: Desk) -> None:
    for number in range(8):
        desk.owe(f"1.{number}", pixels=400_000)
    desk.web.answer = storing(lambda got: http(413) if len(got.body) > 1_300_000 else None)
    outcomes = desk.send(batch_instances=4)
    assert set(outcomes.values()) == {KEPT}
    sizes = [len(uids) for uids in desk.web.stored]
    assert sizes == [4, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("status", [500, 502, 504, 408, 599])
def test_one_that_makes_the_server_fail_keeps_no_other_and_may_be_stored(desk: Desk, status: int) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = storing(lambda got: http(status) if "1.2" in got.uids else None)
    outcomes = desk.send()
    assert outcomes["1.1"] == KEPT
    assert isinstance(outcomes["1.2"], Unanswered)
    assert f"HTTP {status}" in str(outcomes["1.2"].error)
    assert "1.3" not in outcomes
    desk.web.kept["1.2"] = desk.web.got[0].parts[1]
    assert desk.send()["1.2"] == Listed()


def test_a_server_that_fails_is_asked_no_more_than_twice(desk: Desk) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = lambda _got: http(502)
    assert [type(outcome) for outcome in desk.send().values()] == [Unanswered]
    assert desk.web.stored == [list(UIDS), ["1.1"]]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(status, True) for status in (300, 301, 302, 307, 308, 401, 402, 403, 404, 405, 406, 407, 410, 411, 501, 505)]
    + [(429, False), (503, False), (507, False)],
)
def test_a_status_about_us_is_the_destination_s(desk: Desk, status: int, permanent: bool) -> None:
    desk.owe_all(*UIDS)
    desk.web.answer = lambda _got: http(status, Location="http://127.0.0.1:1/elsewhere")
    with pytest.raises(HttpRefused, match=f"HTTP {status}: ") as raised:
        desk.send()
    assert raised.value.is_permanent is permanent
    assert "elsewhere" not in str(raised.value)
    assert len(desk.web.got) == (2 if status == 406 else 1)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "120"}, 120),
        ({"Retry_After": "9" * 40}, 3600),
        ({"Retry_After": "-5"}, 0),
        ({"Retry_After": "soon"}, 0),
        ({}, 0),
        ({"Retry_After": "Sun, 22 Nov 2026 10:05:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 300),
        ({"Retry_After": "Sun, 22 Nov 2026 10:05:00 GMT"}, 0),
    ],
)
def test_it_is_left_alone_for_as_long_as_it_asks(desk: Desk, headers: dict[str, str], seconds: int) -> None:
    desk.owe("1.1")
    desk.web.answer = lambda _got: http(503, **headers)
    with pytest.raises(HttpRefused) as raised:
        desk.send()
    assert raised.value.seconds == seconds


# --- no answer ---------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_unavailable_and_nothing_is_said_of_an_instance(desk: Desk) -> None:
    desk.owe("1.1")
    desk.url = "http://127.0.0.1:1/dicom-web"
    with pytest.raises(Unreached, match="nothing listens on this port"):
        desk.send()


@pytest.mark.parametrize("at", [0, 5, 15, 40])
def test_a_cut_within_the_answer_is_unknown_and_asked(desk: Desk, at: int) -> None:
    desk.owe_all(*UIDS)

    def reply(got: Got) -> Reply | None:
        if len(desk.web.stored) > 1:
            return None
        desk.web.kept |= {part.sop_instance_uid: part for part in got.parts}
        return closing(stated(got.uids)[:at])

    desk.web.answer = storing(reply)
    assert desk.send() == dict.fromkeys(UIDS, Listed())
    assert len(desk.web.stored) == 1


def test_an_answer_that_comes_before_the_request_is_whole_counts(desk: Desk) -> None:
    desk.owe("1.1", pixels=8_000_000)
    desk.web.before = lambda head: http(403) if head.startswith("POST") else None

    def refuse(connection: socket.socket) -> None:
        connection.sendall(http(403))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    desk.web.before = lambda head: refuse if head.startswith("POST") else None
    with pytest.raises(HttpRefused, match="HTTP 403"):
        desk.send()


def test_an_informational_answer_comes_before_the_one_that_counts(desk: Desk) -> None:
    desk.owe("1.1")
    desk.web.answer = storing(lambda got: b"HTTP/1.1 102 Processing\r\n\r\n" + stated(got.uids))
    assert desk.send() == {"1.1": KEPT}


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x02\0\0\0\0\x04\0\0\0\0",
        b"HTTP/1.1 200 " + b"x" * 200_000,
    ],
)
def test_what_is_no_http_is_no_answer(desk: Desk, reply: bytes) -> None:
    desk.owe("1.1")
    desk.web.answer = storing(lambda _got: closing(reply))
    assert isinstance(desk.send()["1.1"], Unanswered)


def test_an_endless_answer_is_not_read_to_its_end(desk: Desk) -> None:
    desk.owe("1.1")
    sent = []

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            sent.append(connection.send(b" " * 65536))

    desk.web.answer = storing(lambda _got: endless)
    assert isinstance(desk.send()["1.1"], Unanswered)
    assert sum(sent) < 100_000_000


def test_the_spool_s_failure_is_not_taken_for_the_network_s(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.owe("1.1", pixels=400_000)
    way = desk.way
    path = desk.spool.path_of(desk.batch[0][1])
    monkeypatch.setattr(desk.spool, "verify", lambda _instance: path.write_bytes(path.read_bytes()[:-70_000]))
    with pytest.raises(Unavailable, match="the spool cannot be read"):
        list(stow.send(desk.batch, way))
    assert desk.web.got == []
