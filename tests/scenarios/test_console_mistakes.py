"""The operator's guide on an empty worklist: every command of it is run, and prints what stands there."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.database import Database
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.worklist import store
from tests.peers.broker import Environment
from tests.wire.worklist_golden import NOW, fill, planned

GUIDE = Path(__file__).parents[2] / "docs" / "operator.md"
_SECTION = re.compile(r"^## Why is the worklist empty\?\n(.*?)^## ", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```\n\$ broker (worklist explain .*?)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def mistakes() -> list[tuple[str, str]]:
    """Each command of the section, and what it prints; long lines are folded there."""
    section = _SECTION.search(GUIDE.read_text(encoding="utf-8"))
    assert section
    return [(command.replace("\\\n", ""), printed) for command, printed in _BLOCK.findall(section[1])]


def told(text: str) -> str:
    """Text without its folding."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A test environment with the golden items and devices, two further items, and the clock of the golden queries."""
    folder = tmp_path_factory.mktemp("mistakes")
    environment = Environment(folder).write()
    database = open_database(profiles.read(environment.profile))
    fill(database)
    _add(database, 21, accession_number="0021", attributes={"OtherPatientIDs": "K77\\PRAXIS9"}, time="160000")
    _add(database, 22, accession_number="G22", modality="XA", scheduled_station_ae_titles=(), time="161500")
    database.close()
    offset = folder / "offset"
    offset.write_text(str((NOW - datetime.now(UTC)).total_seconds()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BROKER_TEST_HOOKS", "1")
        patched.setenv("BROKER_CLOCK_OFFSET_FILE", str(offset))
        yield environment.profile


def _add(database: Database, number: int, *, time: str, **changes: object) -> None:
    more = {"order_id": number, "study_instance_uid": f"1.2.3.9.{number}", "patient_id": f"20{number}", **changes}
    item = replace(planned()[0], scheduled_procedure_step_start_time=time, **more)  # type: ignore[arg-type]
    step_id = f"S-{item.accession_number}"
    with database.write("orders") as tx:
        store.replace(tx, number, (replace(item, scheduled_procedure_step_id=step_id),))


@pytest.mark.parametrize(("command", "printed"), mistakes(), ids=[command for command, _ in mistakes()])
def test_a_mistake_is_named_as_the_guide_says(profile: Path, command: str, printed: str) -> None:
    result = CliRunner().invoke(main, [*shlex.split(command), "--env", str(profile)])
    assert result.exit_code in (0, 1), result.exception
    assert told(result.output) == told(printed)


def test_the_guide_has_the_ten_typical_ones() -> None:
    assert len(mistakes()) >= 14
