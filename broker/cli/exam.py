"""`broker exam`: the whole life of an exam, as the other stages recorded it. Decides nothing; reading is audited."""

from collections.abc import Sequence
from datetime import date, datetime

import click

from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, listing, local, opened, titled
from broker.cli.order_view import one
from broker.database import Transaction
from broker.errors import NotFound
from broker.exams import reading
from broker.exams.model import Exam, Line, Mark, Stage, Standing
from broker.orders import store as orders
from broker.orders.model import StepStatus, StoredOrder

_LEAST_SEARCHED = 500  # orders a page, where late ones are searched for
_SIGNS = {Mark.DONE: "✓", Mark.PARTLY: "…", Mark.NOT_YET: "·", Mark.PERSON: "✗", Mark.NOT_ASKED: "-"}
_LEGEND = "✓ done   … under way   · not yet   ✗ a person must look   - not asked   ! late"
_COLUMNS = (
    ("start", "scheduled"),
    ("accession_number", "accession"),
    ("modality", "modality"),
    ("procedure", "procedure"),
    ("patient_id", "patient id"),
    *((stage.value, stage.value) for stage in Stage),
)
_LINE_COLUMNS = (("stage", "stage"), ("when", "when"), ("about", "by or to"), ("what", "what"), ("late", "late"))


@click.group("exam")
def group() -> None:
    """The life of each exam: ordered, offered, started, received, delivered, reported back."""


@group.command("list")
@click.option("--day", metavar="DAY", help="Only those with a step on this day: YYYY-MM-DD, or today.")
@click.option("--late", is_flag=True, help="Only those of which a step is late.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="So many a page at most; with --late so many are searched, 500 at least.",
)
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Which page.")
@env_option
@json_option
def list_(*, env: str, day: str | None, late: bool, limit: int, page: int, as_json: bool) -> None:
    """List exams with each stage in a sign: of a day the soonest first, else the newest first."""
    with opened(env) as here:
        size = max(limit, _LEAST_SEARCHED) if late else limit
        # Read apart from the audit's transaction: whoever receives must not wait until a page of exams is read.
        with here.database.read() as tx:
            found = _found(tx, _day(day, here) if day else "", size + 1, size * (page - 1))
            exams = [_exam(tx, each, here) for each in found[:size]]
        shown = [exam for exam in exams if exam.is_late or not late]
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "exam.read", day or "newest", rows=len(shown)))
        if as_json:
            listing([_summary(exam, here) for exam in shown], (), as_json)
        else:
            listing([_signs(exam, here) for exam in shown], _COLUMNS, as_json, titled(here.profile, "exams"))
            click.echo(_LEGEND)
    if len(found) > size:
        click.echo(f"{'searched' if late else 'shown'}: {size}; there are more: --page {page + 1}", err=True)


def _found(tx: Transaction, day: str, limit: int, skipped: int) -> list[StoredOrder]:
    return reading.of_day(tx, day, limit, skipped) if day else reading.newest(tx, limit, skipped)


@group.command("show")
@click.argument("key", metavar="ACCESSION")
@env_option
@json_option
def show(env: str, key: str, as_json: bool) -> None:
    """Show an exam whole, a line a stage, with times and numbers.

    ACCESSION may also be a placer or filler order number, a Study Instance UID, or the order's id here. Where it
    names several exams, each is shown; with --json exactly one must be meant.
    """
    with opened(env) as here:
        with here.database.read() as tx:
            found = orders.order_detail(tx, key)
            if not found:
                raise NotFound(f"{here.profile.name} has no exam {key}; `broker exam list` shows them")
            exams = [_exam(tx, each, here) for each in ([one(found, key, here.profile)] if as_json else found)]
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "exam.read", ", ".join(f"order {exam.stored.id}" for exam in exams)))
        if as_json:
            detail(_document(exams[0], here), as_json)
            return
        for exam in exams:
            _write(exam, here)
        click.echo(_LEGEND)


def _day(text: str, here: Opened) -> str:
    if text == "today":
        return f"{here.clock.now().astimezone(here.profile.timezone):%Y%m%d}"
    try:
        return f"{date.fromisoformat(text):%Y%m%d}"
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no day: write YYYY-MM-DD, or today") from error


def _exam(tx: Transaction, stored: StoredOrder, here: Opened) -> Exam:
    return reading.exam(tx, stored, here.profile, here.clock.now())


# --- for people --------------------------------------------------------------------------------------------------


def _signs(exam: Exam, here: Opened) -> dict[str, object]:
    facts = _facts(exam)
    signs = {stage.value: _sign(standing, here) for stage, standing in exam.stages.items()}
    times = exam.stages[Stage.OFFERED].count
    if times:
        signs[Stage.OFFERED.value] += "x"
    if exam.stored.canceled:
        signs[Stage.ORDERED.value] = f"{_SIGNS[Mark.DONE]} canceled"
    if {step.status for step in exam.stored.order.steps} == {StepStatus.DISCONTINUED}:
        signs[Stage.COMPLETED.value] = f"{_SIGNS[Mark.DONE]} discontinued"
    return {**facts, **signs}


def _sign(standing: Standing, here: Opened) -> str:
    """Return a stage in a sign and its number, or else its time of day: "✓ 12/12", "✓ 09:31", "… 3/12 !"."""
    if standing.count is not None:
        number = f"{standing.count}/{standing.of}" if standing.of is not None else str(standing.count)
    else:
        number = f"{standing.at.astimezone(here.profile.timezone):%H:%M}" if standing.at else ""
    return " ".join(filter(None, (_SIGNS[standing.mark], number, "!" if standing.late else "")))


def _write(exam: Exam, here: Opened) -> None:
    facts = {key: value for key, value in {**_facts(exam), **_whose(exam)}.items() if value}
    detail(facts, False, titled(here.profile, f"exam {exam.stored.order.accession_number or exam.stored.id}"))
    listing([_line(line, here) for line in exam.lines], _LINE_COLUMNS, False, titled(here.profile, "what happened"))


def _line(line: Line, here: Opened) -> dict[str, object]:
    last = f", last {_local(line.last, here)}" if line.last and line.last != line.at else ""
    return {
        "stage": f"{_SIGNS[line.mark]} {line.stage.value}",
        "when": line.at,
        "about": line.about,
        "what": f"{line.text}{last}",
        "late": f"! {line.late}" if line.late else "",
    }


def _local(at: datetime, here: Opened) -> str:
    return local(at, here.profile.timezone)


# --- for programs ------------------------------------------------------------------------------------------------


def _summary(exam: Exam, here: Opened) -> dict[str, object]:
    return {
        **_facts(exam),
        "late": sorted({line.stage.value for line in exam.lines if line.late}),
        "stages": {stage.value: _standing(standing) for stage, standing in exam.stages.items()},
    }


def _document(exam: Exam, here: Opened) -> dict[str, object]:
    return {**_summary(exam, here), **_whose(exam), "lines": [_row(line) for line in exam.lines]}


def _standing(standing: Standing) -> dict[str, object]:
    keys = ("at", "count", "of", "late")
    return {"mark": standing.mark.value, **{key: getattr(standing, key) for key in keys}}


def _row(line: Line) -> dict[str, object]:
    keys = ("about", "at", "last", "count", "of", "text")
    late = {"late": bool(line.late), "late_why": line.late}
    return {"stage": line.stage.value, "mark": line.mark.value, **{key: getattr(line, key) for key in keys}, **late}


def _facts(exam: Exam) -> dict[str, object]:
    order = exam.stored.order
    return {
        "order": exam.stored.id,
        "start": _first([_start(exam.stored)]),
        "accession_number": order.accession_number,
        "modality": _first([step.modality for step in order.steps]),
        "procedure": order.requested_procedure_description
        or _first([step.scheduled_procedure_step_description for step in order.steps]),
        "patient_id": order.patient.patient_id,
        "canceled": exam.stored.canceled,
    }


def _whose(exam: Exam) -> dict[str, object]:
    order = exam.stored.order
    return {
        "patient_name": order.patient.patient_name,
        "requested_procedure_id": order.requested_procedure_id,
        "study_instance_uid": order.study_instance_uid,
        "steps": [f"{step.scheduled_procedure_step_id} {step.status.value}" for step in order.steps],
    }


def _start(stored: StoredOrder) -> str:
    starts = [
        f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}".rstrip(" :")
        for step in stored.order.steps
        if (day := step.scheduled_procedure_step_start_date)
        for time in (step.scheduled_procedure_step_start_time,)
    ]
    return min(starts, default="")


def _first(values: Sequence[str]) -> str:
    return next(filter(None, values), "")
