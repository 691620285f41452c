"""A served provider, with limits short enough to wait for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.dimse.acceptor import Server
from broker.dimse.contexts import STORAGE_COMMITMENT_PUSH, SUPPORTED, UNCOMPRESSED, Supported
from broker.dimse.limits import Limits
from broker.dimse.session import TlsContext
from tests.wire.dimse.provider import Keeping

QUICK = Limits(
    first_byte=0.6, associate=1.0, pdu=1.0, message=1.0, idle=2.0, artim=0.6, send=1.0, answer=1.0, response=2.0
)
EVERYTHING = {**SUPPORTED, STORAGE_COMMITMENT_PUSH: Supported(UNCOMPRESSED, peer_may_be_scp=True)}

Serve = Callable[..., tuple[int, Keeping]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers: `serve(limits)` returns the port and the provider."""
    with ExitStack() as stack:

        def start(limits: Limits = QUICK, tls: TlsContext | None = None) -> tuple[int, Keeping]:
            provider = Keeping()
            server = Server("127.0.0.1", 0, provider, SystemClock(), EVERYTHING, limits=limits, tls=tls)
            port = server.start()
            stack.callback(server.stop, 0.5)
            return port, provider

        yield start


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file of bytes that are no data set: the upper layer must not care."""
    path = tmp_path / "image"
    path.write_bytes(bytes(range(256)) * 1200)
    return path
