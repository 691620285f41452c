from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from broker import clock as clocks
from broker.clock import ShiftedClock, SystemClock, rfc3339


def test_instants_are_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_durations_never_shrink() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


def test_shift_follows_the_file_while_we_run(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    clock = ShiftedClock(file)
    for offset in (3600.0, -86400.0):
        file.write_text(str(offset), encoding="ascii")
        shift = clock.now() - datetime.now(UTC)
        assert abs(shift - timedelta(seconds=offset)) < timedelta(seconds=5)


@pytest.mark.parametrize("content", [None, "", "soon", "ü"])
def test_offset_that_cannot_be_read_counts_as_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "offset"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert abs(ShiftedClock(file).now() - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(("hooks", "kind"), [("1", ShiftedClock), ("0", SystemClock), ("", SystemClock)])
def test_clock_is_shifted_only_where_test_hooks_are_on(
    hooks: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_TEST_HOOKS", hooks)
    monkeypatch.setenv("BROKER_CLOCK_OFFSET_FILE", str(tmp_path / "offset"))
    assert type(clocks.from_environment()) is kind


def test_rfc_3339_text_has_milliseconds_and_offset() -> None:
    instant = datetime(2026, 2, 1, 8, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert rfc3339(instant) == "2026-02-01T08:00:00.123+01:00"
