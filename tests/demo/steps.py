"""The steps of the demo: each does one thing in one world and verifies what came of it. Starts no peer by itself."""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from pydicom import Dataset

from tests.demo.screen import NotVerified, Screen, Step
from tests.demo.world import FILES, World
from tests.peers.broker import COMMAND
from tests.peers.processes import run, wait_for

SECONDS = 20.0  # for what happens by itself
UNREGISTERED = "US_ROOM_2"
REGISTERED = "US_ROOM2"


def expect(expected: str, seen: object, holds: bool) -> None:
    """Raise NotVerified unless it holds."""
    if not holds:
        raise NotVerified(expected, str(seen))


def start(world: World, step: Step) -> None:
    """The PACS listens, the environment is ready."""
    world.start_pacs()
    world.serve()
    assert world.serving is not None
    step.note = f"{world.broker_title}, ready in {world.serving.ready_seconds:.1f} s; PACS {world.pacs_title}"


def check(world: World, step: Step) -> None:
    """`broker env check --online`: the profile, and an echo to the PACS."""
    result = run([*COMMAND, "env", "check", world.environment.profile, "--online"])
    said = (result.stdout + result.stderr).strip()
    expect("exit code 0 of broker env check --online", said, result.returncode == 0)
    step.note = "profile valid, the PACS answers C-ECHO"


def register(world: World, step: Step) -> None:
    """`broker modality apply`: effective when the command returns, as the next query shows."""
    world.environment.register()
    # Production changes by promotion, which is not there yet: by --break-glass with a reason until then.
    step.note = f"{REGISTERED}{', with --break-glass' if world.name == 'production' else ''}"


def nothing_yet(world: World, step: Step) -> None:
    """Before its own order, a world shows nothing: not the other's order either."""
    _expect_worklist(world, [])
    step.note = "no item, while the order stands in Test" if world.name == "production" else "no item"


def order(world: World, step: Step) -> None:
    """The order is acknowledged with AA and the message's own control ID."""
    _expect_acknowledgement(world.ris(world.exam.message()), "AA", world.exam.control_id)
    step.note = f"accession {world.exam.accession_number}: ACK AA to {world.exam.control_id}"


def worklist(screen: Screen, world: World, step: Step) -> None:
    """The ultrasound sees the right row, and only that."""
    exam = world.exam
    world.items = _expect_worklist(world, [exam.accession_number])
    item = Dataset.from_json(world.items[0])
    scheduled = item.ScheduledProcedureStepSequence[0]
    row = {
        "patient": str(item.PatientName),
        "patient ID": item.PatientID,
        "born": item.PatientBirthDate,
        "accession": item.AccessionNumber,
        "procedure": item.RequestedProcedureDescription,
        "start": f"{scheduled.ScheduledProcedureStepStartDate} {scheduled.ScheduledProcedureStepStartTime}",
        "modality": scheduled.Modality,
        "station": scheduled.ScheduledStationAETitle,
    }
    wanted = {
        "patient": exam.patient_name,
        "patient ID": exam.patient_id,
        "born": exam.birth_date,
        "accession": exam.accession_number,
        "procedure": "Ultrasound of the abdomen",
        "start": f"{exam.start:%Y%m%d %H%M}00",
        "modality": "US",
        "station": REGISTERED,
    }
    expect(f"the row {wanted}", row, row == wanted)
    uid = item.StudyInstanceUID
    expect(f"Study Instance UID {exam.study_instance_uid}", uid, uid == exam.study_instance_uid)
    step.note = "1 item, every field as ordered"
    shown = row | {"start": f"{exam.start:%Y-%m-%d %H:%M}", "born": str(date.fromisoformat(exam.birth_date))}
    screen.table("worklist on the ultrasound's screen", world.name, list(shown), [list(shown.values())])


def store(world: World, step: Step) -> None:
    """An image, a cine loop and a report are stored under the identifiers of the worklist item."""
    answer = world.store()
    expect("an accepted association", answer, answer["association"] == "accepted")
    world.sent = answer["objects"]
    statuses = [one["status"] for one in world.sent]
    expect(f"{len(FILES)} times status 0000", statuses, statuses == [0] * len(FILES))
    step.note = "3 objects, each answered 0000 (Success)"


def forwarded(world: World, step: Step) -> None:
    """Every delivery is done, by our own books."""
    wait_for(f"the PACS has {len(FILES)} instances", lambda: len(world.received()) >= len(FILES), SECONDS)
    states = wait_for("every delivery is recorded as delivered", lambda: _all_delivered(world), SECONDS)
    step.note = f"{len(states)} deliveries to main-pacs: delivered"


def compare(screen: Screen, world: World, step: Step) -> None:
    """The PACS has each object once, under the order's identifiers, with the very bytes that the ultrasound sent."""
    received = world.received()
    uids = sorted(one["sop_instance_uid"] for one in world.sent)
    got = sorted(one["sop_instance_uid"] for one in received)
    expect(f"each of {len(uids)} instances once at the PACS", got, got == uids)
    by_uid = {one["sop_instance_uid"]: one for one in received}
    pairs = [(one, by_uid[one["sop_instance_uid"]]) for one in world.sent]
    screen.table("byte for byte", world.name, *_compared(pairs))
    for sent, there in pairs:
        expect(f"SHA-256 {sent['sha256']} of {sent['name']}", there["sha256"], there["sha256"] == sent["sha256"])
        _expect_identifiers(world, there)
    step.note = f"{sum(one['octets'] for one in world.sent):,} octets of data sets, identical"


def only_its_own(world: World, other: World, step: Step) -> None:
    """With both orders placed and both exams done, neither world shows or holds anything of the other."""
    _expect_worklist(world, [world.exam.accession_number])
    accessions = {one["accession_number"] for one in world.received()}
    expect(f"only {world.exam.accession_number} at the PACS", accessions, accessions == {world.exam.accession_number})
    step.note = f"{other.exam.accession_number} neither on the worklist nor in the PACS"


def refuse_the_other_kind(world: World, other: World, step: Step) -> None:
    """A message marked for the other kind of world is refused, and changes nothing."""
    marked = other.exam.processing_id
    control_id = f"WRONG{world.exam.number}"
    acknowledgement = world.ris(other.exam.message(control_id=control_id))
    _expect_acknowledgement(acknowledgement, "AR", control_id)
    _expect_worklist(world, [world.exam.accession_number])
    step.note = f"MSH-11 {marked}: ACK AR, worklist unchanged"


def refuse_unregistered(world: World, step: Step) -> None:
    """An unregistered device is refused by the right reason, and the rejection list says what to do."""
    answer = world.worklist(UNREGISTERED)
    answered = tuple(answer.get(key) for key in ("association", "result", "source", "reason"))
    wanted = ("rejected", 1, 1, 3)  # permanent, service user, calling AE title not recognized (PS3.8 table 9-21)
    expect(f"A-ASSOCIATE-RJ {wanted}", answer, answered == wanted)
    rows = world.environment.ask("rejection", "list")
    named = [(row["calling"], row["nearest"]) for row in rows]
    expect(f"one rejection of {UNREGISTERED}, nearest {REGISTERED}", named, set(named) == {(UNREGISTERED, REGISTERED)})
    step.note = rows[0]["reason"]


def stop(world: World, step: Step) -> None:
    """SIGTERM: it ends by itself with exit code 0."""
    assert world.serving is not None
    world.serving.stop()
    step.note = "SIGTERM, exit code 0"


def _expect_worklist(world: World, accessions: list[str]) -> list[dict[str, Any]]:
    answer = world.worklist()
    expect("an accepted association", answer, answer["association"] == "accepted")
    expect("final status 0000 of C-FIND", answer["status"], answer["status"] == 0)
    items: list[dict[str, Any]] = answer["items"]
    seen = [Dataset.from_json(item).AccessionNumber for item in items]
    expect(f"a worklist of {accessions}", seen, seen == accessions)
    return items


def _expect_acknowledgement(acknowledgement: dict[str, Any], code: str, control_id: str) -> None:
    seen = (acknowledgement["code"], acknowledgement["control_id"])
    expect(f"ACK {code} to {control_id}", json.dumps(acknowledgement["segments"]), seen == (code, control_id))


def _all_delivered(world: World) -> list[str]:
    states = [row["state"] for row in world.environment.ask("delivery", "list")]
    return states if states == ["delivered"] * len(FILES) else []


def _expect_identifiers(world: World, there: dict[str, Any]) -> None:
    exam = world.exam
    wanted = (exam.patient_name, exam.patient_id, exam.accession_number, exam.study_instance_uid)
    keys = ("patient_name", "patient_id", "accession_number", "study_instance_uid")
    seen = tuple(there[key] for key in keys)
    expect(f"the order's identifiers {wanted} at the PACS", seen, seen == wanted)


def _compared(pairs: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[list[str], list[list[object]]]:
    headings = ["object", "transfer syntax", "octets", "SHA-256 as sent", "SHA-256 at the PACS", ""]
    rows: list[list[object]] = [
        [
            sent["name"],
            sent["transfer_syntax"],
            f"{sent['octets']:,}",
            sent["sha256"][:16],
            there["sha256"][:16],
            "=" if sent["sha256"] == there["sha256"] else "DIFFERENT",
        ]
        for sent, there in pairs
    ]
    return headings, rows
