"""Frames in a stream."""

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.mllp import BETWEEN_FRAMES, ENDED, RESTARTED, Discarded, Event, Frame, Framer, TooLong, frame


def fed(*pieces: bytes, maximum: int = 1000) -> list[Event]:
    framer = Framer(maximum)
    return [event for piece in pieces for event in framer.feed(piece)] + framer.end()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"\x0bA\x1c\r", [Frame(b"A")]),
        (b"\x0b\x1c\r", [Frame(b"")]),
        (b"\x0bA\x1c\r\x0bB\x1c\r", [Frame(b"A"), Frame(b"B")]),
        (b"\n \0\x0bA\x1c\r\n\x0bB\x1c\r", [
            Discarded(3, BETWEEN_FRAMES), Frame(b"A"), Discarded(1, BETWEEN_FRAMES), Frame(b"B")]),
        (b"MSH|A\x1c\r", [Discarded(7, BETWEEN_FRAMES)]),
        (b"\x0bA", [Discarded(2, ENDED)]),
        (b"\x0bA\x1c", [Discarded(3, ENDED)]),
        (b"\x0bA\x1cB\x1c\r", [Frame(b"A\x1cB")]),
        (b"\x0bA\x1c\x1c\r", [Frame(b"A\x1c")]),
        (b"\x0bA\x1c\n\x1c\r", [Frame(b"A\x1c\n")]),
        (b"\x0bA\x0bB\x1c\r", [Discarded(2, RESTARTED), Frame(b"B")]),
        (b"\x0bA\x1c\x0bB\x1c\r", [Discarded(3, RESTARTED), Frame(b"B")]),
        (b"\x0b\x0b\x0bB\x1c\r", [Discarded(2, RESTARTED), Frame(b"B")]),
        (b"\x0bA\x1c\rtail\x1c\r\x0bB\x1c\r", [Frame(b"A"), Discarded(6, BETWEEN_FRAMES), Frame(b"B")]),
        (b"\x0b\x06\x1c\r\x0b\x15\x1c\r", [Frame(b"\x06"), Frame(b"\x15")]),
    ],
)  # fmt: skip
def test_stream_gives_these_frames_however_it_is_cut(stream: bytes, events: list[Event]) -> None:
    assert fed(stream) == events
    for cut in range(len(stream)):
        assert frames(fed(stream[:cut], stream[cut:])) == frames(events)
    single = [stream[at : at + 1] for at in range(len(stream))]
    assert frames(fed(*single)) == frames(events)
    assert lost(fed(*single)) == lost(events)


def frames(events: list[Event]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, Frame)]


def lost(events: list[Event]) -> int:
    return sum(event.count for event in events if isinstance(event, Discarded))


def test_a_hundred_frames_in_one_piece() -> None:
    payloads = [str(number).encode() for number in range(100)]
    assert frames(fed(b"".join(map(frame, payloads)))) == payloads


def test_framer_knows_whether_it_is_inside_a_frame() -> None:
    framer = Framer(10)
    seen = []
    for byte in (b"x", b"\x0b", b"A", b"\x1c", b"\r"):
        framer.feed(byte)
        seen.append(framer.in_frame)
    assert seen == [False, True, True, True, False]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_limit_is_on_the_payload_and_what_came_before_is_still_good(step: int) -> None:
    assert frames(fed(frame(b"x" * 10), maximum=10)) == [b"x" * 10]
    framer = Framer(10)
    stream = frame(b"A") + frame(b"x" * 11)
    got: list[Event] = []
    with pytest.raises(TooLong) as refused:
        for at in range(0, len(stream), step):
            got += framer.feed(stream[at : at + step])
    assert frames(got + refused.value.events) == [b"A"]


def test_endless_bytes_between_frames_are_too_long_as_well() -> None:
    framer = Framer(10)
    framer.feed(b"x" * 10)
    with pytest.raises(TooLong):
        framer.feed(b"x")


@pytest.mark.parametrize("payload", [b"x", b"\x1c", b"\x0b"])
def test_ten_times_the_bytes_take_about_ten_times_as_long(payload: bytes) -> None:
    def spent(count: int) -> float:
        framer = Framer(10 * count)
        framer.feed(b"\x0b")
        began = process_time()
        for _ in range(count):
            framer.feed(payload)
        return process_time() - began

    spent(1000)
    assert spent(200_000) < 60 * max(spent(20_000), 0.005)


def test_ten_mebibytes_in_small_reads() -> None:
    payload = bytes(range(32, 232)) * 52_000
    wire = frame(payload)
    assert frames(fed(*(wire[at : at + 1460] for at in range(0, len(wire), 1460)), maximum=len(payload))) == [payload]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"A"]), max_size=30))
def test_no_byte_is_lost_or_counted_twice_and_cuts_do_not_matter(pieces: list[bytes]) -> None:
    stream = b"".join(pieces)
    cut, whole = fed(*pieces), fed(stream)
    assert frames(cut) == frames(whole)
    assert lost(cut) == lost(whole)
    assert sum(len(payload) + 3 for payload in frames(whole)) + lost(whole) == len(stream)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\x0b" not in b and b"\x1c" not in b), max_size=8))
def test_what_is_framed_is_found(payloads: list[bytes]) -> None:
    assert frames(fed(b"".join(map(frame, payloads)))) == payloads
