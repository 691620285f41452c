"""The tests' hooks stay out of production."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from broker import failpoints
from broker.environments import hooks
from broker.environments import profile as profiles
from broker.errors import Misconfigured

PRODUCTION = profiles.read(Path(__file__).parents[3] / "environments" / "production.toml")


def test_hooks_are_refused_where_patients_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    with pytest.raises(Misconfigured, match="refused for a production environment"):
        hooks.arm(replace(PRODUCTION, state=Path("/srv/broker/production")))


def test_hooks_are_allowed_on_a_state_that_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.delenv("BROKER_FAIL", raising=False)
    hooks.arm(replace(PRODUCTION, state=Path(tempfile.gettempdir()) / "broker-state"))
    failpoints.disarm()


def test_without_hooks_nothing_is_refused() -> None:
    hooks.arm(replace(PRODUCTION, state=Path("/srv/broker/production")))
