"""`broker commitment`: who has proven what, and what devices ask us to answer for. Acts are audited."""

from collections.abc import Sequence

import click

from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.commitment.devices import store as requests
from broker.commitment.devices.model import DeviceRequest, Line
from broker.commitment.model import failure_text
from broker.commitment.proof import keeping
from broker.commitment.proof import store as proofs
from broker.commitment.proof.keeping import Keeping
from broker.commitment.proof.model import OPEN, Asking, Proof, ProofState
from broker.database import Transaction
from broker.delivery.model import Delivery, DeliveryState
from broker.environments.commitment import ProofBy
from broker.errors import NotFound, Refused
from broker.people.model import Right
from broker.spool.spool import Spool

_MOST = 200
_COLUMNS = tuple(
    (key, key.replace("_", " "))
    for key in ("asked", "by", "to", "state", "instances", "committed", "failed", "reported", "transaction", "why")
)
_PROOF_COLUMNS = tuple(
    (key, key) for key in ("delivery", "destination", "state", "delivered", "tries", "due", "finished", "why")
)


@click.group("commitment")
def group() -> None:
    """Storage commitment: what destinations have proven, and what devices ask for."""


@group.command("list")
@env_option
@json_option
def list_(env: str, as_json: bool) -> None:
    """List requests in both directions, newest first: ours to destinations, and devices' to us."""
    with opened(env) as here, here.database.read() as tx:
        rows = [_asking(tx, each, here) for each in proofs.askings(tx, _MOST)]
        known = requests.requests(tx, _MOST)
        tallies = requests.tallies(tx, [each.id for each in known])
        rows += [_request(each, tallies.get(each.id, (0, 0, 0)), here) for each in known]
    rows.sort(key=lambda row: str(row["asked"]), reverse=True)
    listing(rows[:_MOST], _COLUMNS, as_json, titled(here.profile, "requests for storage commitment"))


@group.command("show")
@click.argument("transaction_uid", metavar="TRANSACTION")
@env_option
@json_option
def show(transaction_uid: str, env: str, as_json: bool) -> None:
    """Show one request by its Transaction UID, instance by instance."""
    with opened(env) as here, here.database.read() as tx:
        shown = _shown(tx, transaction_uid, here)
    detail(shown, as_json, titled(here.profile, "request for storage commitment"))


@group.command("proofs")
@click.option(
    "--state", type=click.Choice([s.value for s in ProofState]), help="Only those; without, all that are open."
)
@click.option("--destination", metavar="D", default="", help="Only those of this destination.")
@env_option
@json_option
def proofs_(env: str, state: str | None, destination: str, as_json: bool) -> None:
    """List what was delivered and is not proven yet, the longest first."""
    wanted = [ProofState(state)] if state else list(OPEN)
    with opened(env) as here, here.database.read() as tx:
        rows = [_proof(each) for each in proofs.in_states(tx, wanted, destination)]
    listing(rows, _PROOF_COLUMNS, as_json, titled(here.profile, "proofs"))


@group.command("waive")
@click.argument("delivery_ids", metavar="[DELIVERY]...", type=int, nargs=-1)
@click.option("--destination", metavar="D", help="All that this destination has not proven.")
@click.option("--why", required=True, help="Kept with the proof, and audited.")
@env_option
def waive(delivery_ids: tuple[int, ...], destination: str | None, why: str, env: str) -> None:
    """Want no proof of deliveries: what the destination answered counts, and the spool lets them go."""
    if bool(delivery_ids) == bool(destination):
        raise click.UsageError("name deliveries, or --destination D")
    with opened(env, Right.WORK) as here:
        reason = f"waived by {here.actor}: {why}"
        with here.database.write("proof") as tx:
            done = _waived(tx, delivery_ids, destination, reason, here)
            subject = destination or ", ".join(map(str, delivery_ids))
            audit.record(tx, act(here, "proof.waived", subject, deliveries=len(done), why=why))
        ids = [proof.instance_id for proof in done]
        spool = Spool(here.profile.spool)
        gone = keeping.let_go(here.database, spool, Keeping.of(here.profile), ids, here.clock)
    click.echo(f"waived: {len(done)}; {gone} left the spool")


@group.command("report-again")
@click.argument("transaction_uid", metavar="TRANSACTION")
@env_option
def report_again(transaction_uid: str, env: str) -> None:
    """Send a device its report once more, one that was given up or one that it says it never got."""
    with opened(env, Right.WORK) as here, here.database.write("commitment-report") as tx:
        known = requests.by_transaction(tx, transaction_uid)
        if not known:
            raise NotFound(f"no device asked with {transaction_uid}; `broker commitment list` shows requests")
        if not any(requests.report_again(tx, each.id, here.clock.now()) for each in known):
            raise Refused(f"the request is {known[0].state}: its report has not been sent yet")
        audit.record(tx, act(here, "commitment.report-again", transaction_uid))
    click.echo(f"to be reported: {transaction_uid}")


def proven(tx: Transaction, here: Opened, delivery: Delivery) -> dict[str, object]:
    """Return the proof of one delivery, for `broker delivery show`."""
    found = proofs.of_deliveries(tx, [delivery.id]).get(delivery.id)
    destination = here.profile.destination(delivery.destination)
    by = destination.proof.by.value if destination else ""
    if found is None:
        is_asked = by not in {"", ProofBy.NONE} and delivery.state is not DeliveryState.DELIVERED
        return {"proof": {"by": by, "state": "once it is delivered" if is_asked else "not asked for"}}
    shown = {key: value for key, value in _proof(found).items() if key not in {"delivery", "destination"}}
    return {"proof": {"by": by, **shown}}


# --- rows --------------------------------------------------------------------------------------------------------


def _asking(tx: Transaction, each: Asking, here: Opened) -> dict[str, object]:
    found = proofs.of_asking(tx, each.transaction_uid)
    states = [proof.state for proof in found]
    return {
        "asked": each.created,
        "by": here.profile.name,
        "to": each.destination,
        "state": _asking_state(each),
        "instances": each.instances,
        "committed": states.count(ProofState.PROVEN),
        "failed": states.count(ProofState.FAILED) + states.count(ProofState.LACKING),
        "reported": each.reported,
        "transaction": each.transaction_uid,
        "why": next((proof.reason for proof in found if proof.reason), ""),
    }


def _asking_state(each: Asking) -> str:
    if each.reported:
        return "reported"
    if each.status is None:
        return "not answered"
    return f"refused {each.status:04X}" if each.status else "awaited"


def _request(each: DeviceRequest, tally: tuple[int, int, int], here: Opened) -> dict[str, object]:
    instances, committed, failed = tally
    return {
        "asked": each.received,
        "by": each.asker.device or each.asker.calling_ae_title,
        "to": here.profile.name,
        "state": each.state.value,
        "instances": instances,
        "committed": committed,
        "failed": failed,
        "reported": each.finished if each.state.value == "reported" else None,
        "transaction": each.transaction_uid,
        "why": each.reason,
    }


def _proof(each: Proof) -> dict[str, object]:
    return {
        "delivery": each.delivery_id,
        "destination": each.destination,
        "state": each.state.value,
        "delivered": each.delivered,
        "tries": each.tries,
        "due": each.due if each.finished is None else None,
        "finished": each.finished,
        "sop_instance_uid": each.reference.sop_instance_uid,
        "transaction": each.transaction_uid,
        "why": each.reason,
    }


def _shown(tx: Transaction, transaction_uid: str, here: Opened) -> dict[str, object]:
    asking = proofs.asking(tx, transaction_uid)
    if asking is not None:
        instances = [_proof(each) for each in proofs.of_asking(tx, transaction_uid)]
        return {**_asking(tx, asking, here), "instances": instances}
    known = requests.by_transaction(tx, transaction_uid)
    if not known:
        raise NotFound(f"there is no request {transaction_uid}; `broker commitment list` shows them")
    each = known[-1]
    tally = requests.tallies(tx, [each.id]).get(each.id, (0, 0, 0))
    return {**_request(each, tally, here), **_more(each), "instances": [_line(x) for x in requests.lines(tx, each.id)]}


def _more(each: DeviceRequest) -> dict[str, object]:
    return {
        "calling": each.asker.calling_ae_title,
        "called": each.asker.called_ae_title,
        "mode": each.asker.mode.value,
        "report": each.asker.way.value,
        "association": each.asker.association_id,
        "decided": each.decided,
        "tries": each.tries,
        "due": each.due if each.finished is None else None,
    }


def _line(line: Line) -> dict[str, object]:
    failure = line.outcome.failure if line.outcome else None
    state = "undecided" if line.outcome is None else "committed" if failure is None else "failed"
    return {
        "sop_instance_uid": line.reference.sop_instance_uid,
        "sop_class_uid": line.reference.sop_class_uid,
        "state": state,
        "why": "" if failure is None else failure_text(failure),
    }


def _waived(
    tx: Transaction, delivery_ids: Sequence[int], destination: str | None, reason: str, here: Opened
) -> list[Proof]:
    now = here.clock.now()
    if destination:
        return proofs.waive(tx, destination, (), reason, now)
    found = proofs.of_deliveries(tx, delivery_ids)
    if missing := [each for each in delivery_ids if each not in found or found[each].state not in OPEN]:
        raise Refused(f"delivery {missing[0]} has no open proof; `broker commitment proofs` lists them")
    done: list[Proof] = []
    for each in found.values():
        done += proofs.waive(tx, each.destination, (each.id,), reason, now)
    return done
