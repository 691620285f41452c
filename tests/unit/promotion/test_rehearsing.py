"""A trial of applying and going back: it is done, it says how it went, and nothing stays; in both databases."""

from dataclasses import replace
from pathlib import Path

from broker.associations import store as associations
from broker.database import Database
from broker.dimse.service import AssociationRequest
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.pipeline import Flows
from broker.promotion import rehearsing, store
from broker.promotion.gate import Prepared
from broker.promotion.model import CheckState, Life
from broker.promotion.probing import Answered
from broker.promotion.rehearsed import store as rehearsals
from broker.promotion.rehearsed.store import Rehearsal
from broker.registry import store as registry
from broker.registry.cache import RegistryCache
from broker.registry.document import read
from broker.spool.spool import Spool
from tests.conftest import FakeClock
from tests.unit.promotion.test_flow import ANN, HERE, ONE, PASSED, TWO, by, plan_of, promote, worlds

__all__ = ["worlds"]
OPEN = replace(PASSED, state=CheckState.MISSING)


def tried(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock, content: bytes
) -> list[tuple[str, bool, str]]:
    with database.read() as tx:
        plan = plan_of(tx, worlds, content, clock, OPEN)
    found = rehearsing.trial(database, worlds[1], Prepared(plan, content, HERE), by(clock))
    return [(each.check, each.state is CheckState.PASSED, each.text) for each in found.results]


def everything(database: Database) -> list[object]:
    with database.read() as tx:
        return [registry.modalities(tx), store.history(tx, "us"), store.requests(tx, "production"), registry.load(tx)]


def test_a_first_go_live_is_done_and_undone(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    before = everything(database)
    applied, worklist, back = tried(database, worlds, clock, ONE)
    assert applied[:2] == ("rehearsal_apply", True) and applied[2].endswith("is served under US1")
    assert worklist == ("rehearsal_worklist", True, "0 items today")
    assert back == (
        "rehearsal_rollback", True, "it would be its first: rolled back, it is suspended, and open exams still finish"
    )  # fmt: skip
    assert everything(database) == before


def test_the_way_back_is_to_what_is_served_now(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    served = promote(database, worlds, clock, ONE)
    before = everything(database)
    *_, back = tried(database, worlds, clock, TWO)
    assert back[2] == f"back to revision {served.revision[:12]}, which is served now"
    *_, back = tried(database, worlds, clock, ONE)
    assert back == ("rehearsal_rollback", True, "nothing would change")
    assert everything(database) == before


def test_what_cannot_be_applied_says_why_and_is_not_tried_further(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock
) -> None:
    with database.write("registry") as tx:
        other = ONE.replace(b'"us"', b'"other"')
        registry.apply(tx, read(other, "other"), other, ANN, clock.now())
    ((check, is_good, text),) = tried(database, worlds, clock, ONE)
    assert (check, is_good) == ("rehearsal_apply", False)
    assert "US1" in text


class Silent:
    """Nobody answers."""

    def takes(self, *_: object) -> Answered:
        return Answered(failure="no route to host")

    def listens(self, *_: object) -> bool:
        return False


def test_who_does_not_answer_is_named(worlds: tuple[Profile, Profile], clock: FakeClock, tmp_path: Path) -> None:
    lines = f'[[destinations]]\nname = "pacs"\nprotocol = "folder"\npath = "{tmp_path}"\n[[routes]]\nto = ["pacs"]\n'
    file = worlds[1].file
    file.write_text(file.read_text() + lines)

    asks = read(ONE + b"[commitment]\nasks = true\n", "us")
    for document, device in ((read(ONE, "us"), CheckState.NOT_APPLICABLE), (asks, CheckState.FAILED)):
        pacs, reach = rehearsing.reached(profiles.read(file), document, HERE, (), Silent(), clock.now())  # type: ignore[arg-type]
        assert (pacs.check, pacs.state, pacs.text) == ("rehearsal_pacs", CheckState.FAILED, "no route to host")
        assert reach.state is device


def test_a_device_that_is_rehearsed_is_refused_and_told_so(
    database: Database, worlds: tuple[Profile, Profile], clock: FakeClock, tmp_path: Path
) -> None:
    kept = Rehearsal("us", clock.now(), "ann", "c" * 64, "r" * 64, ("US1",), (PASSED,))
    with database.write("promotion") as tx:
        life = rehearsing.to_rehearse(tx, "us")
        assert life is Life.REHEARSING
        rehearsals.add(tx, kept, ANN)
        store.set_life(tx, "us", life, clock.now())
    flows = Flows(worlds[1], database, RegistryCache(database), Spool(tmp_path / "spool"), clock)
    asked = {title: AssociationRequest(title, "BROKER", "10.0.0.9", 104, "1.2", "X", ()) for title in ("US1", "US7")}
    assert all(flows.admit(each) is not None for each in asked.values())
    with database.read() as tx:
        assert rehearsals.newest(tx, "us") == kept
        reasons = {each.calling_ae_title: each.reason for each in associations.rejections(tx, 10)}
    assert reasons["US1"] == "us is being rehearsed: nothing is served to it before its promotion is applied"
    assert "rehearsed" not in reasons["US7"]


def test_what_is_served_keeps_its_life(database: Database, worlds: tuple[Profile, Profile], clock: FakeClock) -> None:
    promote(database, worlds, clock, ONE)
    with database.read() as tx:
        assert rehearsing.to_rehearse(tx, "us") is None
