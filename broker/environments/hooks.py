"""Where the tests' hooks are refused: in a production environment whose state is not thrown away anyway."""

import tempfile
from pathlib import Path

from broker import failpoints
from broker.environments.model import Profile, World
from broker.errors import Misconfigured


def arm(profile: Profile) -> None:
    """Arm the failpoints that the environment's variables ask for. Raises Misconfigured where patients are."""
    temporary = Path(tempfile.gettempdir()).resolve()
    is_production = profile.kind is World.PRODUCTION
    if failpoints.hooks_allowed() and is_production and temporary not in profile.state.resolve().parents:
        raise Misconfigured(f"{profile.file.name}: BROKER_TEST_HOOKS=1 is refused for a production environment")
    failpoints.arm_from_environment()
