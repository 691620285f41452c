"""The chore of Production that applies what is approved for a time. Loaded by the deliveries' process alone.

Its checks read every room; the ports start without them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from broker import clock as clocks
from broker.database import Database
from broker.environments import profile as profiles
from broker.environments.model import Destination, Profile
from broker.promotion import clockwork, judging
from broker.promotion.gate import Here
from broker.promotion.probing import Caller, Network


def promote(
    profile: Profile,
    database: Database,
    caller: Callable[[Destination], Caller],
    web: Callable[[Destination], str],
) -> None:
    """Apply what is approved for now; end the watch over what went well. `caller` and `web`: see `Network`."""
    clock = clocks.from_environment()
    clockwork.apply_due(profile, database, clock, judging.by(Network(caller, web)), _source)
    clockwork.settle(profile, database, clock)


@contextmanager
def _source(file: Path) -> Iterator[Here]:
    """Open the environment that a device was tested in."""
    source = profiles.read(file)
    database = Database(source.database_url)
    try:
        with database.read() as tx:
            yield Here(source, tx)
    finally:
        database.close()
