"""TLS by PS3.15 B.12 on both sides, with our own, OpenSSL's and DCMTK's peers, and certificates made here."""

import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from broker.dimse import tls
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import OutgoingInstance, Peer
from broker.dimse.tls import Certificates
from broker.errors import Misconfigured, Unavailable
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import QUICK, Serve
from tests.wire.dimse.raw_peer import EXPLICIT, IMPLICIT, ULTRASOUND, VERIFICATION, RawPeer
from tests.wire.dimse.test_foreign import part10, slice_of, storescp, tool

WANTED = [(VERIFICATION, IMPLICIT), (ULTRASOUND, EXPLICIT)]


def make(folder: Path, name: str) -> Certificates:
    """Make a self-signed certificate for the loopback address that is its own issuer."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-subj", f"/O=Hospital/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return Certificates(certificate, key)


def trusting(own: Certificates, other: Certificates) -> Certificates:
    return Certificates(own.certificate, own.key, other.certificate)


@pytest.fixture
def broker(tmp_path: Path) -> Certificates:
    return make(tmp_path, "broker")


@pytest.fixture
def device(tmp_path: Path) -> Certificates:
    return make(tmp_path, "device")


def call(port: int, files: Certificates) -> int:
    requestor = EngineRequestor(QUICK, tls=tls.client(files))
    with requestor.associate(Peer("127.0.0.1", port, "BROKER", "DEVICE"), WANTED) as association:
        return association.echo()


def test_mutual_authentication_and_the_subject_is_known(
    serve: Serve, broker: Certificates, device: Certificates, image: Path
) -> None:
    port, provider = serve(tls=tls.server(trusting(broker, device)))
    requestor = EngineRequestor(QUICK, tls=tls.client(trusting(device, broker)))
    with requestor.associate(Peer("127.0.0.1", port, "BROKER", "DEVICE"), WANTED) as association:
        instance = OutgoingInstance(ULTRASOUND, "1.2.3", EXPLICIT, str(image), 0, image.stat().st_size)
        assert association.store(instance).status == 0
    assert provider.stored[0][1] == image.read_bytes()
    assert provider.requests[0].certificate_subject == "organizationName=Hospital, commonName=device"


def test_caller_without_a_trusted_certificate_does_not_come_in(
    serve: Serve, broker: Certificates, device: Certificates, tmp_path: Path
) -> None:
    port, provider = serve(tls=tls.server(trusting(broker, device)))
    for files in (Certificates(None, None, broker.certificate), trusting(make(tmp_path, "stranger"), broker)):
        with pytest.raises(Unavailable):
            call(port, files)
    assert provider.requests == []
    assert call(port, trusting(device, broker)) == 0


def test_server_that_we_do_not_trust_is_not_called(serve: Serve, broker: Certificates, device: Certificates) -> None:
    port, _ = serve(tls=tls.server(broker))
    with pytest.raises(
        Unavailable, match=r"certificate is not trusted: self-signed certificate.*CERTIFICATE_VERIFY_FAILED"
    ):
        call(port, Certificates(None, None, device.certificate))


def test_plain_caller_on_a_tls_port_and_the_reverse_end_in_time(serve: Serve, broker: Certificates) -> None:
    port, _ = serve(tls=tls.server(broker))
    begun = time.monotonic()
    with RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq())
        assert peer.read()[0] != 2
    plain, _ = serve()
    with pytest.raises(Unavailable, match="TLS failed"):
        call(plain, Certificates(None, None, broker.certificate))
    assert time.monotonic() - begun < 2.5


def test_dripping_handshake_is_cut(serve: Serve, broker: Certificates) -> None:
    port, _ = serve(tls=tls.server(broker))
    begun = time.monotonic()
    with RawPeer.connect(port) as peer:
        try:
            for _ in range(100):
                peer.send(b"\x16")
                time.sleep(0.05)
        except OSError:
            pass
    assert time.monotonic() - begun < 3
    assert call(port, Certificates(None, None, broker.certificate)) == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions_are_taken(serve: Serve, broker: Certificates, version: ssl.TLSVersion) -> None:
    port, _ = serve(tls=tls.server(broker))
    context = ssl.create_default_context(cafile=str(broker.certificate))
    context.minimum_version = context.maximum_version = version
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="127.0.0.1") as sock:
        assert sock.version() == version.name.replace("_", ".")
        cipher = sock.cipher()
        assert cipher is not None
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


@pytest.mark.parametrize("suite", ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"])
def test_suites_without_forward_secrecy_or_authentication_are_not(
    serve: Serve, broker: Certificates, suite: str
) -> None:
    port, _ = serve(tls=tls.server(broker))
    context = ssl.create_default_context(cafile=str(broker.certificate))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    with socket.create_connection(("127.0.0.1", port), 5) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="127.0.0.1")


def test_replaced_certificate_holds_for_the_next_caller_and_a_broken_one_changes_nothing(
    serve: Serve, broker: Certificates, tmp_path: Path
) -> None:
    port, _ = serve(tls=tls.server(broker))
    folder = tmp_path / "next"
    folder.mkdir()
    renewed = make(folder, "broker")
    assert broker.certificate
    assert broker.key
    assert renewed.certificate
    assert renewed.key
    old = Certificates(None, None, tmp_path / "old.pem")
    assert old.trusted
    old.trusted.write_bytes(broker.certificate.read_bytes())
    assert call(port, old) == 0
    broker.certificate.write_bytes(b"half a cert")
    assert call(port, old) == 0
    broker.key.write_bytes(renewed.key.read_bytes())
    broker.certificate.write_bytes(renewed.certificate.read_bytes())
    assert call(port, Certificates(None, None, renewed.certificate)) == 0
    with pytest.raises(Unavailable):
        call(port, old)


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"missing\.pem"):
        tls.server(Certificates(tmp_path / "missing.pem", tmp_path / "missing.key"))


def test_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(broker: Certificates) -> None:
    assert broker.key
    locked = broker.key.with_suffix(".locked")
    words = ["openssl", "pkcs8", "-topk8", "-in", str(broker.key), "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(words, check=True, capture_output=True)
    with pytest.raises(Misconfigured, match="the key is encrypted"):
        tls.server(Certificates(broker.certificate, locked))


def test_causes_are_said_in_plain_words(
    serve: Serve, broker: Certificates, device: Certificates, tmp_path: Path
) -> None:
    strict, _ = serve(tls=tls.server(trusting(broker, device)))
    plain, _ = serve()
    stranger = make(tmp_path, "stranger")
    for port, files, cause in (
        (strict, Certificates(None, None, broker.certificate), "it wants a certificate of ours"),
        (strict, trusting(stranger, broker), "it does not take our certificate"),
        (plain, Certificates(None, None, broker.certificate), "it does not speak TLS on this port"),
    ):
        with pytest.raises(Unavailable, match=cause):
            call(port, files)
    with (
        pytest.raises(Unavailable, match="perhaps it is no DICOM port, or one that expects TLS"),
        EngineRequestor(QUICK).associate(Peer("127.0.0.1", strict, "BROKER", "DEVICE"), WANTED),
    ):
        pass


def test_another_name_in_the_certificate_is_said_and_may_be_allowed(serve: Serve, broker: Certificates) -> None:
    port, _ = serve(tls=tls.server(broker))
    trusted = Certificates(None, None, broker.certificate)
    with (
        pytest.raises(Unavailable, match="checks_host = false"),
        EngineRequestor(QUICK, tls=tls.client(trusted)).associate(Peer("localhost", port, "BROKER", "DEVICE"), WANTED),
    ):
        pass
    requestor = EngineRequestor(QUICK, tls=tls.client(trusted, checks_host=False))
    with requestor.associate(Peer("localhost", port, "BROKER", "DEVICE"), WANTED) as association:
        assert association.echo() == 0


@pytest.mark.foreign
def test_dcmtk_tools_speak_tls_with_us_in_both_directions(
    serve: Serve, broker: Certificates, device: Certificates, tmp_path: Path
) -> None:
    port, provider = serve(tls=tls.server(trusting(broker, device)))
    files = ("+tls", str(device.key), str(device.certificate), "+cf", str(broker.certificate))
    assert tool("echoscu", *files, "127.0.0.1", str(port)).returncode == 0
    path = part10(tmp_path / "image.dcm", EXPLICIT)
    sent = tool("storescu", *files, "-xe", "127.0.0.1", str(port), str(path))
    assert sent.returncode == 0, sent.stderr
    assert provider.stored
    assert tool("echoscu", "127.0.0.1", str(port)).returncode != 0
    folder = tmp_path / "kept"
    folder.mkdir()
    theirs = ("+tls", str(device.key), str(device.certificate), "+cf", str(broker.certificate))
    with storescp(folder, *theirs) as other:
        requestor = EngineRequestor(QUICK, tls=tls.client(trusting(broker, device)))
        with requestor.associate(Peer("127.0.0.1", other, "ANY", "US"), WANTED) as association:
            assert association.store(slice_of(path)).status == 0
    assert len(list(folder.iterdir())) == 1
