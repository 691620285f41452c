"""Every HL7 file of the sample corpus over MLLP: one well-formed acknowledgement a message, with the right MSA-2."""

import json
import socket
import time
from pathlib import Path

import pytest

from hl7.header import is_batch, read_header
from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from tests.golden.cases import cases
from tests.peers.broker import Environment
from tests.scenarios.test_main_job import ORDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# File by file what is answered, so that a change of behaviour shows: a code with its error, or "none".
ANSWERS = Path(__file__).with_name("hl7_corpus_answers.json")


def _payloads(samples: Path | None) -> list[tuple[str, bytes]]:
    if samples is None:
        return [(case.name, case.messages[-1]) for case in cases()]
    found = []
    for file in sorted((samples / "hl7").iterdir()):
        content = file.read_bytes().strip(b"\x0b\x1c\r\n")
        # A frame cannot hold what ends it; such a file is a test of the framing, not of a message.
        if file.is_file() and b"\x1c\r" not in content and b"\x0b" not in content:
            found.append((file.name, content))
    return found


def test_every_message_gets_its_acknowledgement_and_the_listener_still_answers(
    tmp_path: Path, samples: Path | None
) -> None:
    payloads = _payloads(samples)
    environment = Environment(tmp_path, kind="production").write()  # nearly all of them say P in MSH-11
    wrong: list[str] = []
    answers: dict[str, str] = {}
    with environment.serving() as serving:
        for name, payload in payloads:
            reply = _exchange(environment.ports["hl7"], payload, _is_answered(payload))
            answers[name] = _said(reply)
            complaint = _judge(payload, reply)
            if complaint:
                wrong.append(f"{name}: {complaint}")
        order = ORDER.format(control="LAST", accession="LAST", world="P").encode("latin-1")
        assert b"MSA|AA|LAST" in _exchange(environment.ports["hl7"], order, True)
        assert serving.process.poll() is None
        kept = environment.ask("order", "inbox")
    assert wrong == []
    assert len(payloads) > 10
    assert kept
    if samples is not None:
        assert answers == json.loads(ANSWERS.read_text())


def _said(reply: bytes) -> str:
    """Return MSA-1 with what ERR says of an error, or "none" where the probe's answer came first."""
    said = read_acknowledgement(reply.decode("latin-1").encode("ascii", "replace"))
    if said.control_id == "PROBE":
        return "none"
    return " ".join([said.code, *(f"{one.code} {one.location}" for one in said.errors if one.severity == "E")]).strip()


def _is_answered(payload: bytes) -> bool:
    header = read_header(payload)
    return is_batch(payload) or (header is not None and not header.is_acknowledgement)


def _exchange(port: int, payload: bytes, answered: bool) -> bytes:
    """Send one message; where no answer is due, one must not come before a second message's."""
    probe = ORDER.format(control="PROBE", accession="PROBE", world="X").encode("latin-1")
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(frame(payload) + (b"" if answered else frame(probe)))
        return _receive(connection)


def _receive(connection: socket.socket) -> bytes:
    data, deadline = b"", time.monotonic() + 10
    while not data.endswith(b"\x1c\r") and time.monotonic() < deadline:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data.strip(b"\x0b\x1c\r")


def _judge(payload: bytes, reply: bytes) -> str:
    answer = read_header(reply)
    if answer is None:
        return f"no acknowledgement but {reply[:80]!r}"
    segments = reply.split(b"\r")
    msa = segments[1].split(reply[3:4])
    if not _is_answered(payload):
        return "" if msa[2] == b"PROBE" else "what gets no acknowledgement got one"
    if is_batch(payload):
        return "" if msa[1] == b"AR" else f"a batch got {msa[1]!r}"
    header = read_header(payload)
    assert header is not None
    if msa[0] != b"MSA" or msa[1] not in (b"AA", b"AE", b"AR", b"CA", b"CE", b"CR"):
        return f"not an acknowledgement: {reply[:120]!r}"
    if msa[2] != header.control_id_raw:
        return f"MSA-2 is {msa[2]!r} instead of {header.control_id_raw!r}"
    return ""
