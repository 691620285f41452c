"""Whatever people edit, ask for, approve, apply and roll back, and wherever it is cut: Production serves none or one.

The one is a revision that somebody approved, whole, with the binding that was approved with it.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker import failpoints
from broker.database import Database, sqlite_url
from broker.environments import profile as profiles
from broker.errors import NotFound, Refused
from broker.migrations import upgrade
from broker.people.model import Role, User
from broker.promotion import flow, planning, store
from broker.promotion.flow import By
from broker.promotion.model import CheckState, Life, Plan, Request, RequestState
from broker.registry import store as registry
from broker.registry.document import read
from broker.registry.model import Binding
from tests.conftest import FakeClock
from tests.unit.promotion.test_flow import ANN, EVE, ONE, PASSED, PROFILE, source_of

DOCUMENTS = (ONE, ONE + b'location = "ROOM 1"\n', ONE + b'location = "ROOM 2"\n')
BINDINGS = (Binding("10.0.0.9", 104), Binding("10.0.0.9", 11112))
_EXAMPLES = int(os.environ.get("BROKER_EXAMPLES", "20"))


STEPS = sorted(place for place in failpoints.PLACES if place.startswith("promotion.") and place != "promotion.commit")
COMMITTED = "promotion.commit.after"
CUTS = st.one_of(
    st.just(""),
    st.sampled_from(
        ["promotion.commit.before", COMMITTED, *(f"{place}.{side}" for place in STEPS for side in ("before", "after"))]
    ),
)
"""Where the process is killed; empty: nowhere."""
_REFUSED = 3


class Promotion(RuleBasedStateMachine):
    """People, two worlds, and a machine that may stop between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = FakeClock()
        self.tested = DOCUMENTS[0]
        self.allowed: set[tuple[str, str, int]] = set()  # what was approved: revision and binding
        self.requests: list[Request] = []
        self.check = PASSED

    @initialize()
    def start(self) -> None:
        """Make both worlds."""
        worlds = []
        for name in ("test", "production"):
            file = Path(self.folder.name) / f"{name}.toml"
            file.write_text(PROFILE.format(name=name))
            worlds.append(profiles.read(file))
        self.source, self.target = worlds
        self.url = sqlite_url(Path(self.folder.name) / "broker.db")
        self.database = Database(self.url)
        upgrade(self.database)

    def teardown(self) -> None:
        """End."""
        if hasattr(self, "database"):
            self.database.close()
        self.folder.cleanup()

    @rule(content=st.sampled_from(DOCUMENTS))
    def test_another(self, content: bytes) -> None:
        """Test another document in Test."""
        self.tested = content

    @rule(days=st.sampled_from((7, 30)))
    def edit_production(self, days: int) -> None:
        """Change a setting of Production, which every plan rests on."""
        self.target = replace(self.target, expire_days=days)

    @rule(state=st.sampled_from((CheckState.PASSED, CheckState.STALE)))
    def evidence(self, state: CheckState) -> None:
        """Let evidence pass, or grow stale."""
        self.check = replace(PASSED, state=state)

    @rule(binding=st.sampled_from(BINDINGS), cut=CUTS)
    def ask(self, binding: Binding, cut: str) -> None:
        """Ask for what is tested now."""

        def asked() -> None:
            with self.database.write("promotion") as tx:
                flow.requested(tx, self._plan(tx, binding), self.tested, binding, "test.toml", self._by())

        if self._cut(asked, cut):
            with self.database.read() as tx:
                self.requests = list(store.requests(tx, "production"))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), cut=CUTS)
    def approve(self, data: st.DataObject, cut: str) -> None:
        """Approve one of the requests."""
        request = data.draw(st.sampled_from(self.requests))
        eve = User("eve", Role.APPROVER, request.requested - timedelta(days=1), "person:ann")

        def approved() -> None:
            with self.database.write("promotion") as tx:
                flow.approved(tx, request, eve, By(EVE, self.clock.now()))

        if self._cut(approved, cut):
            self.allowed.add((request.revision, request.binding.host, request.binding.port))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), cut=CUTS)
    def apply(self, data: st.DataObject, cut: str) -> None:
        """Apply one of the requests, approved or not."""
        number = flow.number_of(data.draw(st.sampled_from(self.requests)))

        def applied() -> None:
            with self.database.write("promotion") as tx:
                request = store.find(tx, number, "production")
                flow.applied(tx, request, self._plan(tx, request.binding), (), self._by())

        if self._cut(applied, cut):
            with self.database.read() as tx:
                request = store.find(tx, number, "production")
                assert request.state is RequestState.APPLIED
                assert not self._plan(tx, request.binding).differences, "a plan after its application is not empty"

    @rule(cut=CUTS)
    def roll_back(self, cut: str) -> None:
        """Go back."""

        def rolled_back() -> None:
            with self.database.write("promotion") as tx:
                flow.rolled_back(tx, "us", "", (), self._by())

        self._cut(rolled_back, cut)

    @rule()
    def resume(self) -> None:
        """End a suspension."""

        def resumed() -> None:
            with self.database.write("promotion") as tx:
                flow.resumed(tx, "us", self._by())

        self._cut(resumed, "")

    @invariant()
    def none_or_one_approved_revision_is_served(self) -> None:
        """What is served was approved, whole."""
        if not hasattr(self, "database"):
            return
        with self.database.read() as tx:
            served = [device for device in registry.modalities(tx) if not device.retired]
            past = store.history(tx, "us")
            life = store.life(tx, "us")
        assert len(served) <= 1
        for device in served:
            assert (device.revision, device.binding.host, device.binding.port) in self.allowed
            assert past and (past[0].revision, past[0].binding) == (device.revision, device.binding)
            assert device.suspended == (life is Life.SUSPENDED)

    def _plan(self, tx: object, binding: Binding) -> Plan:
        known = flow._known(tx, "us")  # type: ignore[arg-type]
        source = planning.side(self.source, "us", source_of(self.tested), Life.READY)
        target = planning.side(self.target, "us", known, Life.DRAFT)
        before = known.document if known else None
        after = read(self.tested, "us")
        return planning.plan(source, target, before, after, binding, (self.check,), self.clock.now())

    def _by(self) -> By:
        self.clock.advance(1)
        return By(ANN, self.clock.now(), "cutover")

    def _cut(self, act: Callable[[], None], cut: str) -> bool:
        """Do it; tell whether it has happened. Where it is cut, a process of its own does it, and is killed there."""
        self.clock.advance(1)
        if not cut:
            return _done(act)
        self.database.close()
        ended = self._killed(act, cut)
        self.database = Database(self.url)
        assert ended in (0, _REFUSED, -signal.SIGKILL), ended
        return ended == 0 or (ended == -signal.SIGKILL and cut == COMMITTED)

    def _killed(self, act: Callable[[], None], cut: str) -> int:
        """Return how a process ended that did it: its exit code, or the negative signal."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.database = Database(self.url)
                failpoints._armed[cut] = failpoints._Armed(1, _end)
                code = 0 if _done(act) else _REFUSED
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _done(act: Callable[[], None]) -> bool:
    try:
        act()
    except (Refused, NotFound):
        return False
    return True


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


TestPromotion = Promotion.TestCase
TestPromotion.settings = settings(
    max_examples=_EXAMPLES, stateful_step_count=25, deadline=None, derandomize="BROKER_EXAMPLES" not in os.environ
)
