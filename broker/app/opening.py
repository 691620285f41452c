"""Opens every listener's port. Decides no port, and not what is said of one that cannot be opened."""

from collections.abc import Mapping
from typing import Protocol

from broker.environments.listening import unopened
from broker.environments.model import Profile
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
        raise unopened(name, port, profile, error) from error
