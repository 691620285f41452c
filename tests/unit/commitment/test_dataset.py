"""The data sets of storage commitment, against pydicom's reading and writing of them."""

from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from broker.commitment import dataset
from broker.commitment.model import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    CommitmentRefused,
    Outcome,
    Reference,
    Report,
    Request,
    failure_text,
)
from tests.unit.spool.datasets import BIG_ENDIAN, EXPLICIT, IMPLICIT

SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
ONE, TWO = Reference("1.2.840.10008.5.1.4.1.1.6.1", "1.2.3"), Reference("1.2.840.10008.5.1.4.1.1.3.1", "1.2.33")


def by_pydicom(data: bytes, syntax: str) -> Dataset:
    return read_dataset(BytesIO(data), syntax == IMPLICIT, syntax != BIG_ENDIAN)


def from_pydicom(made: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
    write_dataset(stream, made)
    return bytes(stream.getvalue())


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_request_is_what_pydicom_reads(syntax: str) -> None:
    request = Request("2.25.1", (ONE, TWO))
    data = dataset.write_request(request, syntax)
    found = by_pydicom(data, syntax)
    assert found.TransactionUID == "2.25.1"
    items = [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in found.ReferencedSOPSequence]
    assert items == [(ONE.sop_class_uid, ONE.sop_instance_uid), (TWO.sop_class_uid, TWO.sop_instance_uid)]
    assert dataset.read_request(data, syntax) == request
    assert dataset.read_request(from_pydicom(found, syntax), syntax) == request


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_report_names_each_instance_in_one_sequence(syntax: str) -> None:
    report = Report("2.25.1", (Outcome(ONE), Outcome(TWO, 0x0112)))
    data = dataset.write_report(report, syntax)
    found = by_pydicom(data, syntax)
    assert [item.ReferencedSOPInstanceUID for item in found.ReferencedSOPSequence] == ["1.2.3"]
    assert [(i.ReferencedSOPInstanceUID, i.FailureReason) for i in found.FailedSOPSequence] == [("1.2.33", 0x0112)]
    assert dataset.read_report(data, syntax) == report
    assert dataset.read_report(from_pydicom(found, syntax), syntax) == report


def test_the_event_type_says_whether_all_were_committed() -> None:
    assert Report("1.2", (Outcome(ONE), Outcome(TWO))).event_type == ALL_COMMITTED
    assert Report("1.2", (Outcome(ONE), Outcome(TWO, 0x0110))).event_type == FAILURES_EXIST
    assert b"\x98\x11" not in dataset.write_report(Report("1.2", (Outcome(ONE),)), IMPLICIT), "no empty sequence"


def test_an_instance_is_named_once_and_one_in_both_sequences_has_failed() -> None:
    assert dataset.read_request(dataset.write_request(Request("1.2", (ONE, ONE)), IMPLICIT), IMPLICIT).references == (
        ONE,
    )
    both = dataset.write_report(Report("1.2", (Outcome(ONE), Outcome(ONE, 0x0119))), IMPLICIT)
    assert dataset.read_report(both, IMPLICIT).outcomes == (Outcome(ONE, 0x0119),)


def test_a_failure_without_a_reason_is_a_failure() -> None:
    made = by_pydicom(dataset.write_report(Report("1.2", (Outcome(ONE, 0x0112),)), EXPLICIT), EXPLICIT)
    del made.FailedSOPSequence[0].FailureReason
    assert dataset.read_report(from_pydicom(made, EXPLICIT), EXPLICIT).outcomes == (Outcome(ONE, 0x0110),)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (None, 0x0115),
        (b"\x08\x00", 0x0212),
        (b"\xff" * 40, 0x0212),
        (dataset.write_request(Request("", (ONE,)), IMPLICIT), 0x0115),
        (dataset.write_request(Request("no uid", (ONE,)), IMPLICIT), 0x0115),
        (dataset.write_request(Request("1.2", ()), IMPLICIT), 0x0115),
        (dataset.write_request(Request("1.2", (Reference("", "1.2"),)), IMPLICIT), 0x0115),
        (dataset.write_request(Request("1.2", (Reference("1.2", "x" * 65),)), IMPLICIT), 0x0115),
    ],
)
def test_what_is_no_request_is_refused_with_its_status(data: bytes | None, status: int) -> None:
    with pytest.raises(CommitmentRefused) as refused:
        dataset.read_request(data, IMPLICIT)
    assert refused.value.status == status


def test_thousands_of_instances_are_read() -> None:
    many = tuple(Reference(ONE.sop_class_uid, f"1.2.3.{number}") for number in range(6000))
    assert dataset.read_request(dataset.write_request(Request("1.2", many), IMPLICIT), IMPLICIT).references == many


@pytest.mark.parametrize(("reason", "word"), [(0x0112, "does not have"), (0x0001, "standard does not have")])
def test_a_reason_is_said_with_its_number(reason: int, word: str) -> None:
    assert word in failure_text(reason)
    assert failure_text(reason).endswith(f"({reason:04X})")
