"""Where an environment listens, and why it cannot somewhere. Opens nothing for longer than a look."""

import errno
import socket
from contextlib import closing

from broker.environments.model import Profile
from broker.errors import BrokerError, Misconfigured, Unavailable


def host_of(listener: str, profile: Profile) -> str:
    """Return the address of a listener, by its name in the ready line: plain and TLS share one."""
    hosts = {"hl7": profile.hl7.host, "dicom": profile.dicom.host, "http": profile.http.host}
    return hosts[listener.partition("_")[0]]


def look(listener: str, port: int, profile: Profile) -> None:
    """Take the listener's address and give it back. Raises Unavailable or Misconfigured where it cannot be had."""
    host = host_of(listener, profile)
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise unopened(listener, port, profile, error) from error


def unopened(listener: str, port: int, profile: Profile, error: OSError) -> BrokerError:
    """Return why a listener's port cannot be opened: Unavailable where another program has it, else Misconfigured."""
    host, key = host_of(listener, profile), f"[{listener.replace('_', '.')}] port"
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            f"{key} {port} of {host} is taken by another program: end that one "
            f"(`ss -ltnp 'sport = :{port}'` names it) or set another port in {profile.file}"
        )
    return Misconfigured(f"{key} {port} of {host} cannot be opened: {_reason(error, host, profile)}")


def _reason(error: OSError, host: str, profile: Profile) -> str:
    if error.errno in {errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN}:
        return f"{host!r} is no address of this machine (`ip address` lists them): mend host in {profile.file}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "ports below 1024 need a right of their own: give the program CAP_NET_BIND_SERVICE, or set a higher port"
    return error.strerror or type(error).__name__
