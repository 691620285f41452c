"""Every item that a corpus of messages publishes, as a console is answered that asks for every attribute.

Judges nothing. Each history runs on an empty database; behind each of its messages the product is asked over DIMSE.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.events import Event

from broker.clock import SystemClock
from broker.dimse.acceptor import Server
from broker.dimse.service import AcceptedAssociation, FindAnswer, FindRequest
from broker.worklist import find
from broker.worklist.model import Viewer
from broker.worklist.stations import Stations
from broker.worklist.viewer import registry_stations, viewer_of
from tests.golden.cases import cases
from tests.golden.world import CT, World
from tests.peers.broker import MODALITY
from tests.peers.steady import steady
from tests.torture.query_server import Worklist
from tests.unit.worklist.building import decoded
from tests.wire.worklist_golden import MODALITY_WORKLIST

# Nobody reads its log, and to write every answer as text takes longer than to answer.
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False

Histories = Mapping[str, tuple[bytes, ...]]
"""Messages in their order, by the name of the file."""

# A device of each modality that is ordered beside US and CT, so that each item is for somebody.
FURTHER = ("CR", "DX", "MG", "MR", "NM", "OT", "PT", "RF", "XA")
DEVICES = (
    MODALITY,
    CT,
    *(
        f'name = "{kind.lower()}-1"\nmodality = "{kind}"\nae_titles = ["{kind}_ROOM1"]\nstations = ["{kind}_ROOM1"]\n'
        for kind in FURTHER
    ),
)


# A site whose systems state little: an order's number wherever it stands, ultrasound unless something else is said.
LENIENT = """\
base = "ihe-swf"
[order]
AccessionNumber = ["IPC-1", "OBR-18", "ORC-3", "OBR-3", "ORC-2", "OBR-2"]
[step.Modality]
from = ["IPC-5", "OBR-24"]
default = "US"
"""
LENIENTLY = 'processing_ids = ["P", "T", "D"]\nmapping = "lenient.toml"\n'


@dataclass(frozen=True)
class Published:
    """One item as it was answered: after which message of which file, and the bytes for each form of the query."""

    source: str
    forms: tuple[bytes, ...]

    @property
    def answers(self) -> list[Dataset]:
        """The answers, nothing of them decoded yet."""
        return [decoded(data, ExplicitVRLittleEndian) for data in self.forms]


def fixtures() -> Histories:
    """The messages of fixtures/hl7."""
    return {case.name: case.messages for case in cases()}


def sampled(samples: Path) -> Histories:
    """The files of the sample corpus, each a message of its own."""
    files = sorted(file for file in (samples / "hl7").iterdir() if file.is_file())
    return {file.name: (file.read_bytes().strip(b"\x0b\x1c\r\n"),) for file in files}


def published(folder: Path, histories: Histories, asked: Iterable[Dataset], hl7: str = "") -> list[Published]:
    """Run the histories; return each item once, in each state in which it was ever answered, for each query asked.

    `hl7` are keys of the profile's table, such as LENIENTLY.
    """
    found: dict[tuple[bytes, ...], str] = {}
    (folder / "lenient.toml").write_text(LENIENT)
    with closing(World(folder, DEVICES, hl7)) as world, _asking(world) as ask:
        for source, answers in _answers(world, histories, lambda: [ask(each) for each in asked]):
            for forms in zip(*answers, strict=True):
                found.setdefault(forms, source)
    return [Published(source, forms) for forms, source in found.items()]


def _answers(
    world: World, histories: Histories, ask: Callable[[], list[list[bytes]]]
) -> Iterator[tuple[str, list[list[bytes]]]]:
    """Yield what is answered wherever the worklist holds something that it never held before."""
    seen: set[str] = set()
    for name, messages in histories.items():
        world.begin()
        for number, raw in enumerate(messages, 1):
            world.take(raw)
            items = set(_items(world))
            if items - seen:
                seen |= items
                yield f"{name}, message {number}", ask()


def _items(world: World) -> Iterator[str]:
    with world.database.read() as tx:
        for item in find.items(tx, Viewer(), Stations()):
            yield f"{item.status} {item.scheduled_station_ae_titles} {item.encoded!r}"


class _Worklist(Worklist):
    """Answers queries, and knows by which title it is asked, as the product does."""

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        registry = self._registry.current()
        viewer = viewer_of(None, calling=association.request.calling_ae_title)
        yield from find.answers(self._database, request, viewer, registry_stations(registry), self._clock)


@contextmanager
def _asking(world: World) -> Iterator[Callable[[Dataset], list[bytes]]]:
    """Serve the world's worklist and give what asks for it: every caller is let in, and sees everything."""
    world.begin()
    answers: list[bytes] = []

    def received(event: Event) -> None:
        if event.message.data_set is not None and (data := event.message.data_set.getvalue()):
            answers.append(data)

    def ask(asked: Dataset) -> list[bytes]:
        answers.clear()
        *_, (final, _) = association.send_c_find(asked, MODALITY_WORKLIST)
        assert final.Status == 0x0000
        return answers.copy()

    server = Server("127.0.0.1", 0, _Worklist(world.database), SystemClock())
    entity = AE("ANYBODY")
    entity.acse_timeout = entity.dimse_timeout = 20
    entity.add_requested_context(MODALITY_WORKLIST, ExplicitVRLittleEndian)
    handlers: Any = [(evt.EVT_DIMSE_RECV, received)]
    association = steady(entity.associate("127.0.0.1", server.start(), ae_title="BROKER", evt_handlers=handlers))
    assert association.is_established
    try:
        yield ask
    finally:
        association.release()
        server.stop(2.0)
