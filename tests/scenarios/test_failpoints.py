"""Every named place where the world may end is passed by the running product; orders survive an end at theirs."""

from pathlib import Path

import pytest

from broker.failpoints import PLACES
from broker.spool.spool import LARGEST
from tests.peers import dcmtk
from tests.peers.archive import archive
from tests.peers.broker import Environment
from tests.peers.processes import wait_for
from tests.peers.raw_sender import DataSet, read_part10, send
from tests.scenarios.test_main_job import KEYS, images, send_order
from tests.scenarios.test_performed_steps import PASSED_ON
from tests.unit.outbox.ris import ris
from tests.unit.procedures.building import creation
from tests.unit.spool.datasets import EXPLICIT, US_IMAGE, data_set
from tests.wire.commitment_world import Console
from tests.wire.test_mpps import console, next_provider

pytestmark = [pytest.mark.foreign, pytest.mark.slow]

DESTINATIONS = """\
[[destinations]]
name = "main-pacs"
protocol = "dimse"
host = "127.0.0.1"
port = {port}
ae_title = "PACS"
[[destinations]]
name = "folder"
protocol = "folder"
path = "archive"
[[destinations]]
name = "proving"
protocol = "dimse"
host = "127.0.0.1"
port = {proving}
ae_title = "PACS"
[[routes]]
to = ["main-pacs", "folder"]
when = {{ Modality = "US" }}
[[routes]]
to = ["proving"]
when = {{ SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1" }}
"""

WORLDS = """\
[worlds]
key = { file = "site.key" }
other = "production.toml"
"""
US_LOOP = "1.2.840.10008.5.1.4.1.1.3.1"
RECEIVER = """\
[[receivers]]
name = "ris"
host = "127.0.0.1"
port = {port}
"""


def test_every_place_is_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "trace"
    traced = {"BROKER_TEST_HOOKS": "1", "BROKER_FAIL_TRACE": str(trace)}
    asking = Console(title="US_ROOM2")
    with (
        dcmtk.storescp(tmp_path / "pacs") as pacs,
        archive() as proving,
        ris() as receiver,
        next_provider() as provider,
        asking.listening() as listening,
    ):
        toml = DESTINATIONS.format(port=pacs.port, proving=proving.port) + RECEIVER.format(port=receiver.port)
        toml += PASSED_ON.format(port=provider.port) + WORLDS
        (tmp_path / "site.key").write_text("the key of this site")
        _production(tmp_path).write()
        environment = Environment(tmp_path, destinations=toml, is_installed=True).write()
        with environment.serving(**traced):
            environment.register()
            send_order(environment, "A1", "T")
            assert environment.command("order", "status", "A1", "started", "--why", "seen").returncode == 0
            wait_for("the receiver is told", lambda: receiver.got)
            refused = environment.command("order", "send", _refused(tmp_path))
            assert refused.returncode == 3
            assert dcmtk.echoscu(environment.dicom, "US_ROOM2").returncode == 0
            assert dcmtk.echoscu(environment.dicom, "US-ROOM2").returncode != 0
            assert dcmtk.findscu(environment.dicom, "US_ROOM2", KEYS).returncode == 0
            with console(environment.ports["dicom"], calling="US_ROOM2", called="BROKER_TEST") as modality:
                assert modality.create(creation()).Status == 0
            wait_for("the MPPS is passed on", lambda: provider.got)
            large = DataSet(
                US_IMAGE, "1.2.3.4.5", EXPLICIT, data_set("1.2.3.4.5", pixels=LARGEST, AccessionNumber=None)
            )
            for item in [*map(read_part10, images()), large]:
                assert send(environment.dicom, "US_ROOM2", item) == 0
            count = len(images()) + 1
            wait_for("all indexed", lambda: len({d.instance_id for d in environment.deliveries()}) == count)
            wait_for("all sent", lambda: {d.state.value for d in environment.deliveries()} == {"delivered", "parked"})
            wait_for("what may prove has been asked", lambda: proving.actions)
            for name, value in traced.items():
                monkeypatch.setenv(name, value)
            environment.command("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(listening))
            with asking.calling(environment.ports["dicom"], "BROKER_TEST") as association:
                assert asking.ask(association, "2.25.1", *proving.stored, sop_class=US_LOOP) == 0
            asking.wait()
            parked = [d.id for d in environment.deliveries() if d.state.value == "parked"]
            environment.command("delivery", "retry", str(parked[0]))  # still without a route: refused, in a transaction
            environment.ask("order", "list")  # reading of patient data: an audit row
            alert, *_ = environment.ask("alert", "list")
            assert environment.command("alert", "ack", str(alert["id"])).returncode == 0
    _serve_what_was_approved(tmp_path, traced)
    passed = set(trace.read_text().split())
    others = {place for place in PLACES if not place.startswith("promotion.")}  # those are passed in test_promotion
    assert {f"{place}.{side}" for place in others for side in ("before", "after")} - passed == set()


def _serve_what_was_approved(folder: Path, traced: dict[str, str]) -> None:
    """Start Production, edit a file that it names, and start it again: it serves the file as it was."""
    mapping = folder / "site.toml"
    mapping.write_text('base = "ihe-swf"\n')
    production = _production(folder, 'mapping = "site.toml"').write()
    production.add_user("ann", "administrator")
    for edited in (False, True):
        if edited:
            mapping.write_text('base = "ipc"\n')
        with production.serving(**traced):
            pass


def _production(folder: Path, hl7_keys: str = "") -> Environment:
    return Environment(folder, "production", "production", "BROKER", hl7_keys=hl7_keys)


def _refused(folder: Path) -> Path:
    file = folder / "refused.hl7"
    file.write_bytes(b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260201080000||ORM^O01|R1|T|2.3.1\rPID|||\rORC|NW|P1\rOBR|1|P1\r")
    return file
