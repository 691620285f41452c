"""How fast a destination is sent to: the decision as a table, and pieces on simulated time."""

import pytest

from broker.delivery.pace import Bucket, Pacer, full, seconds_for, take
from broker.errors import Unavailable


class Line:
    """A clock that waiting moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stops = False

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.stops


def test_a_bucket_holds_one_piece_and_then_makes_wait() -> None:
    bucket = full(800, 0.0)  # 100,000 bytes a second
    assert (bucket.rate, bucket.piece) == (100_000.0, 25_000)
    bucket, seconds = take(bucket, 25_000, 0.0)
    assert seconds == 0
    bucket, seconds = take(bucket, 25_000, 0.0)
    assert seconds == pytest.approx(0.25)
    bucket, seconds = take(bucket, 25_000, 0.25)
    assert seconds == pytest.approx(0.25)


def test_after_a_pause_nothing_is_caught_up_on() -> None:
    bucket, _ = take(full(800, 0.0), 25_000, 0.0)
    bucket, seconds = take(bucket, 25_000, 3600.0)
    assert seconds == 0
    assert take(bucket, 25_000, 3600.0)[1] == pytest.approx(0.25)


def test_a_clock_that_goes_back_changes_nothing() -> None:
    bucket = Bucket(1000.0, 0.0, 50.0)
    bucket, seconds = take(bucket, 500, 10.0)
    assert (bucket.at, seconds) == (50.0, 0.5)


@pytest.mark.parametrize(("kbit", "piece"), [(64, 2000), (8, 1024), (10_000_000, 256 * 1024)])
def test_a_piece_is_neither_tiny_nor_huge(kbit: int, piece: int) -> None:
    assert full(kbit, 0.0).piece == piece


def test_what_is_sent_takes_as_long_as_the_line_needs_and_arrives_whole() -> None:
    line = Line()
    pacer = Pacer(800, line.wait, lambda: line.now)
    data = bytes(range(256)) * 4000  # 1,024,000 bytes
    sent = b"".join(bytes(piece) for part in (data[:700_001], data[700_001:]) for piece in pacer(part))
    assert sent == data
    assert line.now - 100.0 == pytest.approx(len(data) / 100_000, abs=0.3)


def test_two_associations_share_the_line() -> None:
    line = Line()
    pacer = Pacer(800, line.wait, lambda: line.now)
    one, other = pacer(bytes(500_000)), pacer(bytes(500_000))
    for _ in range(20):
        next(one)
        next(other)
    assert line.now - 100.0 == pytest.approx(10.0, abs=0.3)


def test_who_waits_is_woken_when_we_stop() -> None:
    line = Line()
    line.stops = True
    with pytest.raises(Unavailable, match="we stop"):
        list(Pacer(64, line.wait, lambda: line.now)(bytes(10_000)))


def test_a_lease_covers_what_is_on_its_way() -> None:
    assert seconds_for(8_000_000, 64) == 1000
    assert seconds_for(1_250_000, 0) == 1
