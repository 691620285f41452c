"""Every file of the sample corpus, through the product, against what DCMTK alone would do with it."""

from pathlib import Path

import pytest

from broker.delivery.model import DeliveryState
from tests.peers import dcmtk, raw_sender
from tests.peers.broker import Environment, destination
from tests.peers.processes import wait_for

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.timeout(300)]

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dicom"


@pytest.fixture
def files(samples: Path | None) -> list[Path]:
    folder = samples / "dicom" if samples else FIXTURES
    return sorted(folder.glob("*.dcm"))


def _arrived(folder: Path) -> set[tuple[str, bytes]]:
    """Return what a storescp wrote: transfer syntax and data set bytes."""
    return {(item.transfer_syntax, item.data) for item in map(raw_sender.read_part10, folder.iterdir())}


def test_what_dcmsend_can_send_arrives_with_the_bytes_of_a_direct_send(tmp_path: Path, files: list[Path]) -> None:
    with dcmtk.storescp(tmp_path / "direct", unique=True) as pacs:
        for file in files:
            dcmtk.dcmsend(pacs, "US_ROOM2", [file])
    direct = _arrived(tmp_path / "direct")
    with dcmtk.storescp(tmp_path / "through", unique=True) as pacs:
        environment = Environment(tmp_path, destinations=destination("main-pacs", pacs.port)).write()
        with environment.serving():
            environment.register()
            for file in files:
                dcmtk.dcmsend(environment.dicom, "US_ROOM2", [file])
            wait_for("nothing waits", lambda: _settled(environment), 60)
    through = _arrived(tmp_path / "through")
    assert len(direct) > len(files) // 2
    # DCMTK has no codec for JPEG 2000: where storescp takes its own preference, dcmsend cannot send; to us it can.
    assert direct <= through


def test_a_raw_senders_bytes_pass_through_unchanged(tmp_path: Path, files: list[Path]) -> None:
    items = [item for file in files if (item := _sendable(file))]
    with dcmtk.storescp(tmp_path / "direct", unique=True) as pacs:
        items = [item for item in items if _stored(pacs, item)]  # the others DCMTK refuses or aborts itself
    direct = _arrived(tmp_path / "direct")
    with dcmtk.storescp(tmp_path / "through", unique=True) as pacs:
        environment = Environment(tmp_path, destinations=destination("main-pacs", pacs.port)).write()
        with environment.serving():
            environment.register()
            refused = [item for item in items if not _stored(environment.dicom, item)]
            wait_for("nothing waits", lambda: _settled(environment), 60)
    through = _arrived(tmp_path / "through")
    assert len(items) > len(files) // 2
    # The raw sender names what the file's meta information says; where its data set says otherwise, A900 is due.
    assert all(_contradicts_its_meta_information(item) for item in refused)
    assert through == direct - {(item.transfer_syntax, item.data) for item in refused}
    assert {data for _, data in through} <= {item.data for item in items}


def _sendable(file: Path) -> raw_sender.DataSet | None:
    if file.read_bytes()[128:132] != b"DICM":
        return None
    item = raw_sender.read_part10(file)
    return item if item.sop_class_uid and item.sop_instance_uid and item.transfer_syntax else None


def _stored(node: dcmtk.Node, item: raw_sender.DataSet) -> bool:
    try:
        return raw_sender.send(node, "US_ROOM2", item) == 0
    except (OSError, AssertionError):
        return False


def _contradicts_its_meta_information(item: raw_sender.DataSet) -> bool:
    if item.transfer_syntax == "1.2.840.10008.1.2.1.99":
        return False
    head = item.data[:4096]
    return item.sop_instance_uid.encode() not in head or item.sop_class_uid.encode() not in head


def _settled(environment: Environment) -> bool:
    ended = (DeliveryState.DELIVERED, DeliveryState.PARKED)
    return all(delivery.state in ended for delivery in environment.deliveries())
