"""Bad input of Storage, classes D06 to D13: a defined answer each, and what is answered 0000 arrives byte for byte.

`$BROKER_SAMPLES/dicom` adds its files to D06. After each case the service answers a C-ECHO, its memory has not grown.
"""

import os
import re
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

from tests.peers.dcmtk import Node
from tests.peers.raw_sender import DataSet, read_part10, send
from tests.torture.classes import Case, FaultClass
from tests.torture.measured import GROWTH_BYTES, resident
from tests.torture.store_faults import world_of
from tests.torture.store_world import World
from tests.unit.spool.datasets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, UNDEFINED, US_IMAGE, data_set, element
from tests.wire.dimse.test_acceptor_states import echoes

Statuses = Collection[int | None]
TAKEN = (0x0000,)
REFUSED = (0xA900, *range(0xC000, 0xD000))  # PS3.4 table B.2-1: does not match its class, cannot be understood
EITHER = (*TAKEN, *REFUSED)
ABORTED = None  # no answer: the association has ended
_OURS = re.compile(r"[0-9A-Z]{26}\.dcm|[0-9]{8}-[0-9A-Za-z]{16}\.(seg|free)|written|taken|[0-9A-Z]{26}\.bin")


def offered(item: DataSet, expected: Statuses, world: World) -> int | None:
    """Send an input; demand one of the expected answers, and that it arrives unchanged where it was taken."""
    pacs = world.pacs["pacs"]
    pacs.kept.clear()
    before = resident(os.getpid())
    status = answer_to(item, world)
    growth = resident(os.getpid()) - before
    said = "no answer" if status is None else f"{status:04X}"
    assert status in expected, f"answered {said}"
    assert growth < GROWTH_BYTES, f"memory grew by {growth / 2**20:.0f} MiB"
    assert echoes(world.port), "no C-ECHO after it"
    world.deliver()
    assert [each.content for each in pacs.kept] == [item.data] * (status == 0), "what arrived is not what was answered"
    return status


def answer_to(item: DataSet, world: World, calling: str = "PEER") -> int | None:
    """Return the status; None where the association was refused or ended."""
    try:
        return send(Node(world.port, "BROKER"), calling, item, 10.0)
    except (OSError, AssertionError, struct.error):
        return None


def _offer(name: str, content: bytes, expected: Statuses, syntax: str = EXPLICIT, uid: str = "") -> Case[World]:
    return Case(name, lambda world: _offered_new(content, expected, syntax, uid, world))


def _offered_new(content: bytes, expected: Statuses, syntax: str, uid: str, world: World) -> None:
    """Offer it under a UID of its own, which stands for `_UID` in it."""
    own = uid or world.next_uid().ljust(len(_UID), "0")
    offered(DataSet(US_IMAGE, own, syntax, content.replace(_UID.encode(), own.encode())), expected, world)


_UID = "1.2.826.0.1.7.000000000000000000"  # takes the place of one that nothing has
_IMAGE = data_set(_UID)
_HEAD = _IMAGE[: _IMAGE.index(b"\x10\x00\x10\x00")]  # up to the patient
_TAIL = _IMAGE[len(_HEAD) :]


# --- D06: every file, whole and cut ------------------------------------------------------------------------------


def files() -> Iterator[Case[World]]:
    """D06: each file as it is, and its data set cut at fifty places."""
    folders = [Path(__file__).parents[2] / "fixtures" / "dicom"]
    if samples := os.environ.get("BROKER_SAMPLES"):
        folders.append(Path(samples) / "dicom")
    for file in sorted(path for folder in folders for path in folder.glob("*.dcm")):
        if file.read_bytes()[128:132] != b"DICM":
            continue
        yield Case(f"{file.name} whole", partial(_file, file, -1))
        for number in range(50):
            yield Case(f"{file.name} cut {number}", partial(_file, file, number))


def _file(file: Path, cut: int, world: World) -> None:
    item = read_part10(file)
    if not (item.sop_class_uid and item.sop_instance_uid and item.transfer_syntax):
        return
    at = len(item.data) if cut < 0 else len(item.data) * cut // 50
    content = item.data[:at]
    known = world.taken.setdefault(f"{file.name} {at}", content)
    assert known is content or known == content
    offered(DataSet(item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax, content), EITHER, world)


# --- D07: UIDs ---------------------------------------------------------------------------------------------------

_UIDS = (
    *(".", "..", "../../x", "/etc/passwd", "", "1", "1." * 31 + "12", "1." * 32 + "1", "1." * 499 + "12"),
    *("1.02.3", " 1.2.3", "1.2.3 ", "1.2 .3", "1.2.3\0.4", "1.2.٣", "1..2", "1.2.", ".1.2", "1.2.x", "con.seg"),
)


def uids() -> Iterator[Case[World]]:
    """D07: UIDs that are none, in the command, in the data set, in both: names of ours only, whatever they say."""
    for number, (uid, where) in enumerate(product(_UIDS, ("command", "data set", "both"))):
        yield Case(f"{uid[:30]!r} in {where} ({len(uid)})", partial(_odd_uid, f"{uid}", where, number))


def _odd_uid(uid: str, where: str, number: int, world: World) -> None:
    good = f"{world.next_uid()}.{number}"
    content = data_set(good if where == "command" else uid)
    item = DataSet(US_IMAGE, good if where == "data set" else uid, EXPLICIT, content)
    pacs = world.pacs["pacs"]
    pacs.kept.clear()
    status = answer_to(item, world)
    assert status in (*EITHER, 0x0117, ABORTED), f"answered {status:04X}"
    assert echoes(world.port), "no C-ECHO after it"
    world.deliver()
    assert all(each.content == content for each in pacs.kept), "other bytes arrived"
    strange = [
        path.name for path in world.spool.directory.rglob("*") if path.is_file() and not _OURS.fullmatch(path.name)
    ]
    assert not strange, f"a file of the spool is named {strange[0]}"


# --- D08: lengths and depth --------------------------------------------------------------------------------------


def lengths() -> Iterator[Case[World]]:
    """D08: lengths that lie, before and after the UIDs; sequences of any depth, with and without ends."""
    for tag, vr in ((0x00100020, "LO"), (0x00104000, "LT"), (0x00181000, "LO"), (0x00091010, "OB"), (0x00091011, "UN")):
        for length in (1, 3, 0x7FFF, 0xFFFE, 0xFFFF):
            yield _offer(f"{vr} of {length}", _HEAD + element(tag, vr, b"12", length=length) + _TAIL, EITHER)
    for vr in ("OB", "UN", "OW", "SQ", "UT"):
        for length in (2**31, 2**32 - 2, 2**32 - 1):
            yield _offer(f"{vr} of {length}", _HEAD + element(0x00091010, vr, b"12", length=length) + _TAIL, EITHER)
    for depth in (1, 15, 16, 17, 31, 32, 33, 64, 200, 1100, 20_000):
        for ends in (True, False):
            yield _offer(f"depth {depth}, {'' if ends else 'no '}ends", _HEAD + _nested(depth, ends) + _TAIL, EITHER)
    for length in (0, 1, 2, 7, 8, 9, 11):
        yield _offer(f"{length} bytes in all", _IMAGE[:length], REFUSED)
    for at in range(8, len(_HEAD), 12):
        yield _offer(f"ends at {at}", _IMAGE[:at], EITHER)


def _nested(depth: int, ends: bool) -> bytes:
    start = element(0x00081140, "SQ", length=UNDEFINED) + element(0xFFFEE000, "", length=UNDEFINED)
    end = element(0xFFFEE00D, "") + element(0xFFFEE0DD, "")
    return start * depth + end * (depth if ends else 0)


# --- D09: the same SOP instance ----------------------------------------------------------------------------------


def twins() -> Iterator[Case[World]]:
    """D09: the same bytes, or others, a series, study or patient of its own, from one peer or two."""
    changes: dict[str, dict[str, bytes]] = {
        "the same": {},
        "other bytes": {"StationName": b"OTHER"},
        "other series": {"SeriesInstanceUID": b"1.2.4.9"},
        "other study": {"StudyInstanceUID": b"1.2.4"},
        "other patient": {"PatientID": b"P2"},
        "other accession": {"AccessionNumber": b"A2"},
    }
    for (name, change), calling, is_delivered in product(changes.items(), ("PEER", "PEER2"), (False, True)):
        yield Case(f"{name} from {calling}, {is_delivered}", partial(_twin, change, calling, is_delivered))


def _twin(change: dict[str, bytes], calling: str, is_delivered: bool, world: World) -> None:
    pacs, uid = world.pacs["pacs"], world.next_uid()
    pacs.kept.clear()
    first, second = data_set(uid), data_set(uid, **change)
    for content, title in ((first, "PEER"), (second, calling)):
        assert answer_to(DataSet(US_IMAGE, uid, EXPLICIT, content), world, title) == 0
        if is_delivered:
            world.deliver()
    world.deliver()
    assert {each.content for each in pacs.kept} == {first, second}, "a version is missing"
    assert len(pacs.kept) == len({first, second}), "something was sent twice"


# --- D10: bombs --------------------------------------------------------------------------------------------------


def bombs() -> Iterator[Case[World]]:
    """D10: deflated data sets that grow, other compressions, images of impossible size: nothing is decoded."""
    for mebibytes in (1, 10, 100, 1000, 10_000):
        for head in (_HEAD, b""):
            content = _deflated(head + element(0x00091010, "OB", length=0xFFFFFFF0), mebibytes)
            yield _offer(f"deflated, {mebibytes} MiB, {len(head)}", content, EITHER, DEFLATED)
    yield _offer("gzip", zlib.compress(_IMAGE, wbits=31), REFUSED, DEFLATED)
    yield _offer("zlib", zlib.compress(_IMAGE), REFUSED, DEFLATED)
    for size in (46341, 65535):
        sized = element(0x00280010, "US", struct.pack("<H", size)) + element(0x00280011, "US", struct.pack("<H", size))
        before, pixels = _IMAGE[: _IMAGE.index(b"\xe0\x7f\x10\x00")], _IMAGE[_IMAGE.index(b"\xe0\x7f\x10\x00") :]
        yield _offer(f"{size} by {size}", before + sized + pixels, TAKEN)
        yield _offer(f"{size} by {size}, JPEG", before + sized + pixels, TAKEN, "1.2.840.10008.1.2.4.50")


def _deflated(head: bytes, mebibytes: int) -> bytes:
    """Return a head and so many MiB of zeros: a block of one MiB that stands there again and again."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * mebibytes + packer.flush()


# --- D11: what a file may begin with -----------------------------------------------------------------------------


def beginnings() -> Iterator[Case[World]]:
    """D11: a data set that begins as a program does is none; what we write never begins as one."""
    for start in (
        b"MZ",
        b"\x7fELF",
        b"II*\0",
        b"MM\0*",
        b"#!/bin/sh\n",
        b"PK\x03\x04",
        b"%PDF-1.4",
        bytes(128) + b"DICM",
    ):
        yield _offer(f"begins with {start[:6]!r}", start + _IMAGE, REFUSED)
    yield Case("a file of ours", _own_file)


def _own_file(world: World) -> None:
    (uid,) = world.take(1, pixels=1_200_000)
    (file,) = world.spool.directory.rglob("*.dcm")
    assert file.read_bytes()[:132] == bytes(128) + b"DICM", uid
    world.settle([uid])


# --- D12: character sets -----------------------------------------------------------------------------------------

_SETS = (
    *("", "ISO_IR 6", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 144", "ISO_IR 127", "ISO_IR 126"),
    *("ISO_IR 138", "ISO_IR 148", "ISO_IR 166", "ISO_IR 13", "ISO_IR 192", "GB18030", "GBK", "ISO 2022 IR 6"),
    *("ISO 2022 IR 100", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "\\ISO 2022 IR 58"),
    *("ISO_IR 999", "UTF-8", "latin1", "\\", "\\\\\\", "ISO_IR 192\\ISO_IR 100", "x" * 64, "\0\0"),
)
_NAMES = (b"Buc^J\xe9r\xf4me", b"\x1b$B;3ED^B@O:\x1b(B", b"Yamada^\xff\xfe", bytes(range(128, 192)))


def character_sets() -> Iterator[Case[World]]:
    """D12: whatever is declared and whatever stands there, it passes as it is."""
    for name, patient in product(_SETS, _NAMES[:2]):
        content = data_set(_UID, SpecificCharacterSet=name.encode(), PatientName=patient)
        yield _offer(f"{name[:30]!r} {patient[:8]!r}", content, TAKEN)
    for patient in _NAMES[2:]:
        yield _offer(f"no set, {patient[:8]!r}", data_set(_UID, SpecificCharacterSet=None, PatientName=patient), TAKEN)


# --- D13: order and kinds of elements ----------------------------------------------------------------------------


def odd_elements() -> Iterator[Case[World]]:
    """D13: group 0002 inside, elements twice or unordered, private ones without a creator, UN for what is known."""
    meta = element(0x00020000, "UL", struct.pack("<I", 0)) + element(0x00020010, "UI", EXPLICIT.encode())
    extra = {
        "group 0002": meta,
        "group 0000": element(0x00000002, "UI", b"1.2"),
        "again": element(0x00100020, "LO", b"P2"),
        "no creator": element(0x00091001, "LO", b"x"),
        "creator": element(0x00090010, "LO", b"ACME") + element(0x00091001, "LO", b"x"),
        "UN": element(0x00101010, "UN", b"030Y"),
        "sequence as UN": element(0x00081140, "UN", _nested(0, True) + element(0xFFFEE0DD, ""), length=UNDEFINED),
        "unknown VR": element(0x00091001, "ZZ", b"12"),
        "lower VR": element(0x00091001, "lo", b"12"),
        "no VR": element(0x00091001, "LO", b"12", syntax=IMPLICIT),
        "group length": element(0x00100000, "UL", struct.pack("<I", 4)),
        "length 0": element(0x00100030, "DA", b""),
        "same UID": element(0x00080018, "UI", _UID.encode()),
        "other UID": element(0x00080018, "UI", b"1.2.3.4.5.6"),
        "padding": element(0xFFFCFFFC, "OB", bytes(64)),
    }
    places = {"first": 0, "in the middle": len(_HEAD), "last": len(_IMAGE)}
    for (name, piece), (where, at) in product(extra.items(), places.items()):
        yield _offer(f"{name} {where}", _IMAGE[:at] + piece + _IMAGE[at:], EITHER)
    for syntax, other in product((EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED), repeat=2):
        if other not in (syntax, DEFLATED):
            yield _offer(f"{other} called {syntax}", data_set(_UID, syntax=other), EITHER, syntax)
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.201"):
        yield _offer(f"syntax {syntax}", _IMAGE, TAKEN, syntax)
    yield _offer("unordered", _HEAD[-40:] + _IMAGE, EITHER)
    yield _offer("backwards", _TAIL + _HEAD, EITHER)
    yield _offer("twice", _IMAGE * 2, EITHER)


@contextmanager
def _world() -> Iterator[World]:
    with world_of(1) as world:
        yield world


CLASSES: Sequence[FaultClass[World]] = tuple(
    FaultClass(name, cases, least, _world, patience=10)
    for name, cases, least in (
        ("D06 files whole and cut", files, 153),
        ("D07 UIDs", uids, 60),
        ("D08 lengths and depth", lengths, 80),
        ("D09 the same SOP instance", twins, 24),
        ("D10 bombs", bombs, 15),
        ("D11 beginnings", beginnings, 8),
        ("D12 character sets", character_sets, 60),
        ("D13 odd elements", odd_elements, 60),
    )
)
