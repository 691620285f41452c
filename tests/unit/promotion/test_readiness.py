"""Whether a target is ready: in both databases, with a real peer where a PACS is asked."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pynetdicom import AE

from broker.audit.model import Actor, ActorKind
from broker.database import Database
from broker.dimse.requestor import EngineRequestor
from broker.environments import bound
from broker.environments import profile as profiles
from broker.environments.model import CallTls, Destination, Profile
from broker.identifiers import AETitle
from broker.promotion import certificates, probing, readiness
from broker.promotion.model import CheckResult, CheckState, Fingerprint
from broker.promotion.probing import Answered, Contexts
from broker.promotion.seen import Facts
from broker.promotion.statements import store as statements
from broker.promotion.statements.model import Kind, Statement
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding, Modality
from broker.worklist import store as worklist
from tests.conftest import FakeClock
from tests.peers.certificates import Authority
from tests.unit.promotion.checks.building import US, image
from tests.unit.worklist.building import item

ANN = Actor(ActorKind.PERSON, "ann")
CONTENT = b'name = "us-room-2"\nmodality = "US"\nae_titles = ["US2"]\n'
THERE = Binding("10.0.1.9", 104)
EXPLICIT = "1.2.840.10008.1.2.1"
PROFILE = """\
name = "production"
kind = "production"
timezone = "Europe/Berlin"
state = "state"
[hl7]
host = "127.0.0.1"
port = 2576
[dicom]
host = "127.0.0.1"
port = 11113
ae_title = "BROKER"
[http]
host = "127.0.0.1"
port = 8082
[[destinations]]
name = "pacs"
protocol = "dimse"
host = "127.0.0.1"
port = 4242
ae_title = "ORTHANC"
[[routes]]
to = ["pacs"]
"""


class Answers:
    """A prober that answers what a test says."""

    def __init__(self) -> None:
        self.answered: Answered | None = None
        self.listening = True
        self.room = 100 * 1024**3
        self.end = datetime(2027, 1, 1, tzinfo=UTC)

    def takes(self, destination: Destination, contexts: Contexts, calling: AETitle) -> Answered:
        return self.answered or Answered(frozenset(contexts))

    def listens(self, host: str, port: int) -> bool:
        return self.listening

    def free(self, directory: Path) -> int:
        return self.room

    def ends(self, certificate: Path) -> datetime:
        return self.end


class Target:
    """A production environment about to get its device."""

    def __init__(self, database: Database, clock: FakeClock, folder: Path) -> None:
        self.database, self.clock = database, clock
        file = folder / "production.toml"
        file.write_text(PROFILE)
        self.profile: Profile = profiles.read(file)
        self.profile.state.mkdir()
        self.served = bound.take(self.profile)
        bound.tell(self.profile, {"hl7": 2576, "dicom": 11113, "http": 8082})
        self.prober = Answers()
        self.content = CONTENT
        self.binding: Binding | None = THERE

    def end_serve(self) -> None:
        """As a `serve` that is killed: what it told of its ports stays."""
        if self.served is not None:
            os.close(self.served)
        self.served = None

    def judged(self, **changes: object) -> dict[str, CheckResult]:
        device = Modality("us-room-2", "r1", documents.read(self.content, "us"), Binding("10.0.0.9", 104))
        facts = Facts("us-room-2", self.clock.now(), images=(image(1),), modality=device)
        facts = replace(facts, **changes)  # type: ignore[arg-type]
        with self.database.read() as tx:
            found = readiness.judge(self.profile, tx, facts, self.prober, self.clock.now(), self.binding)
        return {each.check: each for each in found}

    def state(self, check: str) -> CheckState:
        return self.judged()[check].state

    def register(self, content: bytes, host: str = "10.0.1.8") -> None:
        document = documents.read(content, "other")
        with self.database.write("registry") as tx:
            registry.apply(tx, document, content, ANN, self.clock.now())
            registry.bind(tx, document.name, Binding(host, 104), ANN, self.clock.now())

    def order(self, number: int, *stations: str) -> None:
        today = f"{self.clock.now():%Y%m%d}"
        planned = item(
            id=0,
            study_instance_uid=f"1.2.{number}",
            scheduled_station_ae_titles=stations,
            scheduled_procedure_step_start_date=today,
        )
        with self.database.write("orders") as tx:
            worklist.replace(tx, number, (planned,))


@pytest.fixture
def target(database: Database, clock: FakeClock, tmp_path: Path) -> Iterator[Target]:
    made = Target(database, clock, tmp_path)
    yield made
    made.end_serve()


def test_a_target_that_is_ready_says_so_of_each(target: Target) -> None:
    found = target.judged()
    assert tuple(found) == readiness.TARGET_CHECKS
    assert {name for name, each in found.items() if each.is_open} == set()


def test_a_route_to_a_destination_that_production_does_not_have(target: Target) -> None:
    target.content += b'[[routes]]\nto = ["pacs", "archive"]\n'
    assert target.judged()["target_destinations"].text == "production has no destination archive"


def test_what_the_pacs_refuses_is_named_in_words(target: Target) -> None:
    target.prober.answered = Answered(frozenset({(US, "1.2.840.10008.1.2")}))
    found = target.judged()["target_pacs"]
    assert (found.state, found.text) == (
        CheckState.FAILED,
        "pacs does not take Ultrasound Image Storage in Explicit VR Little Endian",
    )
    target.prober.answered = Answered(failure="connection refused")
    assert target.judged()["target_pacs"].text == "pacs: connection refused"


def test_what_to_ask_the_pacs_for_is_known_from_test_only(target: Target) -> None:
    assert target.judged(images=())["target_pacs"].state is CheckState.MISSING


def test_titles_and_places_of_others_are_taken(target: Target) -> None:
    target.register(b'name = "other"\nmodality = "US"\nae_titles = ["US2"]\n', THERE.host)
    assert target.judged()["target_titles"].text == "US2 belongs to other; other is at 10.0.1.9:104 too"
    target.binding = Binding("10.0.1.7", 104, AETitle("BROKER"))
    assert target.judged()["target_titles"].text == "BROKER is the broker's own"
    target.binding = None
    assert target.state("target_titles") is CheckState.MISSING


def test_listeners_disk_and_certificates(target: Target) -> None:
    target.prober.listening, target.prober.room = False, 1
    found = target.judged()
    assert found["target_listeners"].text == "hl7, dicom, http do not answer"
    assert found["target_disk"].state is CheckState.FAILED
    assert found["target_certificates"].state is CheckState.NOT_APPLICABLE
    target.end_serve()
    assert target.state("target_listeners") is CheckState.MISSING


@pytest.mark.parametrize(("days", "expected"), [(29, CheckState.FAILED), (31, CheckState.PASSED)])
def test_a_certificate_must_last_a_month(target: Target, days: int, expected: CheckState) -> None:
    (pacs,) = target.profile.destinations
    with_tls = replace(pacs, tls=CallTls(Path("c.pem"), Path("c.key"), None))
    target.profile = replace(target.profile, destinations=(with_tls,))
    target.prober.end = target.clock.now() + timedelta(days=days)
    assert target.state("target_certificates") is expected


def test_todays_orders_that_it_would_see_and_those_not_and_why(target: Target) -> None:
    assert "nothing to compare" in target.judged()["target_orders"].text
    target.order(1, "US3")
    found = target.judged()["target_orders"]
    assert (found.state, found.text) == (CheckState.FAILED, "it would see none of today's 1 US orders: 1 for US3")
    target.order(2, "US2")
    target.order(3)
    found = target.judged()["target_orders"]
    assert (found.state, found.text) == (CheckState.PASSED, "it would see 2, and 1 not: 1 for US3")


def test_what_is_waived_in_the_target_holds_until_another_revision_is_served(target: Target) -> None:
    target.order(1, "US3")
    said = Statement(
        "us-room-2",
        "target_orders",
        Kind.WAIVED,
        "a new room",
        "eve",
        target.clock.now(),
        "",
        Binding(),
        "1",
        Fingerprint(),
    )
    with target.database.write("promotion") as tx:
        statements.add(tx, said, ANN)
    assert target.judged()["target_orders"].text == "eve says so: a new room"
    target.register(CONTENT)
    assert target.state("target_orders") is CheckState.FAILED


@pytest.fixture
def pacs() -> Iterator[int]:
    """A PACS that takes ultrasound images in one syntax; its port."""
    ae = AE("ORTHANC")
    ae.add_supported_context(US, EXPLICIT)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield server.socket.getsockname()[1]
    server.shutdown()


def test_the_network_negotiates_with_a_pacs_once_and_says_why_it_does_not_answer(target: Target, pacs: int) -> None:
    (destination,) = target.profile.destinations
    asked: list[str] = []

    def caller(each: Destination) -> EngineRequestor:
        asked.append(each.name)
        return EngineRequestor()

    network = probing.Network(caller, lambda _: "")
    there = replace(destination, port=pacs)
    contexts = ((US, EXPLICIT), (US, "1.2.840.10008.1.2.4.50"))
    for _ in range(2):
        assert network.takes(there, contexts, AETitle("BROKER")).accepted == {(US, EXPLICIT)}
    assert asked == ["pacs"]
    assert network.listens("127.0.0.1", pacs)
    assert "accepted none" in network.takes(there, contexts[1:], AETitle("BROKER")).failure


def test_the_end_of_a_certificate_is_read_of_its_file(tmp_path: Path) -> None:
    issued = Authority(tmp_path, "ca").issue("broker")
    left = certificates.ends(issued.certificate) - datetime.now(UTC)
    assert timedelta(days=1) < left <= timedelta(days=2)
