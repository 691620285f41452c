"""Every file of the sample corpus, through the product, against what DCMTK alone would do with it."""

from pathlib import Path

import pytest

from tests.peers import dcmtk, raw_sender
from tests.peers.broker import Environment, destination
from tests.peers.processes import wait_for

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.timeout(300)]

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dicom"


@pytest.fixture
def files(samples: Path | None) -> list[Path]:
    folder = samples / "dicom" if samples else FIXTURES
    return sorted(folder.glob("*.dcm"))


def _arrived(folder: Path) -> dict[str, bytes]:
    """Return what a storescp wrote: its file's name (of Modality and SOP Instance UID) -> syntax and data set bytes."""
    return {file.name: _content(raw_sender.read_part10(file)) for file in folder.iterdir()}


def _content(item: raw_sender.DataSet) -> tuple[str, str, bytes]:
    return item.sop_instance_uid, item.transfer_syntax, item.data


def test_what_dcmsend_can_send_arrives_with_the_bytes_of_a_direct_send(tmp_path: Path, files: list[Path]) -> None:
    with dcmtk.storescp(tmp_path / "direct") as pacs:
        for file in files:
            dcmtk.dcmsend(pacs, "US_ROOM2", [file])
    direct = _arrived(tmp_path / "direct")
    with dcmtk.storescp(tmp_path / "through") as pacs:
        environment = Environment(tmp_path, destinations=destination("main-pacs", pacs.port)).write()
        with environment.serving():
            environment.register()
            for file in files:
                dcmtk.dcmsend(environment.dicom, "US_ROOM2", [file])
            wait_for("nothing waits", lambda: _settled(environment), 60)
    through = _arrived(tmp_path / "through")
    assert len(direct) > len(files) // 2
    assert {name for name, content in direct.items() if through.get(name) != content} == set()


def test_a_raw_senders_bytes_pass_through_unchanged(tmp_path: Path, files: list[Path]) -> None:
    sent: set[tuple[str, str, bytes]] = set()
    with dcmtk.storescp(tmp_path / "through") as pacs:
        environment = Environment(tmp_path, destinations=destination("main-pacs", pacs.port)).write()
        with environment.serving():
            environment.register()
            for file in files:
                if file.read_bytes()[128:132] != b"DICM":
                    continue
                item = raw_sender.read_part10(file)
                if not (item.sop_class_uid and item.sop_instance_uid and item.transfer_syntax):
                    continue
                if raw_sender.send(environment.dicom, "US_ROOM2", item) == 0:
                    sent.add(_content(item))
            wait_for("nothing waits", lambda: _settled(environment), 60)
            parked = [row for row in environment.ask("delivery", "list") if row["state"] == "parked"]
    through = set(_arrived(tmp_path / "through").values())
    assert len(sent) > len(files) // 2
    assert through <= sent
    # Several files of the corpus share a SOP Instance UID: at the PACS the last one replaces the others.
    missing = {uid for uid, _, _ in sent} - {uid for uid, _, _ in through}
    assert missing <= {row["sop_instance_uid"] for row in parked}


def _settled(environment: Environment) -> bool:
    return all(row["state"] in ("delivered", "parked") for row in environment.ask("delivery", "list"))
