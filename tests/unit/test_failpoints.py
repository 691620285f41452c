import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import failpoints


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.delenv("BROKER_FAIL", raising=False)
    monkeypatch.delenv("BROKER_FAIL_TRACE", raising=False)
    yield monkeypatch
    monkeypatch.undo()
    failpoints.disarm()
    monkeypatch.delenv("BROKER_TEST_HOOKS", raising=False)
    failpoints.arm_from_environment()


def set_to(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BROKER_FAIL", text)
    failpoints.arm_from_environment()


def test_place_that_is_not_armed_is_passed(arm: pytest.MonkeyPatch) -> None:
    failpoints.arm_from_environment()
    failpoints.hit("spool.write.before")


@pytest.mark.parametrize(
    ("action", "number"), [("enospc", errno.ENOSPC), ("eio", errno.EIO), ("cut", None)], ids=["full", "broken", "cut"]
)
def test_armed_place_fails_the_nth_time_only(arm: pytest.MonkeyPatch, action: str, number: int | None) -> None:
    set_to(arm, f"spool.write.before:2:{action}")
    failpoints.hit("spool.write.before")
    with pytest.raises(OSError) as caught:
        failpoints.hit("spool.write.before")
    assert caught.value.errno == number
    assert isinstance(caught.value, ConnectionError) == (action == "cut")
    failpoints.hit("spool.write.before")


def test_disarmed_place_is_passed(arm: pytest.MonkeyPatch) -> None:
    set_to(arm, "spool.sync.after:1:eio")
    failpoints.disarm()
    failpoints.hit("spool.sync.after")


def test_after_is_not_passed_when_the_block_failed(arm: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    arm.setenv("BROKER_FAIL_TRACE", str(trace))
    failpoints.arm_from_environment()
    with pytest.raises(RuntimeError), failpoints.around("spool.write"):
        raise RuntimeError
    with failpoints.around("spool.sync"):
        pass
    assert trace.read_text().split() == ["spool.write.before", "spool.sync.before", "spool.sync.after"]


def test_nothing_is_armed_without_test_hooks(arm: pytest.MonkeyPatch) -> None:
    arm.setenv("BROKER_TEST_HOOKS", "0")
    set_to(arm, "spool.write.before:1:eio")
    failpoints.hit("spool.write.before")


@pytest.mark.parametrize("text", ["spool.wipe.before:1:eio", "nowhere:1:eio"])
def test_unknown_place_cannot_be_armed(arm: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(KeyError, match=r"not in failpoints\.PLACES"):
        set_to(arm, text)


def test_unknown_action_is_refused(arm: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown action 'explode'"):
        set_to(arm, "spool.write.before:1:explode")


def test_place_that_has_no_name_in_the_list_is_an_error_once_anything_is_armed(arm: pytest.MonkeyPatch) -> None:
    set_to(arm, "spool.write.before:9:eio")
    with pytest.raises(KeyError):
        failpoints.hit("spool.wipe.before")


def test_kill_ends_the_process_at_once() -> None:
    program = (
        "import os; os.environ.update(BROKER_TEST_HOOKS='1', BROKER_FAIL='inbox.commit.before:1:kill')\n"
        "from broker import failpoints as f; f.arm_from_environment()\n"
        "try:\n    f.hit('inbox.commit.before')\nfinally:\n    print('survived')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")
