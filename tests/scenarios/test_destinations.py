"""Several destinations of a running product: a dead one delays no other, and each has its own pace, order and holds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from broker.delivery.model import DeliveryState
from tests.peers import dcmtk
from tests.peers.broker import MODALITY, Environment
from tests.peers.processes import free_port, wait_for
from tests.peers.raw_sender import DataSet, read_part10, send

pytestmark = pytest.mark.foreign

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dicom"
EXPLICIT, ULTRASOUND = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.6.1"


def made(number: int, octets: int = 1000, modality: str = "US") -> DataSet:
    """Return an invented instance of about so many bytes."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = ULTRASOUND, f"1.2.826.0.1.3680043.8.498.77.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.77", "1.2.826.0.1.3680043.8.498.77.0"
    made.PatientID, made.Modality = "4711", modality
    made.add_new(0x00420011, "OB", bytes(octets))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, made)
    return DataSet(ULTRASOUND, made.SOPInstanceUID, EXPLICIT, stream.getvalue())


def dimse(name: str, port: int, *keys: str) -> str:
    """Return the TOML of a destination."""
    further = "\n".join(('proof = "none"', *keys))  # storescp takes one association at a time
    return (
        f'[[destinations]]\nname = "{name}"\nprotocol = "dimse"\nhost = "127.0.0.1"\nport = {port}\n'
        f'ae_title = "PACS"\n{further}\n'
    )


def to(*names: str, keys: str = "") -> str:
    """Return the TOML of a route to these."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"[[routes]]\nto = [{listed}]\n{keys}\n"


def states(environment: Environment, destination: str) -> list[str]:
    """Return the state of each delivery to a destination."""
    return [one.state.value for one in environment.deliveries() if one.destination == destination]


def arrived(environment: Environment, destination: str, count: int) -> bool:
    """Tell whether so many were delivered, and nothing else is owed."""
    return states(environment, destination) == [DeliveryState.DELIVERED.value] * count


def leases(environment: Environment) -> int:
    """Return how many batches are being sent."""
    return len({one.lease for one in environment.deliveries() if one.lease})


@contextmanager
def serving(folder: Path, destinations: str) -> Iterator[Environment]:
    """Run an environment with these destinations, and the device of the tests."""
    environment = Environment(folder, destinations=destinations).write()
    with environment.serving():
        environment.register()
        yield environment


def test_a_dead_pacs_delays_no_other_and_its_cause_is_said(tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "pacs") as pacs:
        destinations = dimse("dead", free_port()) + dimse("pacs", pacs.port) + to("dead", "pacs")
        with serving(tmp_path, destinations) as environment:
            longest = 0.0
            for number in range(1, 6):
                assert send(environment.dicom, "US_ROOM2", made(number)) == 0
                began = time.monotonic()
                wait_for("it arrives", lambda number=number: states(environment, "pacs").count("delivered") == number)  # type: ignore[misc]
                longest = max(longest, time.monotonic() - began)
            assert longest < 5
            assert set(states(environment, "dead")) == {"waiting"}
            wait_for("a person is told", lambda: environment.ask("alert", "list"), 40)
            (alert,) = environment.ask("alert", "list")
            assert (alert["event"], alert["subject"]) == ("destination.failing", "dead")
            assert "nothing listens on the port" in alert["text"] and "5 instances wait" in alert["text"]


def test_several_associations_are_open_at_once(tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "pacs", 0, "PACS", "--fork", "--sleep-during", "1") as pacs:
        destinations = dimse("pacs", pacs.port, "associations = 4") + to("pacs")
        with serving(tmp_path, destinations) as environment:
            held = environment.command("delivery", "hold", "--destination", "pacs", "--why", "to be sent at once")
            assert held.returncode == 0, held.stderr
            for number in range(1, 13):
                assert send(environment.dicom, "US_ROOM2", made(number)) == 0
            assert environment.command("delivery", "release", "--destination", "pacs").returncode == 0
            wait_for("four are under way at once", lambda: leases(environment) == 4, 30)
            wait_for("all arrive", lambda: arrived(environment, "pacs", 12), 60)


def test_what_is_urgent_overtakes_what_waits(tmp_path: Path) -> None:
    urgent = to("pacs", keys='when = { Modality = "US" }\npriority = "stat"')
    with dcmtk.storescp(tmp_path / "pacs") as pacs:
        destinations = dimse("pacs", pacs.port) + urgent + to("pacs")
        with serving(tmp_path, destinations) as environment:
            environment.command("delivery", "hold", "--destination", "pacs", "--why", "a test")
            for number in range(1, 6):
                assert send(environment.dicom, "US_ROOM2", made(number, modality="SR")) == 0
            assert send(environment.dicom, "US_ROOM2", made(9)) == 0
            (waiting, *_) = environment.ask("delivery", "list")
            assert waiting["priority"] == "stat" and ": a test" in waiting["why"]
            environment.command("delivery", "release", "--destination", "pacs")
            wait_for("all arrive", lambda: arrived(environment, "pacs", 6), 30)
            first = min(environment.deliveries(), key=lambda one: str(one.finished))
            assert first.priority.value == "stat"


def test_a_narrow_line_is_not_filled_and_a_stop_does_not_wait_for_it(tmp_path: Path) -> None:
    item = made(1, 400_000)
    with dcmtk.storescp(tmp_path / "pacs") as pacs:
        destinations = dimse("pacs", pacs.port, "bandwidth_kbit = 800") + to("pacs")
        environment = Environment(tmp_path, destinations=destinations).write()
        with environment.serving():
            environment.register()
            assert send(environment.dicom, "US_ROOM2", item) == 0
            began = time.monotonic()
            wait_for("it arrives", lambda: arrived(environment, "pacs", 1), 30)
            assert 3.2 < time.monotonic() - began < 12, "400,000 bytes at 100,000 a second"
        with environment.serving() as running:
            assert send(environment.dicom, "US_ROOM2", made(2, 8_000_000)) == 0
            wait_for("it is on its way", lambda: "sending" in states(environment, "pacs"))
            time.sleep(1)
            began = time.monotonic()
            running.stop()
            assert time.monotonic() - began < 15
        with dcmtk.storescp(tmp_path / "other") as other:
            Environment(tmp_path, destinations=dimse("pacs", other.port) + to("pacs"), ports=environment.ports).write()
            with environment.serving():
                wait_for("it arrives after all", lambda: arrived(environment, "pacs", 2), 40)
            (received,) = (tmp_path / "other").iterdir()
            assert read_part10(received).data == made(2, 8_000_000).data


def test_what_no_route_takes_is_kept_told_and_sent_once_there_is_one(tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "pacs") as pacs:
        only = dimse("pacs", pacs.port) + to("pacs", keys='when = { Modality = "CT" }')
        with serving(tmp_path, only) as environment:
            assert send(environment.dicom, "US_ROOM2", made(1)) == 0
            (parked,) = environment.ask("delivery", "list")
            assert (parked["state"], parked["destination"]) == ("parked", "no-route")
            (alert,) = environment.ask("alert", "list")
            assert alert["event"] == "delivery.no-route"
            environment.register(f'{MODALITY}\n[[routes]]\nto = ["pacs"]\nwhen = {{ Modality = ["US", "SR"] }}\n')
            assert environment.command("delivery", "retry", str(parked["id"])).returncode == 0
            wait_for("it arrives", lambda: arrived(environment, "pacs", 1), 20)
        (received,) = (tmp_path / "pacs").iterdir()
        assert read_part10(received).data == made(1).data


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_pacs_that_takes_no_jpeg_gets_it_decoded_where_its_rule_allows(tmp_path: Path) -> None:
    loop = read_part10(FIXTURES / "us-cine-jpeg-30-frames.dcm")
    # Of DCMTK's options the last one counts: it takes Implicit VR Little Endian alone.
    with dcmtk.storescp(tmp_path / "plain", 0, "PACS", "+xi") as plain, dcmtk.storescp(tmp_path / "other") as other:
        destinations = (
            dimse("plain", plain.port, "transcode = true")
            + dimse("strict", plain.port)
            + dimse("other", other.port, "transcode = true")
            + to("plain", "strict", "other")
        )
        with serving(tmp_path, destinations) as environment:
            assert send(environment.dicom, "US_ROOM2", loop) == 0
            wait_for("it arrives decoded", lambda: arrived(environment, "plain", 1), 150)
            wait_for("it arrives as it was", lambda: arrived(environment, "other", 1), 20)
            wait_for("it is parked", lambda: states(environment, "strict") == ["parked"], 20)
            rows = {row["destination"]: row for row in environment.ask("delivery", "list")}
            shown = environment.ask("delivery", "show", str(rows["plain"]["id"]))
    assert shown["transfer_syntax"] == loop.transfer_syntax
    assert shown["sent_as"] == "1.2.840.10008.1.2"
    assert "rule to transcode" in rows["strict"]["why"]
    (received,) = (tmp_path / "plain").iterdir()
    decoded = dcmread(received)
    assert (decoded.file_meta.TransferSyntaxUID, decoded.NumberOfFrames) == ("1.2.840.10008.1.2", 30)
    assert (decoded.SOPInstanceUID, decoded.LossyImageCompression) == (loop.sop_instance_uid, "01")
    (untouched,) = (tmp_path / "other").iterdir()
    assert read_part10(untouched).data == loop.data
