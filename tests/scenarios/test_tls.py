"""TLS as a hospital runs it: the product as processes, DCMTK as device and PACS, certificates of several issuers."""

import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.dimse import tls
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import Peer
from broker.dimse.tls import Certificates
from tests.peers import dcmtk
from tests.peers.broker import COMMAND, Environment, destination
from tests.peers.certificates import Authority, Issued
from tests.peers.dcmtk import Node
from tests.peers.processes import run, wait_for
from tests.scenarios.test_main_job import FIXTURES, delivered, images

pytestmark = pytest.mark.foreign

DEVICE = "US_ROOM2"
VERIFICATION = [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]


@dataclass(frozen=True)
class Hospital:
    """Who issues, who does not, and what was issued."""

    authority: Authority
    stranger: Authority
    broker: Issued
    device: Issued
    pacs: Issued

    @property
    def as_device(self) -> tuple[str, ...]:
        return (*self.device.dcmtk, *self.authority.dcmtk)

    @property
    def as_pacs(self) -> tuple[str, ...]:
        return (*self.pacs.dcmtk, *self.authority.dcmtk)

    def listener(self, *keys: str) -> str:
        return "\n".join(
            (
                "[dicom.tls]\nport = 0",
                f'certificate = "{self.broker.certificate}"\nkey = "{self.broker.key}"',
                f'trusted = "{self.authority.certificate}"',
                *keys,
            )
        )

    def call(self, own: Issued | None = None, trusted: Authority | None = None) -> str:
        own = own or self.broker
        return (
            f'tls = {{ certificate = "{own.certificate}", key = "{own.key}", '
            f'trusted = "{(trusted or self.authority).certificate}" }}'
        )


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = Authority(folder, "hospital"), Authority(folder, "stranger")
    return Hospital(authority, stranger, *map(authority.issue, ("broker", "device", "pacs")))


@pytest.fixture
def hospital(issued: Hospital, tmp_path: Path) -> Hospital:
    """The hospital with a certificate of the broker's that a test may replace."""
    own = Issued(tmp_path / "broker.pem", tmp_path / "broker.key")
    own.certificate.write_bytes(issued.broker.certificate.read_bytes())
    own.key.touch(mode=0o600)
    own.key.write_bytes(issued.broker.key.read_bytes())
    return Hospital(issued.authority, issued.stranger, own, issued.device, issued.pacs)


@pytest.fixture
def pacs(hospital: Hospital, tmp_path: Path) -> Iterator[Node]:
    with dcmtk.storescp(tmp_path / "pacs", 0, "PACS", *hospital.as_pacs) as node:
        yield node


def secure(environment: Environment) -> Node:
    return Node(environment.ports["dicom_tls"], environment.ae_title)


def said(result: subprocess.CompletedProcess[str]) -> str:
    return result.stdout + result.stderr


def test_a_device_stores_and_a_pacs_receives_over_tls(hospital: Hospital, pacs: Node, tmp_path: Path) -> None:
    environment = Environment(
        tmp_path,
        dicom_keys="plain = false\n" + hospital.listener(),
        destinations=destination("main-pacs", pacs.port, keys=hospital.call()),
    ).write()
    environment.register()
    with environment.serving():
        assert set(environment.ports) == {"hl7", "dicom_tls", "http"}
        assert dcmtk.echoscu(secure(environment), DEVICE, *hospital.as_device).returncode == 0
        file = FIXTURES / "dicom" / images()[0].name
        sent = dcmtk.storescu(secure(environment), DEVICE, [file], *hospital.as_device)
        assert sent.returncode == 0, sent.stderr
        wait_for("delivered", lambda: delivered(environment, 1))
        checked = run([*COMMAND, "env", "check", environment.profile, "--online"])
    assert len(list((tmp_path / "pacs").iterdir())) == 1
    assert checked.returncode == 0, checked.stderr
    assert "answers C-ECHO" in checked.stdout


def test_callers_who_do_not_fit_the_port_are_turned_away_and_the_next_one_is_served(
    hospital: Hospital, tmp_path: Path
) -> None:
    environment = Environment(tmp_path, dicom_keys=hospital.listener()).write()
    environment.register()
    stranger = hospital.stranger.issue("device")
    with environment.serving():
        for node, options in (
            (secure(environment), ()),
            (environment.dicom, hospital.as_device),
            (secure(environment), (*stranger.dcmtk, *hospital.authority.dcmtk)),
            (secure(environment), ("+tla", *hospital.authority.dcmtk)),
        ):
            begun = time.monotonic()
            assert dcmtk.echoscu(node, DEVICE, *options).returncode != 0
            assert time.monotonic() - begun < 10
            assert dcmtk.echoscu(environment.dicom, DEVICE).returncode == 0
            assert dcmtk.echoscu(secure(environment), DEVICE, *hospital.as_device).returncode == 0
    assert "association.tls-failed" in environment.log.read_text()


def test_any_device_may_call_where_the_profile_says_so(hospital: Hospital, tmp_path: Path) -> None:
    keys = hospital.listener('client_certificates = "none"')
    environment = Environment(tmp_path, dicom_keys=keys).write()
    environment.register()
    with environment.serving():
        answered = dcmtk.echoscu(secure(environment), DEVICE, "+tla", *hospital.authority.dcmtk)
    assert answered.returncode == 0, said(answered)


def test_each_way_in_which_tls_fails_is_said_in_words_and_heals_without_a_restart(
    hospital: Hospital, pacs: Node, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(hospital.stranger.certificate.read_bytes())
    own = f'certificate = "{hospital.broker.certificate}", key = "{hospital.broker.key}"'
    causes = {
        "wrong-issuer": "its certificate is not trusted",
        "wrong-own": "it does not take our certificate",
        "without": "one that expects TLS",
        "plain-pacs": "TLS on one side only",
    }
    with dcmtk.storescp(tmp_path / "plain") as plain:
        environment = Environment(
            tmp_path,
            destinations="".join(
                (
                    destination("wrong-issuer", pacs.port, keys=f'tls = {{ {own}, trusted = "{trusted}" }}'),
                    destination("wrong-own", pacs.port, keys=hospital.call(own=hospital.stranger.issue("broker"))),
                    destination("without", pacs.port),
                    destination("plain-pacs", plain.port, keys=hospital.call()),
                )
            ),
        ).write()
        environment.register()
        with environment.serving():
            assert dcmtk.dcmsend(environment.dicom, DEVICE, images()[:1]).returncode == 0
            wait_for("all are waiting", lambda: all(whys(environment).get(name) for name in causes), 30)
            assert missing(causes, whys(environment)) == {}
            trusted.write_bytes(hospital.authority.certificate.read_bytes())
            wait_for("delivered", lambda: states(environment)["wrong-issuer"] == "delivered", 60)
            wait_for("waiting between two tries", lambda: states(environment)["without"] == "waiting")


def whys(environment: Environment) -> dict[str, str]:
    return {row["destination"]: row["why"] for row in environment.ask("delivery", "list")}


def states(environment: Environment) -> dict[str, str]:
    return {delivery.destination: delivery.state.value for delivery in environment.deliveries()}


def missing(causes: dict[str, str], whys: dict[str, str]) -> dict[str, str]:
    return {name: whys.get(name, "") for name, cause in causes.items() if cause not in whys.get(name, "")}


def test_a_renewed_certificate_holds_for_the_next_caller_and_ends_no_association(
    hospital: Hospital, tmp_path: Path
) -> None:
    environment = Environment(tmp_path, dicom_keys=hospital.listener()).write()
    environment.register()
    device, authority, stranger = hospital.device, hospital.authority, hospital.stranger
    with environment.serving():
        files = Certificates(device.certificate, device.key, authority.certificate)
        node = secure(environment)
        with EngineRequestor(tls=tls.client(files)).associate(
            Peer("127.0.0.1", node.port, node.ae_title, DEVICE), VERIFICATION
        ) as association:
            hospital.broker.replace(stranger.issue("broker"))
            after = dcmtk.echoscu(node, DEVICE, *device.dcmtk, *stranger.dcmtk)
            assert after.returncode == 0, said(after)
            assert dcmtk.echoscu(node, DEVICE, *device.dcmtk, *authority.dcmtk).returncode != 0
            assert association.echo() == 0


def test_a_certificate_that_is_missing_stops_the_start_with_its_name(hospital: Hospital, tmp_path: Path) -> None:
    environment = Environment(tmp_path, dicom_keys=hospital.listener()).write()
    hospital.broker.key.unlink()
    started = environment.command("serve")
    assert started.returncode == 1
    assert started.stderr.splitlines()[-1].endswith(f"{hospital.broker.key} cannot be read: No such file or directory")
    checked = run([*COMMAND, "env", "check", environment.profile])
    assert checked.returncode == 3
    assert f"tls of dicom: TLS: {hospital.broker.key} cannot be read" in checked.stderr


def test_the_listeners_have_as_many_descriptors_as_the_system_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    environment = Environment(tmp_path).write()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        serving = environment.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert hard in (_soft_limit(pid) for pid in _children(serving.process.pid))
    finally:
        serving.stop()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _soft_limit(pid: int) -> int:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Max open files")).split()[3])
