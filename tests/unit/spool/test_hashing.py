"""A hash that is computed beside: of the same bytes, whatever the pieces; its thread ends whatever happens."""

import hashlib
import random
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Unavailable
from broker.spool.hashing import BLOCK, BesideHash

CONTENT = random.Random(7).randbytes(5 * BLOCK + 12_345)


def _reused(lengths: list[int]) -> Iterator[memoryview]:
    """Give the content in pieces that are valid until the next is asked for, as they come from a connection."""
    buffer, at = bytearray(max(lengths, default=0)), 0
    for length in lengths:
        piece = CONTENT[at : at + length]
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]
        at += len(piece)


@given(st.lists(st.one_of(st.integers(0, 3 * BLOCK), st.sampled_from([1, BLOCK - 1, BLOCK, BLOCK + 1])), max_size=12))
def test_the_blocks_are_the_bytes_that_came_and_the_hash_is_theirs(lengths: list[int]) -> None:
    wanted = CONTENT[: sum(lengths)]
    with BesideHash() as digest:
        seen = b"".join(bytes(block) for block in digest.blocks(_reused(lengths)))
        assert (seen, digest.length) == (wanted, len(wanted))
        assert digest.sha256() == hashlib.sha256(wanted).hexdigest()


def test_all_blocks_but_the_last_are_full() -> None:
    with BesideHash() as digest:
        sizes = [len(block) for block in digest.blocks(_reused([1000] * (len(CONTENT) // 1000)))]
    assert set(sizes[:-1]) == {BLOCK}
    assert 0 < sizes[-1] <= BLOCK


def test_its_thread_ends_when_the_peer_goes_away() -> None:
    def broken() -> Iterator[memoryview]:
        yield memoryview(CONTENT)
        raise Unavailable("the peer is gone")

    with pytest.raises(Unavailable, match="gone"), BesideHash() as digest:
        for _ in digest.blocks(broken()):
            pass
    assert not [thread for thread in threading.enumerate() if thread.name == "hash"]


def test_without_a_thread_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Unavailable), BesideHash():
        pass
