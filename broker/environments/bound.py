"""Whether `broker serve` runs on a state, and the ports it has bound, for commands of the same machine.

The ports stand in a file, which a `serve` that is killed leaves behind; whether one runs is told by a lock alone.
"""

import json

from broker import durable
from broker.environments.model import Profile

_FILE = "ports.json"
_LOCK = "serve.lock"


def take(profile: Profile) -> int | None:
    """Hold the state for the life of this process; return the lock's descriptor, None where another has it."""
    return durable.lock(profile.state / _LOCK)


def is_served(profile: Profile) -> bool:
    """Tell whether `broker serve` runs on the state of an environment."""
    try:
        return durable.is_locked(profile.state / _LOCK)
    except OSError:
        return False


def tell(profile: Profile, ports: dict[str, int]) -> None:
    """Write the ports down. Raises OSError."""
    path = profile.state / _FILE
    durable.discard_leftover(path)
    with durable.DurableFile(path, "bound") as file:
        file.write(json.dumps(ports).encode())
        file.commit()


def forget(profile: Profile) -> None:
    """Take the file away: nobody listens any more."""
    durable.remove(profile.state / _FILE, "bound")


def ports(profile: Profile) -> dict[str, int]:
    """Return the ports of the `serve` that runs, by listener; none where none runs or it has not opened them yet."""
    if not is_served(profile):
        return {}
    try:
        found: dict[str, int] = json.loads((profile.state / _FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found
