"""`broker order send`: be the RIS. Judges an answer by its code alone."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from broker.cli.context import env_option, json_option, listing, titled
from broker.cli.order_raw import messages_of
from broker.environments import bound
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import Refused, Unavailable
from hl7 import client
from hl7.errors import Hl7Error
from hl7.header import read_header
from hl7.reply import read_acknowledgement

_NOT_ACCEPTED = 3  # exit code: an acknowledgement other than AA or CA
_ACCEPTED = ("AA", "CA")
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_COLUMNS = tuple(
    (key, key.replace("_", " ")) for key in ("file", "message", "control_id", "code", "location", "error", "text")
)


@click.command("send")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@env_option
@json_option
@click.option("--host", help="Instead of the profile's.")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of the profile's.")
@click.option("--certificate", type=_FILE, help="Shown to a TLS listener, instead of the listener's own.")
@click.option("--key", type=_FILE, help="Of --certificate.")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for each answer.")
@click.pass_context
def send(
    context: click.Context,
    *,
    files: tuple[Path, ...],
    env: str,
    as_json: bool,
    host: str | None,
    port: int | None,
    certificate: Path | None,
    key: Path | None,
    timeout: float,
) -> None:
    """Send HL7 files to the environment's listener and print the acknowledgements.

    A file may hold several messages. A profile without a plain port ([hl7] plain = false) is called over TLS, and its
    certificate must be of an issuer that [hl7.tls] trusts. Exit 3 when one is not answered AA or CA.
    """
    profile = profiles.read(profiles.find(env))
    waiting = [(file.name, number, raw) for file in files for number, raw in enumerate(messages_of(file), 1)]
    rows: list[dict[str, object]] = []
    try:
        answers = _exchanged(profile, (host, port), (certificate, key), [raw for _, _, raw in waiting], timeout)
        for (name, number, raw), answer in zip(waiting, answers, strict=False):
            rows.append({"file": name, "message": number, **_answer(raw, answer)})
    except OSError as error:
        where = ":".join(map(str, _address(profile, host, port)))
        raise Unavailable(f"message {len(rows) + 1} has no answer from {where}: {_cause(error)}") from error
    finally:
        if rows or as_json:
            listing(rows, _COLUMNS, as_json, titled(profile, "acknowledgements"))
    if any(row["code"] not in _ACCEPTED for row in rows):
        context.exit(_NOT_ACCEPTED)


def _exchanged(
    profile: Profile,
    where: tuple[str | None, int | None],
    shown: tuple[Path | None, Path | None],
    payloads: list[bytes],
    timeout: float,
) -> Iterator[bytes]:
    with client.Sender(*_address(profile, *where), timeout, _tls(profile, *shown)) as sender:
        for payload in payloads:
            yield sender.exchange(payload)


def _tls(profile: Profile, certificate: Path | None, key: Path | None) -> Callable[[], ssl.SSLContext] | None:
    """Return how to call a listener that takes TLS alone. Raises Misconfigured for files that cannot be used.

    A RIS has a certificate of its own; the listener's own serves to try it out, where its issuer is trusted too.
    """
    listener = profile.hl7.tls
    if profile.hl7.plain or listener is None:
        return None
    # Most listeners are plain, and a RIS that sends in a loop starts this often.
    from broker.dimse import tls  # noqa: PLC0415

    own = (certificate, key) if certificate else (listener.certificate, listener.key)
    # Not the name: the listener is called by whatever address it is bound to.
    return tls.client(tls.Certificates(*own, listener.trusted), checks_host=False)


def _address(profile: Profile, host: str | None, port: int | None) -> tuple[str, int]:
    name = "hl7" if profile.hl7.plain else "hl7_tls"
    wanted = port or bound.ports(profile).get(name) or profile.ports.get(name)
    if not wanted:
        raise Refused(
            f"{profile.name} takes any free HL7 port, and no `broker serve` runs here: start it, or say --port"
        )
    return host or _ANY_ADDRESS.get(profile.hl7.host, profile.hl7.host), wanted


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "the host's name is not known"
    return error.strerror or str(error) or type(error).__name__


def _answer(raw: bytes, answer: bytes) -> dict[str, object]:
    """Return what an answer says; one that answers another message, or cannot be read, is none."""
    header = read_header(raw)
    try:
        found = read_acknowledgement(answer)
    except Hl7Error as error:
        return {"control_id": "", "code": "", "location": "", "error": "", "text": f"unreadable answer: {error.text}"}
    code = found.code
    text = found.text
    if header is not None and found.control_id != header.control_id:
        code, text = "", "the answer is to another message"
    first = found.errors[0] if found.errors else None
    return {
        "control_id": found.control_id,
        "code": code,
        "location": first.location if first else "",
        "error": first.code if first else "",
        "text": text,
    }
