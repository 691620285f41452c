"""`broker env`: what the profiles say, and whether it holds. The checks themselves are in `env_check`."""

from dataclasses import asdict
from pathlib import Path

import click
from click.exceptions import Exit
from sqlalchemy import make_url

from broker.cli import env_diff, env_export, env_settings
from broker.cli.context import Title, detail, json_option, listing, titled
from broker.cli.env_check import offline, online
from broker.environments import profile as profiles
from broker.environments.corrections import CorrectionSettings
from broker.environments.model import CallTls, Destination, DicomLimits, DicomSettings, ListenerTls, Profile, Route
from broker.environments.stow import Login, Proxy, StowSettings
from broker.errors import Misconfigured

NOT_READY = 3


@click.group(name="env")
def group() -> None:
    """Environments: what their profiles say, and whether it holds."""


@group.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List every profile found in $BROKER_ENVIRONMENTS, valid or not."""
    rows = [_row(file) for file in profiles.available()]
    keys = ("name", "kind", "ae_title", "hl7", "dicom", "http", "state")
    listing(rows, [(key, key.replace("_", " ")) for key in keys], as_json, Title("environments"))


@group.command(name="show")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
@json_option
def show(env: str, as_json: bool) -> None:
    """Show the environment E as its profile describes it, defaults included."""
    profile = profiles.read(profiles.find(env))
    detail(_shown(profile), as_json, titled(profile, profile.kind))


@group.command(name="check")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
@click.option("--online", "is_online", is_flag=True, help="Call every destination too.")
@json_option
def check(env: str, is_online: bool, as_json: bool) -> None:
    """Check the environment E: profile, state, database, modalities. Exit 3 when something is not ready."""
    profile = profiles.read(profiles.find(env))
    findings = [*offline(profile), *(online(profile) if is_online else ())]
    rows: list[dict[str, object]] = [
        {"check": finding.check, "result": finding.result, "finding": finding.text} for finding in findings
    ]
    listing(rows, [(key, key) for key in ("check", "result", "finding")], as_json, titled(profile, "checks"))
    wrong = [finding for finding in findings if not finding.good]
    for finding in wrong:
        click.echo(f"{finding.check}: {finding.text}", err=True)
    if wrong:
        raise Exit(NOT_READY)


for _command in (
    env_diff.command,
    env_export.export,
    env_export.import_,
    env_settings.pending,
    env_settings.request,
    env_settings.approve,
    env_settings.adopt,
):
    group.add_command(_command)


def _row(file: Path) -> dict[str, object]:
    row: dict[str, object] = {"name": file.stem, "file": file}
    try:
        profile = profiles.read(file)
    except Misconfigured as error:
        mistakes = str(error).splitlines()
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}: see broker env check {file.stem}"
        return {**row, "valid": False, "state": count, "mistakes": mistakes}
    return {
        **row,
        "kind": profile.kind,
        "ae_title": profile.dicom.ae_title,
        "hl7": profile.hl7.port,
        "dicom": profile.ports.get("dicom"),
        "dicom_tls": profile.ports.get("dicom_tls"),
        "http": profile.http.port,
        "valid": True,
        "state": "valid",
        "mistakes": [],
    }


def _shown(profile: Profile) -> dict[str, object]:
    hl7, http = profile.hl7, profile.http
    return {
        "name": profile.name,
        "kind": profile.kind,
        "site": profile.site,
        "timezone": profile.timezone.key,
        "file": profile.file,
        "state": profile.state,
        "database": {"url": make_url(profile.database_url).render_as_string(hide_password=True)},
        "hl7": {"host": hl7.host, "port": hl7.port, "processing_ids": hl7.processing_ids},
        "dicom": _dicom(profile.dicom),
        "http": {"host": http.host, "port": http.port},
        "policy": {"unknown_callers": profile.unknown_callers},
        "destinations": [_destination(destination) for destination in profile.destinations],
        "routes": [_route(route) for route in profile.routes],
    }


def _route(route: Route) -> dict[str, object]:
    times = [str(hours) for hours in route.times]
    when = {**dict(route.when), **({"time": times} if times else {})}
    said = {"name": route.name, "to": route.to, "when": when, "unless": dict(route.unless), "priority": route.priority}
    return {key: value for key, value in said.items() if value or key in {"to", "when"}}


def _dicom(dicom: DicomSettings) -> dict[str, object]:
    return {
        "host": dicom.host,
        "port": dicom.port,
        "ae_title": dicom.ae_title,
        "aliases": dicom.aliases,
        "plain": dicom.plain,
        "tls": _present(dicom.tls),
        "limits": _present(dicom.limits),
    }


def _present(settings: ListenerTls | CallTls | DicomLimits | CorrectionSettings | None) -> dict[str, object] | None:
    return None if settings is None else {key: value for key, value in asdict(settings).items() if value is not None}


def _stow(stow: StowSettings | None) -> dict[str, object]:
    """Return the settings with the places of their secrets; the secrets themselves are not read."""
    if stow is None:
        return {}
    login = {**_named(stow.login), "secret": stow.login.secret.place} if stow.login else None
    proxy = _named(stow.proxy) if stow.proxy else None
    if stow.proxy and proxy and stow.proxy.password:
        proxy["password"] = stow.proxy.password.place
    return {**_named(stow), "login": login, "proxy": proxy}


def _named(settings: StowSettings | Login | Proxy) -> dict[str, object]:
    return {key: value for key, value in asdict(settings).items() if value not in (None, "")}


def _destination(destination: Destination) -> dict[str, object]:
    shown = {
        "name": destination.name,
        "protocol": destination.protocol,
        "world": destination.world,
        "host": destination.host,
        "port": destination.port,
        "ae_title": destination.ae_title,
        "url": destination.url,
        "path": destination.path,
        "tls": _present(destination.tls),
        **_stow(destination.stow),
        "correction": _present(destination.correction),
        "schedule": [str(hours) for hours in destination.schedule],
        "stat_any_time": destination.stat_any_time,
        "bandwidth_kbit": destination.bandwidth_kbit,
        "transcode": destination.transcode,
        "associations": destination.associations if destination.associations > 1 else 0,
    }
    calling = {"calling": destination.calling} if destination.ae_title else {}
    return {key: value for key, value in {**shown, **calling}.items() if value}
