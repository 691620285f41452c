"""Which ports a running `broker serve` has bound, told to commands of the same machine by a file in its state."""

import json

from broker import durable
from broker.environments.model import Profile

_FILE = "ports.json"


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
    """Return the ports of the `serve` that runs, by listener; none where none runs."""
    try:
        found: dict[str, int] = json.loads((profile.state / _FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found
