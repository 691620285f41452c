"""Where what is printed goes."""

import os
import stat
from pathlib import Path

import pytest

from broker.cli.paper_file import write_file
from broker.errors import Refused


def test_a_file_is_replaced_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    out = tmp_path / "worklist.html"
    out.write_text("yesterday")
    out.chmod(0o644)
    write_file(out, b"today")
    assert out.read_bytes() == b"today"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [out]


def test_what_is_no_file_is_never_replaced_by_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "stdout"
    link.symlink_to(pipe)
    for out in (pipe, link, tmp_path):
        with pytest.raises(Refused, match="is no file"):
            write_file(out, b"names")
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_link_stays_and_leads_to_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    link = tmp_path / "worklist.html"
    link.symlink_to(tmp_path / "shared" / "worklist.html")
    write_file(link, b"today")
    assert link.is_symlink()
    assert link.read_bytes() == b"today"
