"""Where the tests' hooks are refused: in a production environment whose state is not thrown away anyway."""

import os
import tempfile
from pathlib import Path

from broker import failpoints
from broker.environments.model import Profile, World
from broker.errors import Misconfigured


def arm(profile: Profile) -> None:
    """Arm the failpoints that the environment's variables ask for. Raises Misconfigured where patients are."""
    if failpoints.hooks_allowed() and not _are_harmless(profile):
        raise Misconfigured(f"{profile.file.name}: BROKER_TEST_HOOKS=1 is refused for a production environment")
    failpoints.arm_from_environment()


def tripwires_off(profile: Profile) -> frozenset[str]:
    """Return the tripwires that a test has switched off by `BROKER_TRIPWIRES_OFF`; never any where patients are."""
    if not failpoints.hooks_allowed() or not _are_harmless(profile):
        return frozenset()
    return frozenset(filter(None, os.environ.get("BROKER_TRIPWIRES_OFF", "").split(",")))


def _are_harmless(profile: Profile) -> bool:
    temporary = Path(tempfile.gettempdir()).resolve()
    return profile.kind is not World.PRODUCTION or temporary in profile.state.resolve().parents
