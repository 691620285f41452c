"""Opens every listener's port, and says which could not be opened, why, and what to do. Decides no port."""

import errno
import socket
from collections.abc import Mapping
from typing import Protocol

from broker.environments.model import Profile
from broker.errors import Misconfigured, Unavailable
from broker.supervisor import Ports


class Listener(Protocol):
    """What accepts connections on one port."""

    def start(self) -> int:
        """Listen, and return the bound port. Raises OSError where the address cannot be bound."""
        ...

    def stop(self, seconds: float, /) -> object:
        """Accept nothing more and finish what is in flight, for so many seconds at most."""
        ...


def open_all(listeners: Mapping[str, Listener], wanted: Ports, profile: Profile) -> Ports:
    """Start the listeners and return the bound ports.

    Raises Unavailable where another program has a port, Misconfigured where no program of ours could have it.
    """
    return {name: _open(name, listener, wanted[name], profile) for name, listener in listeners.items()}


def _open(name: str, listener: Listener, port: int, profile: Profile) -> int:
    try:
        return listener.start()
    except OSError as error:
        key, host = _key(name), _host(name, profile)
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"{key} {port} of {host} is taken by another program: end that one "
                f"(`ss -ltnp 'sport = :{port}'` names it) or set another port in the profile of {profile.name}"
            ) from error
        raise Misconfigured(f"{key} {port} of {host} cannot be opened: {_reason(error, host, profile)}") from error


def _reason(error: OSError, host: str, profile: Profile) -> str:
    """Return what is wrong with the address and what to do."""
    if error.errno in {errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN}:
        return f"{host!r} is no address of this machine (`ip address` lists them): mend the profile of {profile.name}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "ports below 1024 need a right of their own: give the program CAP_NET_BIND_SERVICE, or set a higher port"
    return error.strerror or type(error).__name__


def _key(name: str) -> str:
    """Return where the profile says it: `dicom_tls` is the port of [dicom.tls]."""
    return f"[{name.replace('_', '.')}] port"


def _host(name: str, profile: Profile) -> str:
    hosts = {"hl7": profile.hl7.host, "dicom": profile.dicom.host, "http": profile.http.host}
    return hosts[name.partition("_")[0]]
