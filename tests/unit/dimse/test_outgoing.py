"""A file's slice as P-DATA-TFs: every byte once, even fragments, and nothing left over from the round before."""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.dimse.outgoing import FilePdus
from broker.dimse.service import Altered

COMMAND = b"the command's own PDUs"
CONTENT = bytes(range(1, 256)) * 9


def pdvs(sent: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(sent):
        kind, length, inner, context_id, control = struct.unpack_from(">BxIIBB", sent, at)
        assert (kind, inner, context_id) == (4, length - 4, 3)
        yield control, sent[at + 12 : at + 6 + length]
        at += 6 + length


def cut(path: Path, length: int, size: int, is_deflated: bool) -> list[tuple[int, bytes]]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        cut = FilePdus(descriptor, 10, length, 3, size, is_deflated=is_deflated)
        sent = b"".join(bytes(each) for each in cut.rounds(COMMAND, bytearray(cut.room(COMMAND))))
        assert sent.startswith(COMMAND)
        return list(pdvs(sent[len(COMMAND) :]))
    finally:
        os.close(descriptor)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "image"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize("size", [2, 6, 1000, 4096])
@pytest.mark.parametrize("length", [0, 1, 2, 999, 1000, 1001, 2000, 2001])
def test_every_byte_leaves_once_and_the_last_fragment_says_so(path: Path, length: int, size: int) -> None:
    found = cut(path, length, size, is_deflated=False)
    assert b"".join(content for _, content in found) == CONTENT[10 : 10 + length]
    assert [control for control, _ in found] == [0] * (len(found) - 1) + [2]


@pytest.mark.parametrize("size", [2, 6, 1000, 4096])
@pytest.mark.parametrize("length", [1, 2, 999, 1000, 1001, 2001])
def test_a_deflated_data_set_of_odd_length_is_padded(path: Path, length: int, size: int) -> None:
    # DCMTK and Orthanc abort at a fragment of odd length; dcmconv writes such files.
    found = cut(path, length, size, is_deflated=True)
    assert b"".join(content for _, content in found) == CONTENT[10 : 10 + length] + bytes(length % 2)
    assert all(len(content) % 2 == 0 for _, content in found)


Parts = tuple[bytes | tuple[int, int], ...]


@pytest.mark.parametrize("size", [2, 6, 1000, 4096])
@pytest.mark.parametrize(
    "parts",
    [
        (b"ours",),
        ((0, 10), b"ours", (20, 100)),
        (b"", (0, 0), (5, 1), b"x", b"y" * 999, (5, 2000), b"z"),
    ],
)
def test_slices_and_bytes_of_ours_leave_in_their_order(path: Path, parts: Parts, size: int) -> None:
    whole = b"".join(part if isinstance(part, bytes) else CONTENT[part[0] : sum(part)] for part in parts)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pdus = FilePdus(descriptor, 0, len(whole), 3, size, parts=parts)
        sent = b"".join(bytes(each) for each in pdus.rounds(COMMAND, bytearray(pdus.room(COMMAND))))
    finally:
        os.close(descriptor)
    assert b"".join(content for _, content in pdvs(sent[len(COMMAND) :])) == whole


@pytest.mark.parametrize("length", [0, 1, 16384, 2**20, 2**20 + 1, 5 * 2**19])
@pytest.mark.parametrize("is_whole", [True, False])
def test_the_end_leaves_only_if_all_has_the_right_hash(tmp_path: Path, length: int, is_whole: bool) -> None:
    path = tmp_path / "image"
    content = os.urandom(length)
    path.write_bytes(content)
    sha256 = hashlib.sha256(content if is_whole else content + b"x").hexdigest()
    descriptor = os.open(path, os.O_RDONLY)
    sent = bytearray()
    try:
        cut = FilePdus(descriptor, 0, length, 3, 16384, sha256=sha256)
        for ready in cut.rounds(COMMAND, bytearray(cut.room(COMMAND))):
            sent += ready
        assert is_whole
    except Altered:
        assert not is_whole
    finally:
        os.close(descriptor)
    found = list(pdvs(bytes(sent).removeprefix(COMMAND)))
    assert any(control == 2 for control, _ in found) == is_whole
    assert content.startswith(b"".join(piece for _, piece in found))
    assert is_whole or len(sent) < length or not sent


def test_a_file_that_ends_too_soon_is_altered(path: Path) -> None:
    with pytest.raises(Altered):
        cut(path, len(CONTENT), 1000, is_deflated=False)
