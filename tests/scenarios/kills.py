"""Which ends of the world a run tries: all with `BROKER_ALL_KILLS=1` (`make torture`), else some of them."""

import os
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


def tried(points: Sequence[_T], every: int) -> list[_T]:
    """Return every so-manyth point, always the same ones: what fails once can be looked at again."""
    return list(points) if os.environ.get("BROKER_ALL_KILLS") == "1" else list(points[::every])
