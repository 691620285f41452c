"""`broker promote export`: what a device has proven here, as a signed file for the host of Production."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from broker import __version__
from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, opened
from broker.cli.paper_file import write_file
from broker.database import Transaction
from broker.environments.model import World
from broker.environments.promotion import PromotionSettings
from broker.errors import Refused
from broker.people.model import Right
from broker.promotion import carried, evidence, facts, gate, planning
from broker.promotion.carried import Packet
from broker.registry import store as registry

_SHORT = 12


@click.command(name="export")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@env_option
@click.option("--soak-exams", type=click.IntRange(1), help="Judge by the policy of the target: so many exams,")
@click.option("--soak-days", type=click.IntRange(1), help="on so many days,")
@click.option("--clock-minutes", type=click.IntRange(1), help="by a clock so close.")
@json_option
def export(name: str, file: Path, env: str, as_json: bool, **policy: Any) -> None:
    """Write what NAME has proven here to FILE, signed: broker promote plan NAME --from FILE takes it elsewhere."""
    with opened(env, Right.WORK) as here:
        if here.profile.kind is not World.TEST:
            raise Refused(f"{here.profile.name} is {here.profile.kind.value}: a device is tested in a test environment")
        key = carried.key_of(here.profile)
        asked = replace(here.profile.promotion, **{name: value for name, value in policy.items() if value is not None})
        with here.database.read() as tx:
            packet = _packet(here, tx, name, asked)
        content = carried.written(packet, key)
        write_file(file, content)
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "promotion.export", name, revision=packet.side.revision))
    packet = carried.read(content, key)
    open_ = sum(check.is_open for check in packet.evidence)
    if as_json:
        detail({"name": name, "file": file, "sha256": packet.sha256, "open_checks": open_}, as_json=True)
        return
    said = f"{open_} of {len(packet.evidence)} checks are open" if open_ else "every check has passed or does not apply"
    click.echo(f"{file} written and signed: {name} revision {packet.side.revision[:_SHORT]}; {said}")
    click.echo(f"there: broker promote plan {name} --from {file.name} --to production")


def _packet(here: Opened, tx: Transaction, name: str, policy: PromotionSettings) -> Packet:
    device, now = registry.modality(tx, name), here.clock.now()
    if device.retired:
        raise Refused(f"{name} is retired in {here.profile.name}")
    seen = facts.read(tx, here.profile, device, now)
    return Packet(
        site=here.profile.site,
        software=__version__,
        made=now,
        side=planning.side(here.profile, name, device, gate.stands(gate.Here(here.profile, tx), device, now)),
        content=registry.content(tx, name),
        policy=policy,
        evidence=evidence.judged(seen, policy),
        contexts=seen.contexts,
    )
