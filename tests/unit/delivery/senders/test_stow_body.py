"""The multipart body: its length before it is sent, its parts, and that it is never in memory."""

import tracemalloc
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from broker.delivery.content import Content, Slice
from broker.delivery.senders.stow_body import PIECE, Body, part
from broker.errors import Unavailable
from tests.peers.web import Got
from tests.unit.delivery.senders.desk import Desk
from tests.unit.spool.datasets import data_set


def got(body: Body) -> Got:
    return Got("POST", "/studies", {"content-type": body.content_type}, b"".join(body), 0)


def test_length_is_that_of_what_is_sent_each_time(desk: Desk) -> None:
    instances = [desk.owe(uid, pixels=size) for uid, size in (("1.1", 64), ("1.2", 300_000), ("1.3", PIECE * 2))]
    body = Body([part(each, desk.way.open(each)) for each in instances])
    assert [len(got(body).body) for _ in range(2)] == [body.length] * 2
    assert got(body).uids == ["1.1", "1.2", "1.3"]
    assert max(map(len, body)) <= PIECE


def test_each_part_is_a_file_that_pydicom_reads_without_a_doubt(desk: Desk) -> None:
    instance = desk.owe("1.1")
    (file,) = got(Body([part(instance, desk.way.open(instance))])).parts
    read = pydicom.dcmread(BytesIO(file.file))
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == "1.1"
    assert read.file_meta.MediaStorageSOPClassUID == read.SOPClassUID
    assert read.file_meta.SourceApplicationEntityTitle == "US_ROOM2"
    assert "PrivateInformation" not in read.file_meta
    assert file.data_set == data_set("1.1")


def test_what_a_rule_puts_between_slices_is_sent_where_it_stands(desk: Desk) -> None:
    instance = desk.owe("1.1")
    length, path = instance.length, desk.spool.path_of(instance)
    parts = (Slice(instance.offset, 10), b"between", Slice(instance.offset + 10, length - 10))
    body = Body([part(instance, Content(path, bytes, parts))])
    (file,) = got(body).parts
    assert file.data_set == data_set("1.1")[:10] + b"between" + data_set("1.1")[10:]
    assert len(b"".join(body)) == body.length


def test_boundaries_are_never_the_same(desk: Desk) -> None:
    instance = desk.owe("1.1")
    types = {Body([part(instance, desk.way.open(instance))]).content_type for _ in range(100)}
    assert len(types) == 100
    assert all(len(each.partition("boundary=")[2]) == 32 for each in types)


def test_a_large_instance_is_never_in_memory(desk: Desk, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1024**3)
    content = Content(large, bytes, (Slice(0, 1024**3),))
    body = Body([part(desk.owe("1.1"), content)])
    tracemalloc.start()
    sent = sum(len(piece) for piece in body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent == body.length > 1024**3
    assert peak < 2 * 1024**2


def test_a_file_that_ends_early_is_the_spool_s_fault(desk: Desk) -> None:
    instance = desk.owe("1.1")
    desk.spool.path_of(instance).write_bytes(b"short")
    with pytest.raises(Unavailable, match="the spool cannot be read"):
        list(Body([part(instance, desk.way.open(instance))]))


def test_a_uid_that_is_none_is_no_error_here(desk: Desk) -> None:
    instance = desk.owe("1.1")
    odd = replace(instance, facts=replace(instance.facts, sop_instance_uid="1.2.\xe9"))
    assert got(Body([part(odd, desk.way.open(instance))])).uids == ["1.2.?"]
