"""dcmjs-dimse as a device that asks for storage commitment, told where it asked and on an association of ours."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.peers.npm import FOLDER
from tests.peers.processes import free_port, program, wait_for
from tests.unit.spool.datasets import US_IMAGE
from tests.wire.commitment_world import TITLE, world

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("dcmjs")]

UIDS = ("1.2.1", "1.2.2")
ATTRIBUTES = {
    "TransactionUID": "2.25.99",
    "ReferencedSOPSequence": [
        {"ReferencedSOPClassUID": US_IMAGE, "ReferencedSOPInstanceUID": uid} for uid in (*UIDS, "1.2.9")
    ],
}


@pytest.mark.parametrize(("linger", "where"), [(8000, "same"), (0, "new")])
def test_it_is_told_what_we_keep_and_what_never_came(tmp_path: Path, linger: int, where: str) -> None:
    with world(tmp_path, "", mode="own") as here:
        here.store(*UIDS)
        listen = free_port()
        here.bind(listen)
        document = {"port": here.port, "called": "OLD_PACS", "calling": TITLE, "listen": listen, "linger": linger}
        with subprocess.Popen(
            [program("node", "nodejs npm"), FOLDER / "commit.js"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as device:
            assert device.stdin is not None
            device.stdin.write(json.dumps(document | {"attributes": ATTRIBUTES}))
            device.stdin.close()
            device.stdin = None
            wait_for("it has asked", here.requests, 20)
            here.clock.advance(16 * 60)
            here.flows.commitment.gather()
            wait_for("it has its report", lambda: _report(here) or device.poll() is not None, 20)
            said = json.loads(device.communicate(timeout=30)[0])
    assert (said["statuses"], said["events"]) == ([0], [])
    (report,) = said["reports"]
    assert (report["where"], report["caller"], report["type"]) == (where, "OLD_PACS", 2)
    assert _uids(report, "ReferencedSOPSequence") == set(UIDS)
    assert _uids(report, "FailedSOPSequence") == {"1.2.9"}


def _report(here: Any) -> bool:
    here.send_reports()
    return here.requests()[0].state.value == "reported"


def _uids(report: dict[str, Any], sequence: str) -> set[str]:
    items = report["attributes"][sequence]
    return {item["ReferencedSOPInstanceUID"] for item in (items if isinstance(items, list) else [items])}
