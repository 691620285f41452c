"""The checks of `broker env check`: each gives a finding with its likely cause. Changes nothing on disk or anywhere."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.database import Database
from broker.delivery.transcoding import copies
from broker.dimse.service import (
    CALLED_NOT_RECOGNIZED,
    CALLING_NOT_RECOGNIZED,
    AssociationRefused,
    Peer,
    Requestor,
)
from broker.environments import bound, listening
from broker.environments import profile as profiles
from broker.environments.commitment import ProofBy
from broker.environments.corrections import Unsure
from broker.environments.model import Destination, Profile, Protocol
from broker.environments.secret import Secret
from broker.errors import BrokerError, Misconfigured, Unavailable
from broker.promotion.approved import serving
from broker.promotion.approved import store as approvals
from broker.registry import store as registry
from broker.tripwires.other import crossings, other_of
from broker.tripwires.worlds import Worlds

_VERIFICATION = "1.2.840.10008.1.1"
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_CONNECT_SECONDS = 5.0
_PROVING = {
    ProofBy.AUTO: ("1.2.840.10008.1.20.1", "storage commitment"),
    ProofBy.COMMITMENT: ("1.2.840.10008.1.20.1", "storage commitment"),
    ProofBy.FIND: ("1.2.840.10008.5.1.4.1.2.2.1", "queries (Study Root)"),
}
"""By which SOP class a destination is asked for its proof, and what that is called."""
_UNSURE = {
    Unsure.SEND: "is sent as received",
    Unsure.HOLD: "is held",
    Unsure.CORRECT: "is altered too",
}
_WITHOUT_ORDER, _OTHER = "what is not surely of one order", "what names another patient"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; where it is not good, `text` says the likely cause. `warns`: as wanted, yet to be known."""

    check: str
    good: bool
    text: str
    warns: bool = False

    @property
    def result(self) -> str:
        """The finding in a word."""
        return "not ready" if not self.good else "warning" if self.warns else "ok"


def offline(profile: Profile) -> Iterator[Finding]:
    """Check what can be known without calling anybody."""
    yield Finding("profile", True, str(profile.file))
    yield _writable("state", profile.state)
    yield from _ports(profile)
    yield from _database(profile)
    yield from _folders(profile)
    yield from _corrections(profile)
    yield from _decoders(profile)
    yield from _certificates(profile)
    yield from _logins(profile)
    yield from _sources(profile)
    yield from _worlds(profile)
    yield from _neighbours(profile)


def online(profile: Profile) -> Iterator[Finding]:
    """Call every destination that is called: C-ECHO, or a query by QIDO-RS, over TLS where it has TLS."""
    from broker.app.peers import requestor  # noqa: PLC0415 - a broken engine must not stop the offline checks

    for destination in profile.destinations:
        with suppress(Misconfigured):  # the offline checks have said it
            if destination.protocol is Protocol.DIMSE:
                answers = _answers(destination, profile, requestor(destination))
                yield answers
                if answers.good and destination.proof.by in _PROVING:
                    yield _proves(destination, profile, requestor(destination))
            elif destination.protocol is Protocol.STOW:
                yield _answers_queries(destination)


# --- offline -----------------------------------------------------------------------------------------------------


def _writable(check: str, directory: Path) -> Finding:
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir():
        return Finding(check, False, f"{existing} is no directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(check, False, f"{existing} is not writable for this user")
    return Finding(check, True, str(directory) if existing == directory else f"{directory} will be created")


def _ports(profile: Profile) -> Iterator[Finding]:
    """Check that each listener's port can be had, or is this environment's already."""
    own = bound.ports(profile)
    for listener, port in profile.ports.items():
        try:
            listening.look(listener, port, profile)
        except BrokerError as error:
            is_own = own.get(listener) == port
            yield Finding(f"port {listener}", is_own, "open, `serve` runs" if is_own else str(error))
        else:
            yield Finding(f"port {listener}", True, f"{port} is free" if port else "any free one")


def _database(profile: Profile) -> Iterator[Finding]:
    file = profile.database_url.removeprefix("sqlite:///")
    if file != profile.database_url and not Path(file).exists():
        creatable = _writable("database", Path(file).parent)
        yield Finding("database", creatable.good, f"{file} will be created" if creatable.good else creatable.text)
        return
    with closing(Database(profile.database_url)) as database:
        try:
            with database.read() as tx:
                devices = registry.load(tx).modalities if registry.exists(tx) else ()
                has_settings = approvals.exists(tx)
            differing = len(serving.pending(profile, database)) if has_settings else 0
        except Unavailable as error:
            yield Finding("database", False, str(error).partition("\n")[0])
            return
        except Misconfigured as error:
            yield Finding("modalities", False, str(error).replace("\n", "; "))
            return
    yield Finding("database", True, "answers")
    if differing:
        text = f"these files wait for approval, other settings are served: see broker env pending {profile.name}"
        yield Finding("settings", True, text, warns=True)
    yield Finding(
        "modalities", True, f"{len(devices)} active: {', '.join(device.name for device in devices) or 'none'}"
    )
    names = {name for device in devices for route in device.document.routes for name in route.to}
    for name in sorted(name for name in names if profile.destination(name) is None):
        yield Finding("modalities", False, f"a route names {name!r}, which is no destination of this profile")


def _folders(profile: Profile) -> Iterator[Finding]:
    for destination in profile.destinations:
        if destination.path is not None:
            yield _writable(f"destination {destination.name}", destination.path)


def _decoders(profile: Profile) -> Iterator[Finding]:
    for destination in profile.destinations:
        if destination.transcode:
            there = (copies.PACKAGES / "pylibjpeg").is_dir()
            text = "what it refuses is decoded" if there else "no decoders for its `transcode`: run `make transcoding`"
            yield Finding(f"destination {destination.name}", there, text)


def _corrections(profile: Profile) -> Iterator[Finding]:
    """Whoever runs this must know which destinations get something else than what was received."""
    for destination in profile.destinations:
        if (correction := destination.correction) is not None:
            told = f"gets altered copies: {', '.join(correction.attributes)} set from the order"
            unsure = f"{_WITHOUT_ORDER} {_UNSURE[correction.unmatched]}, {_OTHER} {_UNSURE[correction.other_patient]}"
            yield Finding(f"destination {destination.name}", True, f"{told}; {unsure}", warns=True)


def _certificates(profile: Profile) -> Iterator[Finding]:
    listeners = {"hl7": profile.hl7.tls, "dicom": profile.dicom.tls}
    called = [each.tls for each in profile.destinations] + [each.tls for each in profile.receivers]
    if not any((*listeners.values(), *called)):
        return
    from broker.app.peers import listener_tls, requestor  # noqa: PLC0415 - as above, where there is no TLS
    from broker.outbox.connection import sender  # noqa: PLC0415

    for name, asked in listeners.items():
        if asked is not None:
            yield _usable(f"tls of {name}", partial(listener_tls, asked), asked.key)
    for each in profile.destinations:
        if each.tls is not None:
            yield _usable(f"tls of destination {each.name}", partial(requestor, each), each.tls.key)
    for receiver in profile.receivers:
        if receiver.tls is not None:
            yield _usable(f"tls of receiver {receiver.name}", partial(sender, receiver), receiver.tls.key)


def _logins(profile: Profile) -> Iterator[Finding]:
    """Every secret that a destination needs is there, and not for everybody to read."""
    for destination in profile.destinations:
        check, stow = f"login of destination {destination.name}", destination.stow
        for secret in stow.secrets if stow else ():
            yield _readable(check, secret)
        if stow and stow.login and stow.login.trusted:
            from broker.app.peers import stow_peer  # noqa: PLC0415 - as above

            yield _usable(check, partial(stow_peer, destination), None)


def _readable(check: str, secret: Secret) -> Finding:
    try:
        secret.read()
    except Misconfigured as error:
        hint = "" if secret.file else ": it must be set for `broker serve`, if not here"
        return Finding(check, False, f"{error}{hint}")
    if secret.is_open():
        return Finding(check, False, f"{secret.place} can be read by everybody on this machine: chmod o-r")
    return Finding(check, True, f"{secret.place} can be read")


def _sources(profile: Profile) -> Iterator[Finding]:
    """Every mapping and order control file can be read."""
    from broker.orders.sources import Sources  # noqa: PLC0415 - the reader of messages, which no other check needs

    try:
        Sources(profile.hl7, profile.name)
    except Misconfigured as error:
        yield from (Finding("hl7 sources", False, line) for line in str(error).splitlines())
        return
    names = ", ".join(source.name for source in profile.hl7.sources)
    yield Finding("hl7 sources", True, f"mappings and order control can be read: {names or 'any sender, one mapping'}")


def _usable(check: str, build: Callable[[], object], key: Path | None) -> Finding:
    try:
        build()
    except Misconfigured as error:
        return Finding(check, False, str(error))
    if key is not None and key.stat().st_mode & stat.S_IROTH:
        return Finding(check, False, f"{key} can be read by everybody on this machine: chmod o-r")
    return Finding(check, True, "certificates can be used")


def _worlds(profile: Profile) -> Iterator[Finding]:
    """What may cross between Test and Production, and whether that would be noticed."""
    if profile.worlds.key is None:
        return
    other = other_of(profile)
    yield _readable("worlds key", profile.worlds.key)
    for _, key, text in crossings(profile, other):
        yield Finding("worlds", False, f"{key}: {text}")
    if other.problem:
        yield Finding("worlds", False, f"the other world's profile: {other.problem}")
    elif other.destination is None:
        yield Finding("worlds", False, "the other world's DICOM listener is not known: nothing can be handed over")
    if why := Worlds(profile).unreadable():
        yield Finding("worlds", True, f"what began in the other world is not known here: {why}", warns=True)
    elif other.file is not None:
        yield Finding("worlds", True, "what began in the other world can be read")


def _neighbours(profile: Profile) -> Iterator[Finding]:
    """Worlds share nothing: compare with the other profiles of the folder."""
    things: dict[str, Callable[[Profile], set[object]]] = {
        "state directory": lambda p: {p.state},
        "database": lambda p: {p.database_url},
        "port": lambda p: {port for port in p.ports.values() if port},
    }
    for file in profiles.available():
        try:
            other = profiles.read(file)
        except BrokerError:
            continue  # its own check names its mistakes
        if other.file.resolve() == profile.file.resolve():
            continue
        for thing, of in things.items():
            for shared in sorted(of(profile) & of(other), key=str):
                yield Finding("separation", False, f"{thing} {shared} is also that of {other.name} ({file})")


# --- online ------------------------------------------------------------------------------------------------------


def _answers(destination: Destination, profile: Profile, requestor: Requestor) -> Finding:
    check = f"destination {destination.name}"
    where = f"{destination.host}:{destination.port}"
    cause = _why_unreachable(destination)
    if cause:
        return Finding(check, False, f"{where}: {cause}")
    return _echo(check, destination, profile, requestor)


def _answers_queries(destination: Destination) -> Finding:
    from broker.app.peers import stow_peer  # noqa: PLC0415 - as above
    from broker.delivery.senders.stow_query import probe  # noqa: PLC0415

    check, peer = f"destination {destination.name}", stow_peer(destination)
    if peer is None:
        return Finding(check, False, "is not reached by STOW-RS")
    try:
        return Finding(check, True, f"{destination.url} {probe(peer)}")
    except Unavailable as error:
        return Finding(check, False, f"{destination.url}: {error}")
    finally:
        peer.close()


def _why_unreachable(destination: Destination) -> str:
    try:
        socket.create_connection((destination.host, destination.port), timeout=_CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return "connection refused: is the program started, and is this its port?"
    except TimeoutError:
        return f"no answer within {_CONNECT_SECONDS:.0f} s: a wrong address, or a firewall between"
    except socket.gaierror:
        return "the host's name is unknown here"
    except OSError as error:
        return f"not reachable: {error.strerror or error}"
    return ""


def _echo(check: str, destination: Destination, profile: Profile, requestor: Requestor) -> Finding:
    ours = profile.dicom.ae_title if destination.calling in ("broker", "device") else destination.calling
    title = str(destination.ae_title)
    peer = Peer(destination.host, destination.port, title, ours)
    where = f"{destination.host}:{destination.port} ({title})"
    try:
        with requestor.associate(peer, [(_VERIFICATION, _IMPLICIT_VR_LITTLE_ENDIAN)]) as association:
            status = association.echo()
    except AssociationRefused as error:
        return Finding(check, False, f"{where}: {_why_refused(error, title, ours)}")
    except BrokerError as error:
        return Finding(check, False, f"{where}: {error}: is a DICOM program listening there?")
    if status:
        return Finding(check, False, f"{where}: C-ECHO answered with status 0x{status:04X}")
    return Finding(check, True, f"{where} answers C-ECHO")


def _proves(destination: Destination, profile: Profile, requestor: Requestor) -> Finding:
    """Tell whether a destination takes what it is asked for its proof by; nothing is asked."""
    check, by = f"proof of {destination.name}", destination.proof.by
    sop_class, called = _PROVING[by]
    peer = Peer(destination.host, destination.port, str(destination.ae_title), profile.dicom.ae_title)
    try:
        with requestor.associate(peer, [(sop_class, _IMPLICIT_VR_LITTLE_ENDIAN)]):
            text = f"takes {called}; does it know {profile.dicom.ae_title!r} with our host and port, for its reports?"
            return Finding(check, True, f"takes {called}" if by is ProofBy.FIND else text)
    except AssociationRefused as error:
        refused = f"it takes no {called}" if error.rejection is None else str(error)
    except BrokerError as error:
        refused = str(error)
    if by is ProofBy.AUTO:
        return Finding(check, True, f"none: {refused}; what it answers to an instance counts")
    return Finding(check, False, f"{refused}: enable it there, or set another proof")


def _why_refused(error: AssociationRefused, title: str, ours: str) -> str:
    if error.rejection == CALLED_NOT_RECOGNIZED:
        return f"it is not called {title!r}: correct ae_title"
    if error.rejection == CALLING_NOT_RECOGNIZED:
        return f"it does not know us: register {ours!r} there"
    return str(error)
