"""The steps of the demo: each does one thing in one world and verifies what came of it. Starts no peer by itself."""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from pydicom import Dataset

from tests.demo.screen import NotVerified, Screen, Step
from tests.demo.world import DEVICE, DOCUMENT, FILES, World, ultrasound_listens
from tests.peers.processes import wait_for

SECONDS = 20.0  # for what happens by itself
SECONDS_TO_APPLY = 5.0
DONE = ("passed", "not applicable")
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
    world.broker("env", "check", world.environment.profile, "--online")
    step.note = "profile valid, the PACS answers C-ECHO"


def people(world: World, step: Step) -> None:
    """`broker user add`: Ann configures both worlds, Eve may approve what goes into Production."""
    world.token = json.loads(world.here("user", "add", "ann", "--role", "administrator", "--json"))["token"]
    step.note = "ann, administrator"
    if world.name == "production":
        world.eve = json.loads(world.here("user", "add", "eve", "--role", "approver", "--json"))["token"]
        step.note += "; eve, approver: a token each, shown once"


def register(world: World, step: Step) -> None:
    """`broker modality apply` and `bind`: effective when the commands return, as the next query shows."""
    file = world.folder / f"{DEVICE}.toml"
    file.write_text(DOCUMENT, encoding="utf-8")
    port = ultrasound_listens(world.folder, world.stack)
    world.here("modality", "apply", file)
    world.here("modality", "bind", DEVICE, "--host", "127.0.0.1", "--port", str(port))
    step.note = f"{REGISTERED}, at 127.0.0.1:{port}"


def not_served(world: World, step: Step) -> None:
    """Nobody has approved the ultrasound for Production: it is not served there, whatever its console is set to."""
    answer = world.worklist()
    expect("a rejected association", answer, answer["association"] == "rejected")
    step.note = "its association is rejected: nobody has approved it"


def nothing_yet(world: World, step: Step) -> None:
    """Before its own order, a world shows nothing: not the other's order either."""
    _expect_worklist(world, [])
    step.note = "no item, though Test had one" if world.name == "production" else "no item"


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
    """Verification, the step's beginning, image, cine loop and report, the step's end: each is taken."""
    world.sent = _taken(world.store(), len(FILES), 3)
    step.note = "C-ECHO, MPPS begun, 3 objects stored, MPPS completed: each answered 0000"


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
    """With both exams done, neither world shows or holds anything of the other."""
    _expect_worklist(world, [])  # what is completed has left it
    accessions = {one["accession_number"] for one in world.received()}
    expect(f"only {world.exam.accession_number} at the PACS", accessions, accessions == {world.exam.accession_number})
    step.note = f"{other.exam.accession_number} neither on the worklist nor in the PACS"


def refuse_the_other_kind(world: World, other: World, step: Step) -> None:
    """A message marked for the other kind of world is refused, and changes nothing."""
    marked = other.exam.processing_id
    control_id = f"WRONG{world.exam.number}"
    acknowledgement = world.ris(other.exam.message(control_id=control_id))
    _expect_acknowledgement(acknowledgement, "AR", control_id)
    _expect_worklist(world, [])
    step.note = f"MSH-11 {marked}: ACK AR, worklist unchanged"


def refuse_unregistered(world: World, step: Step) -> None:
    """An unregistered device is refused by the right reason, and the rejection list says what to do."""
    answer = world.worklist(UNREGISTERED)
    answered = tuple(answer.get(key) for key in ("association", "result", "source", "reason"))
    wanted = ("rejected", 1, 1, 3)  # permanent, service user, calling AE title not recognized (PS3.8 table 9-21)
    expect(f"A-ASSOCIATE-RJ {wanted}", answer, answered == wanted)
    rows = [row for row in world.ask("rejection", "list") if row["calling"] == UNREGISTERED]
    named = [(row["calling"], row["nearest"]) for row in rows]
    expect(f"one rejection of {UNREGISTERED}, nearest {REGISTERED}", named, set(named) == {(UNREGISTERED, REGISTERED)})
    step.note = rows[0]["reason"]


# --- from Test to Production -------------------------------------------------------------------------------------


def prove(screen: Screen, world: World, production: World, step: Step) -> None:
    """Every check is ticked by what the ultrasound did, but for our call to it and what only a person can see."""
    by_hand = ("images_look_right", "largest_loop", "measurements_right")
    # The policy of Production decides how much is asked for; the demo has the same in Test.
    before = json.loads(world.broker("promote", "checks", DEVICE, *_env(world), "--json", code=3))["checks"]
    left = sorted(check["check"] for check in before if check["state"] not in DONE)
    expect(f"only {[*by_hand, 'verification_out']} left", left, left == sorted([*by_hand, "verification_out"]))
    world.here("modality", "echo", DEVICE)
    for name in by_hand:
        world.here("promote", "state", DEVICE, name, "--text", "seen on the workstation")
    found = json.loads(world.broker("promote", "checks", DEVICE, *_env(world), "--json"))["checks"]
    passed = [check for check in found if check["state"] == "passed"]
    rows = [[check["title"], check["state"], check["text"]] for check in passed]
    screen.table("what the ultrasound has proven", world.name, ["check", "", "by what"], rows)
    step.note = f"{len(passed) - len(by_hand)} checks by its traffic, {len(by_hand)} stated by ann by name"


def plan(screen: Screen, test: World, production: World, step: Step) -> None:
    """`broker promote plan`: what changes, and that nothing stands in the way."""
    made = json.loads(production.broker("promote", "plan", *_sides(test, production), "--json"))
    expect("a plan that is ready", made["checks"], made["ready"])
    ready = sum(1 for check in made["checks"] if check["check"].startswith("target_"))
    console = [change for change in made["differences"] if change["at_console"]]
    rows = [[change["field"], change["before"] or "(nothing)", change["after"]] for change in console]
    screen.table("what changes at the console", production.name, ["field", "now", "after"], rows)
    step.note = f"{len(made['differences'])} fields, {ready} checks of Production, checksum {made['checksum'][:12]}"


def approve(test: World, production: World, step: Step) -> None:
    """`broker promote request` and `approve`: whoever asks cannot approve."""
    words = ("promote", "request", *_sides(test, production), "--why", "tested", "--json")
    id_ = json.loads(production.broker(*words))["id"]
    production.request = f"{production.environment.profile}/{id_.rpartition('/')[2]}"
    refused = production.broker("promote", "approve", production.request, code=1)
    expect("that Ann may not approve", refused, "this needs approver" in refused)
    production.broker("promote", "approve", production.request, token=production.eve)
    step.note = f"{id_}: refused to ann, approved by eve"


def apply(test: World, production: World, step: Step) -> None:
    """`broker promote apply`: the very bytes that were tested are served at once, and the plan is empty."""
    began = time.monotonic()
    production.broker("promote", "apply", production.request)
    took = time.monotonic() - began
    expect("less than 5 s", took, took < SECONDS_TO_APPLY)
    served = [each.here("modality", "export", DEVICE) for each in (test, production)]
    expect("identical documents", served, served[0] == served[1])
    left = json.loads(production.broker("promote", "plan", *_sides(test, production), "--json"))["differences"]
    expect("an empty plan", left, not left)
    step.note = f"in {took:.1f} s, without a restart; the same bytes in both worlds"


def begin_another(world: World, step: Step) -> None:
    """A second patient: the ultrasound has begun the exam and stored the first image."""
    world.exam = replace(world.exam, number=2002, patient_name="Okonkwo^Chidi", patient_id="4713")
    _expect_acknowledgement(world.ris(world.exam.message()), "AA", world.exam.control_id)
    world.items = _expect_worklist(world, [world.exam.accession_number])
    world.sent = _taken(world.store(FILES[:1], end=False), 1, 2)
    step.note = f"{world.exam.accession_number}: MPPS begun, the first image stored"


def roll_back(world: World, step: Step) -> None:
    """`broker promote rollback`: it gets no new item any more, whatever is ordered."""
    began = time.monotonic()
    said = world.here("promote", "rollback", DEVICE, "--why", "the probe is broken")
    took = time.monotonic() - began
    expect("that it is suspended", said, "is suspended" in said)
    expect("less than 5 s", took, took < SECONDS_TO_APPLY)
    late = replace(world.exam, number=2003)
    _expect_acknowledgement(world.ris(late.message()), "AA", late.control_id)
    _expect_worklist(world, [world.exam.accession_number])  # what it has begun, it may end
    whats = [row["what"] for row in world.ask("promote", "history", DEVICE)]
    # Between the two the watch over its first exams may have ended.
    expect("a history of both", whats, (whats[0], whats[-1]) == ("suspended", "applied"))
    step.note = f"in {took:.1f} s; a new order does not reach the ultrasound"


def end_it(world: World, step: Step) -> None:
    """The exam that was open stores, finishes and reaches the PACS, with the very bytes."""
    before = len(world.received()) - 1
    world.sent += _taken(world.store(FILES[1:], begin=False), len(FILES) - 1, 1)
    wait_for("the PACS has them", lambda: len(world.received()) >= before + len(FILES), SECONDS)
    wait_for("every delivery is recorded as delivered", lambda: _all_delivered(world), SECONDS)
    there = {one["sop_instance_uid"]: one for one in world.received()}
    for one in world.sent:
        seen = there.get(one["sop_instance_uid"], {})
        expect(f"SHA-256 {one['sha256']} of {one['name']}", seen.get("sha256"), seen.get("sha256") == one["sha256"])
        _expect_identifiers(world, seen)
    step.note = "image, loop and report at the PACS, identical; MPPS completed"


def stop(world: World, step: Step) -> None:
    """SIGTERM: it ends by itself with exit code 0."""
    assert world.serving is not None
    world.serving.stop()
    step.note = "SIGTERM, exit code 0"


def _sides(test: World, production: World) -> tuple[str, ...]:
    return (DEVICE, "--from", str(test.environment.profile), "--to", str(production.environment.profile))


def _env(world: World) -> tuple[str, str]:
    return ("--env", str(world.environment.profile))


def _taken(answer: dict[str, Any], objects: int, reports: int) -> list[dict[str, Any]]:
    """Return what was stored; all of it, and all that was reported beside it, must have been answered 0000."""
    expect("an accepted association", answer, answer["association"] == "accepted")
    sent: list[dict[str, Any]] = answer["objects"]
    statuses = [one["status"] for one in sent]
    expect(f"{objects} times status 0000", statuses, statuses == [0] * objects)
    expect(f"{reports} times status 0000 of echo and MPPS", answer, answer["reported"] == [0] * reports)
    return sent


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
    states = [row["state"] for row in world.ask("delivery", "list")]
    return states if states == ["delivered"] * len(world.received()) else []


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
