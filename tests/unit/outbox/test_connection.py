"""The connection to a receiver over TLS: who is trusted, and that nothing is said to anybody else."""

import ssl
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from broker.environments.model import CallTls
from broker.errors import Misconfigured
from broker.outbox.connection import sender
from hl7.errors import Hl7Error
from hl7.reply import read_acknowledgement
from tests.peers.certificates import Authority
from tests.unit.outbox.examples import RIS
from tests.unit.outbox.ris import ris

MESSAGE = b"MSH|^~\\&|BROKER||RIS||20260201||ORM^O01|C1|T|2.3.1\r"


@pytest.mark.foreign
def test_message_goes_over_tls_to_a_receiver_that_is_trusted_and_to_no_other(tmp_path: Path) -> None:
    ours, stranger = Authority(tmp_path, "ours"), Authority(tmp_path, "stranger")
    issued = ours.issue("ris")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with ris(context=context) as peer:
        receiver = replace(RIS, port=peer.port, timeout_seconds=5)
        with closing(sender(replace(receiver, tls=CallTls(None, None, ours.certificate)))) as trusting:
            assert read_acknowledgement(trusting.exchange(MESSAGE)).code == "AA"
        wary = sender(replace(receiver, tls=CallTls(None, None, stranger.certificate)))
        with closing(wary), pytest.raises(OSError, match="certificate"):
            wary.exchange(MESSAGE)
        with closing(sender(receiver)) as plain, pytest.raises((OSError, Hl7Error)):
            plain.exchange(MESSAGE)
        assert peer.got == [MESSAGE]


def test_certificates_that_are_missing_are_said_at_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        sender(replace(RIS, tls=CallTls(None, None, tmp_path / "none.pem")))
