"""`broker order send` against a listener of its own, plain and with TLS."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.dimse import tls
from hl7.header import read_header
from hl7.server import Limits, MllpServer, PeerAddress
from tests.peers.certificates import Authority
from tests.unit.cli.conftest import Command


def answer(raw: bytes, _peer: PeerAddress) -> bytes:
    header = read_header(raw)
    assert header is not None
    if header.control_id == "BAD":
        return b"MSH|^~\\&|B|R|RIS|HOSP|20260131||ACK|1|T|2.3.1\rMSA|AE|BAD|PatientID is missing\rERR|PID^1^3^101\r"
    control_id = "OTHER" if header.control_id == "MIXED" else header.control_id
    return f"MSH|^~\\&|B|R|RIS|HOSP|20260131||ACK|1|T|2.3.1\rMSA|AA|{control_id}\r".encode()


@pytest.fixture
def listener() -> Iterator[int]:
    server = MllpServer("127.0.0.1", 0, answer, Limits(), lambda name, facts: None)
    yield server.start()
    assert server.stop(5)


def two_messages(folder: Path, second: str) -> Path:
    file = folder / "two.hl7"
    header = "MSH|^~\\&|RIS|HOSP|B|R|20260131||ORM^O01|{}|T|2.3.1\r\nPID|||1\r\n"
    file.write_bytes((header.format("M1") + "\n" + header.format(second)).encode())
    return file


def test_each_message_of_a_file_is_sent_and_its_answer_shown(
    as_json: Callable[..., Any], listener: int, tmp_path: Path
) -> None:
    rows = as_json("order", "send", two_messages(tmp_path, "M2"), "--env", "test", "--port", listener)
    assert [(row["control_id"], row["code"]) for row in rows] == [("M1", "AA"), ("M2", "AA")]


def test_answer_other_than_acceptance_exits_3(run: Command, listener: int, tmp_path: Path) -> None:
    done = run("order", "send", two_messages(tmp_path, "BAD"), "--env", "test", "--port", listener, code=3)
    assert "PID^1^3" in done.stdout


def test_answer_to_another_message_is_none(run: Command, listener: int, tmp_path: Path) -> None:
    done = run("order", "send", two_messages(tmp_path, "MIXED"), "--env", "test", "--port", listener, code=3)
    assert "the answer is to another message" in done.stdout


def test_listener_that_is_not_there_is_named(run: Command, tmp_path: Path) -> None:
    done = run("order", "send", two_messages(tmp_path, "M2"), "--env", "test", "--port", 1, code=1)
    assert "127.0.0.1:1" in done.stderr


def test_missing_file_is_named(run: Command, tmp_path: Path) -> None:
    assert "none.hl7" in run("order", "send", tmp_path / "none.hl7", "--env", "test", code=1).stderr


@pytest.fixture
def secured(environments: Path, tmp_path: Path) -> Iterator[Authority]:
    """The environment `test` with a TLS listener alone, which asks for a certificate."""
    authority = Authority(tmp_path, "hospital")
    own = authority.issue("broker")
    contexts = tls.server(tls.Certificates(own.certificate, own.key, authority.certificate))
    server = MllpServer("127.0.0.1", 0, answer, Limits(), lambda name, facts: None, tls=contexts)
    table = (
        f'plain = false\n[hl7.tls]\nport = {server.start()}\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n'
        f'trusted = "{authority.certificate}"\n[dicom]'
    )
    file = environments / "test.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("[dicom]", table), encoding="utf-8")
    yield authority
    assert server.stop(5)


def test_profile_without_a_plain_port_is_called_over_tls(
    as_json: Callable[..., Any], run: Command, secured: Authority, tmp_path: Path
) -> None:
    file = two_messages(tmp_path, "M2")
    assert [row["code"] for row in as_json("order", "send", file, "--env", "test")] == ["AA", "AA"]
    ris = secured.issue("ris")
    own = ("--certificate", ris.certificate, "--key", ris.key)
    assert [row["code"] for row in as_json("order", "send", file, "--env", "test", *own)] == ["AA", "AA"]
    stranger = Authority(tmp_path, "stranger").issue("ris")
    other = ("--certificate", stranger.certificate, "--key", stranger.key)
    assert "has no answer from 127.0.0.1" in run("order", "send", file, "--env", "test", *other, code=1).stderr
