"""The spool's files: bytes in are bytes out, whole or not at all, and never a peer's name."""

import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker import failpoints
from broker.errors import Unavailable
from broker.spool.errors import BadInstance, DamagedInstance
from broker.spool.files import FileSpool, Known
from broker.spool.model import SpooledInstance
from tests.unit.spool.datasets import data_set, element, facts, pieces

Fail = Callable[[str], None]

PLACES = [f"spool.{what}.{when}" for what in ("write", "sync", "rename", "syncdir") for when in ("before", "after")]


@pytest.fixture
def spool(tmp_path: Path) -> FileSpool:
    return FileSpool(tmp_path / "spool")


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fail]:
    def arm(what: str) -> None:
        monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
        monkeypatch.setenv("BROKER_FAIL", what)
        failpoints.arm_from_environment()

    yield arm
    failpoints.disarm()


def kept(spool: FileSpool, data: bytes | None = None, **how: str) -> SpooledInstance:
    return spool.keep(pieces(data_set() if data is None else data), facts(**how))


def files(spool: FileSpool) -> list[Path]:
    return [path for path in spool.directory.rglob("*") if path.is_file()]


def recovered(spool: FileSpool, held: set[str], forgotten: set[str]) -> tuple[list[SpooledInstance], dict[str, str]]:
    damaged: dict[str, str] = {}
    found = list(spool.recover(lambda _ids: Known(held, forgotten), damaged.__setitem__))
    return found, damaged


def test_the_data_set_comes_out_as_it_came_in(spool: FileSpool) -> None:
    instance = kept(spool)
    with spool.open(instance) as stream:
        assert stream.read() == data_set()
    spool.verify(instance)
    assert instance.length == len(data_set())
    assert (instance.study_instance_uid, instance.patient_id, instance.modality) == ("1.2.3", "P1", "US")


def test_the_file_is_a_dicom_file_with_our_meta_information(spool: FileSpool) -> None:
    path = spool.path_of(kept(spool))
    assert path.read_bytes()[:128] == bytes(128)
    read = pydicom.dcmread(path)
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert read.file_meta.SourceApplicationEntityTitle == "US_ROOM2"
    assert read.file_meta.SendingApplicationEntityTitle == "US_ROOM2"
    assert read.file_meta.ReceivingApplicationEntityTitle == "BROKER"
    assert read.PatientID == "P1"


def test_the_path_holds_no_text_of_a_peer(spool: FileSpool) -> None:
    instance = kept(spool, calling="../../etc", device="../x")
    assert instance.path == f"{instance.id[-1]}/{instance.id[-2]}/{instance.id}.dcm"
    with pytest.raises(BadInstance):
        kept(spool, uid="../../etc/passwd")


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [
        ({"SOPInstanceUID": b"9.9"}, 0xA900, "SOPInstanceUID"),
        ({"SOPClassUID": b"9.9"}, 0xA900, "SOPClassUID"),
        ({"SOPClassUID": None}, 0xA900, "SOPClassUID"),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused(
    spool: FileSpool, changes: dict[str, bytes | None], status: int, named: str
) -> None:
    with pytest.raises(BadInstance) as refused:
        kept(spool, data_set(**changes))
    assert refused.value.status == status
    assert named in refused.value.comment
    assert len(refused.value.comment) <= 64
    assert files(spool) == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [None, b""])
def test_a_data_set_without_a_study_or_series_is_kept(spool: FileSpool, keyword: str, value: bytes | None) -> None:
    assert "" in (
        (instance := kept(spool, data_set(**{keyword: value}))).study_instance_uid,
        instance.series_instance_uid,
    )


@pytest.mark.parametrize("data", [b"\x08\x00\x05\x00\x01\x02\x00\x00", data_set()[:40]])
def test_what_cannot_be_read_is_refused(spool: FileSpool, data: bytes) -> None:
    with pytest.raises(BadInstance) as refused:
        kept(spool, data)
    assert refused.value.status == 0xC000
    assert files(spool) == []


def test_a_problem_behind_the_uids_is_the_destinations_to_judge(spool: FileSpool) -> None:
    data = data_set()[: -64 - 12] + element(0xFFFEE000, "") + b"rest"
    assert kept(spool, data).length == len(data)


def test_a_missing_patient_id_is_accepted(spool: FileSpool) -> None:
    assert kept(spool, data_set(PatientID=None)).patient_id == ""


@pytest.mark.parametrize("action", ["enospc", "eio"])
@pytest.mark.parametrize("place", PLACES)
def test_a_failing_disk_leaves_nothing_and_says_so(spool: FileSpool, fail: Fail, place: str, action: str) -> None:
    fail(f"{place}:1:{action}")
    with pytest.raises(Unavailable):
        kept(spool)
    assert files(spool) == []
    failpoints.disarm()
    spool.verify(kept(spool))


def test_a_peer_that_goes_away_leaves_nothing(spool: FileSpool) -> None:
    def broken() -> Iterator[memoryview]:
        yield memoryview(data_set()[:50])
        raise Unavailable("the peer is gone")

    with pytest.raises(Unavailable, match="peer"):
        spool.keep(broken(), facts())
    assert files(spool) == []


def test_a_file_is_synced_before_it_has_its_name(
    spool: FileSpool, fail: Fail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_FAIL_TRACE", str(tmp_path / "trace"))
    fail("")
    kept(spool)
    monkeypatch.delenv("BROKER_FAIL_TRACE")
    failpoints.arm_from_environment()
    order = list(dict.fromkeys((tmp_path / "trace").read_text().split()))
    assert order == PLACES


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "foreign"])
def test_a_damaged_file_is_found(spool: FileSpool, damage: str) -> None:
    instance = kept(spool)
    path = spool.path_of(instance)
    content = bytearray(path.read_bytes())
    match damage:
        case "flip":
            content[-1] ^= 1
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-5])
        case "delete":
            path.unlink()
        case "foreign":
            path.write_bytes(b"something else")
    with pytest.raises(DamagedInstance):
        spool.verify(instance)


def test_forgetting_removes_the_file_and_may_be_repeated(spool: FileSpool) -> None:
    instance = kept(spool)
    spool.forget(instance)
    spool.forget(instance)
    assert files(spool) == []


def test_recovery_rebuilds_what_the_index_does_not_know(spool: FileSpool) -> None:
    known, unknown = kept(spool), kept(spool, calling="ÜBER")
    found, damaged = recovered(FileSpool(spool.directory), {known.id}, set())
    assert found == [unknown]
    assert damaged == {}


def test_recovery_removes_what_was_let_go_and_what_was_half_written(spool: FileSpool) -> None:
    gone = kept(spool)
    spool.path_of(gone).with_name("01HALF.dcm.part").write_bytes(b"half")
    assert recovered(spool, set(), {gone.id}) == ([], {})
    assert files(spool) == []


def test_recovery_moves_a_damaged_file_aside_and_reports_it(spool: FileSpool) -> None:
    instance = kept(spool)
    content = spool.path_of(instance).read_bytes()
    spool.path_of(instance).write_bytes(content[:300])
    found, damaged = recovered(spool, set(), set())
    assert found == []
    assert list(damaged) == [instance.id]
    assert (spool.directory / "damaged" / f"{instance.id}.dcm").read_bytes() == content[:300]
    assert recovered(spool, set(), set()) == ([], {})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_and_leave_nothing(spool: FileSpool, data: bytes) -> None:
    with pytest.raises(BadInstance):
        kept(spool, data)
    assert files(spool) == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.binary(max_size=700))
def test_recovery_survives_any_file(spool: FileSpool, head: bytes) -> None:
    instance = kept(spool)
    content = spool.path_of(instance).read_bytes()
    at = len(head) % len(content)
    spool.path_of(instance).write_bytes(content[:at] + head)
    found, damaged = recovered(spool, set(), set())
    assert len(found) + len(damaged) == 1
    for path in files(spool):
        path.unlink()


def test_every_sample_passes_through_unchanged(spool: FileSpool, samples: Path | None) -> None:
    if samples is None:
        return
    kept_count = 0
    for path in sorted(p for p in (samples / "dicom").rglob("*") if p.is_file()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept_count += _passes_through(spool, path)
    assert kept_count > 100


def _passes_through(spool: FileSpool, path: Path) -> bool:
    """Tell whether the file was kept; every one that is must be unchanged and scanned as pydicom reads it."""
    from pydicom.filereader import _read_file_meta_info, read_preamble

    try:
        with path.open("rb") as stream:
            read_preamble(stream, force=False)
            meta = _read_file_meta_info(stream)
            data = stream.read()
        syntax, uid = str(meta.TransferSyntaxUID), str(meta.MediaStorageSOPInstanceUID)
        how = facts(uid, syntax=syntax)
        how = type(how)(
            **{f: getattr(how, f) for f in how.__slots__} | {"sop_class_uid": str(meta.MediaStorageSOPClassUID)}
        )
    except Exception:  # noqa: BLE001 - whatever pydicom raises on a file that has no usable meta information
        return False
    try:
        instance = spool.keep(pieces(data, 16_384), how)
    except BadInstance:
        return False
    with spool.open(instance) as out:
        assert out.read() == data, path.name
    spool.path_of(instance).unlink()
    _compare(instance, path)
    return True


def _compare(instance: SpooledInstance, path: Path) -> None:
    try:
        read = pydicom.dcmread(BytesIO(path.read_bytes()), stop_before_pixels=True, force=True)
        values = {
            keyword: str(read[keyword].value).strip(" \0")
            for keyword in (
                "StudyInstanceUID",
                "SeriesInstanceUID",
                "Modality",
                "StudyDate",
                "StationName",
                "PatientID",
            )
            if keyword in read and read[keyword].value is not None
        }
    except Exception:  # noqa: BLE001 - whatever pydicom raises on a file that it cannot read
        return
    for keyword, value in values.items():
        assert instance.attributes.get(keyword, "") == value, (path.name, keyword)
