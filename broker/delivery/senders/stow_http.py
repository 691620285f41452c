"""The values of an HTTP exchange. Loads nothing: the client that exchanges them is `stow_client`'s."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProxyServer:
    """What connections go through, with its credentials, and what its own certificate is checked by."""

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer. `body` is at most what was asked for; `is_whole` tells whether it is all of it, and not compressed."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `length` is of `content`, which is asked for its pieces once."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Iterable[bytes] = ()
    length: int = 0
    longest_answer: int = 64 * 1024
