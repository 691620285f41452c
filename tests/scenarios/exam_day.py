"""A day of fourteen exams through the whole product: what an ultrasound, a PACS, a RIS and people do, by the clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom import AE, evt

from broker.database import Database, sqlite_url
from broker.delivery.model import DeliveryState
from broker.outbox import store as outbox
from tests.peers import dcmtk
from tests.peers.broker import Environment
from tests.peers.processes import free_port, wait_for
from tests.peers.raw_sender import DataSet, send
from tests.unit.procedures.building import creation, dataset, discontinued, ending, item, reference, series
from tests.wire.test_mpps import Console, console

DAY = "20261123"  # a Monday
ZONE = ZoneInfo("Europe/Berlin")
PROFILE = """\
[[destinations]]
name = "archive"
protocol = "folder"
path = "archive"
[[destinations]]
name = "pacs"
protocol = "dimse"
host = "127.0.0.1"
port = {pacs}
ae_title = "PACS"
[[routes]]
to = ["archive", "pacs"]
[[receivers]]
name = "ris"
host = "127.0.0.1"
port = {ris}
"""
IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
_KEYS = ("ScheduledProcedureStepSequence[0].ScheduledStationAETitle", "AccessionNumber")
_EXAMS = {  # accession number: (scheduled start, patient's name)
    "E01": ("1600", "Beispiel^Max"),
    "E02": ("1130", "Muster^Eva"),
    "E03": ("0800", "Ohne^Termin"),
    "E04": ("0945", "Wang^XiaoDong"),
    "E05": ("0930", "Buc^Jérôme"),
    "E06": ("0800", "Müller^Anna"),
    "E07": ("0830", "Schäfer^Karl"),
    "E08": ("0845", "Weiß^Ute"),
    "E09": ("0900", "Kraus^Jan"),
    "E10": ("0915", "Ab^Gesagt"),
    "E11": ("0900", "Roth^Ida"),
    "E12": ("0910", "Lang^Ben"),
    "E13": ("0920", "Falsch^Gewählt"),
    "E14": ("0925", "Richtig^Gemeint"),
}


class Day:
    """One day at one hospital; `at` moves its clock."""

    def __init__(self, folder: Path, ris: int, pacs: int) -> None:
        self.shift = folder / "shift"
        self.environment = Environment(folder, destinations=PROFILE.format(ris=ris, pacs=pacs)).write()
        self.at("0600")

    @property
    def variables(self) -> dict[str, str]:
        return {"BROKER_TEST_HOOKS": "1", "BROKER_CLOCK_OFFSET_FILE": str(self.shift)}

    def at(self, time: str) -> None:
        """Make it this time of day (HHMM), once all that could be sent has been."""
        if self.environment.ports:
            wait_for("all is sent", self._is_settled)
        wanted = datetime.strptime(f"{DAY}{time}", "%Y%m%d%H%M").replace(tzinfo=ZONE)
        self.shift.write_text(str((wanted - datetime.now(UTC)).total_seconds()))

    def _is_settled(self) -> bool:
        moving = {DeliveryState.WAITING, DeliveryState.SENDING}
        if any(delivery.state in moving for delivery in self.environment.deliveries()):
            return False
        database = Database(sqlite_url(self.environment.folder / f"state-{self.environment.name}" / "broker.db"))
        with database.read() as tx:
            owed = outbox.open_counts(tx)
        database.close()
        return not owed

    # --- the RIS -------------------------------------------------------------------------------------------------

    def order(self, *keys: str, control: str = "NW", status: str = "SC") -> None:
        files = []
        for key in keys:
            start, name = _EXAMS[key]
            file = self.environment.folder / f"{key}-{control}.hl7"
            file.write_bytes(_message(key, control, status, start, name).encode())
            files.append(file)
        result = self.environment.command("order", "send", *files)
        assert result.returncode == 0, result.stdout + result.stderr

    # --- the ultrasound ------------------------------------------------------------------------------------------

    def query(self, *keys: str) -> None:
        """Refresh the console's list; of some exams alone where they are named."""
        for key in keys or ("",):
            found = dcmtk.findscu(
                self.environment.dicom, "US_ROOM2", [f"{_KEYS[0]}=US_ROOM2", f"{_KEYS[1]}={key}" if key else _KEYS[1]]
            )
            assert found.returncode == 0, found.stderr

    def begin(self, key: str) -> None:
        made = creation(_item(key), PatientID=f"P{key}", PerformedStationAETitle="US_ROOM2")
        self._mpps(lambda modality: modality.create(made, _step(key)))

    def end(self, key: str, images: int, reason: str = "") -> None:
        made = discontinued(reason) if reason else ending(PerformedSeriesSequence=[_series(key, images)])
        self._mpps(lambda modality: modality.set(made, _step(key)))

    def _mpps(self, act: Callable[[Console], Dataset]) -> None:
        node = self.environment.dicom
        with console(node.port, calling="US_ROOM2", called=node.ae_title) as modality:
            assert act(modality).Status == 0

    def store(self, key: str, *numbers: int, **changes: str) -> None:
        for number in numbers:
            assert send(self.environment.dicom, "US_ROOM2", _image(key, number, **changes)) == 0


def _message(key: str, control: str, status: str, start: str, name: str) -> str:
    number = key[1:]
    return "".join(
        f"{segment}\r"
        for segment in (
            f"MSH|^~\\&|RIS|HOSP|BROKER|RAD|{DAY}0600{number}||ORM^O01|{key}{control}|T|2.3.1||||||UNICODE UTF-8",
            f"PID|||P{key}^^^HOSP^MR||{name}||19700{1 + int(number) % 9}01|F",
            "PV1||O|US^2^1|||||77^Weber^Rita",
            f"ORC|{control}|PL{key}^HIS|F{key}^RIS||{status}||^^^{DAY}{start}^^R",
            f"OBR|1|PL{key}|F{key}|USABD^US Abdomen^L||||||||||||||{key}|RP{key}|S1||||US",
            f"ZDS|{_study(key)}^100^Application^DICOM",
        )
    )


def _study(key: str) -> str:
    return f"1.2.826.0.1.3680043.9.88.{int(key[1:])}"


def _step(key: str) -> str:
    return f"{_study(key)}.1"


def _item(key: str) -> Dataset:
    return item(
        StudyInstanceUID=_study(key),
        AccessionNumber=key,
        RequestedProcedureID=f"RP{key}",
        ScheduledProcedureStepID="S1",
    )


def _series(key: str, images: int) -> Dataset:
    made = series(f"{_study(key)}.2", images=0)
    made.ReferencedImageSequence = [reference(IMAGE, f"{_study(key)}.2.{number}") for number in range(images)]
    return made


def _image(key: str, number: int, **changes: str) -> DataSet:
    values = {
        "SOPClassUID": IMAGE,
        "SOPInstanceUID": f"{_study(key)}.2.{number}",
        "StudyInstanceUID": _study(key),
        "SeriesInstanceUID": f"{_study(key)}.2",
        "PatientID": f"P{key}",
        "AccessionNumber": key,
        "Modality": "US",
    }
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, dataset(**(values | changes)))
    return DataSet(IMAGE, values["SOPInstanceUID"], "1.2.840.10008.1.2.1", stream.getvalue())


@contextmanager
def pacs(refuses: str) -> Iterator[int]:
    """A PACS that keeps everything but what has this accession number; yields its port."""

    def store(event: evt.Event) -> int:
        return 0xA900 if event.dataset.AccessionNumber == refuses else 0x0000

    ae = AE("PACS")
    ae.add_supported_context(IMAGE, ["1.2.840.10008.1.2.1"])
    ae.add_supported_context("1.2.840.10008.1.1")
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield port
    finally:
        server.shutdown()


def lived(day: Day) -> None:
    """Let the day pass until 10:40."""
    everything = tuple(_EXAMS)
    day.order(*everything)
    day.at("0755")
    day.query(*(key for key in everything if key not in ("E01", "E10")))
    day.order("E10", control="CA", status="CA")
    day.at("0802")
    day.begin("E06")
    day.store("E06", *range(5))
    day.at("0820")
    day.end("E06", 5)
    day.at("0833")
    day.begin("E07")
    day.store("E07", 0, 1, 2)
    day.end("E07", 5)
    day.at("0846")
    day.begin("E08")
    day.end("E08", 0, "110505")
    day.at("0905")
    day.store("E09", 0, 1)
    day.store("E11", 0, 1)
    day.store("E12", 0)
    day.store("E12", 1, PatientID="PE99")
    day.at("0921")
    day.begin("E13")
    day.store("E13", 0, 1)
    day.end("E13", 2)
    day.at("0940")
    day.begin("E05")
    day.store("E05", 0, 1, 2)
    day.at("0950")
    day.begin("E04")
    day.query("E04")
    day.at("1000")
    _correct(day)
    day.at("1040")


def _correct(day: Day) -> None:
    """A person finds that the entry of E13 was taken for E14."""
    why = ("--why", "the entry above was taken")
    for act, key in (("unlink", "E13"), ("link", "E14")):
        result = day.environment.command("procedure", act, _step("E13"), "--order", key, *why)
        assert result.returncode == 0, result.stderr
        (day.environment.folder / f"{act}.txt").write_text(result.stdout)
