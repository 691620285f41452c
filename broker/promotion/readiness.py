"""Whether Production is ready for a device: what it would be routed to, called, shown. Changes and sends nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydicom.uid import UID

from broker.database import Transaction
from broker.delivery import routing
from broker.environments import bound
from broker.environments.model import Destination, Profile
from broker.errors import Misconfigured
from broker.identifiers import AETitle
from broker.promotion.model import CheckResult, CheckState
from broker.promotion.probing import Prober
from broker.promotion.seen import Facts
from broker.promotion.statements import store as statements
from broker.promotion.statements.model import Kind, Statement
from broker.registry import store as registry_store
from broker.registry.model import Binding, Modality, Registry
from broker.worklist import find
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.spelled import query_of
from broker.worklist.viewer import registry_stations, viewer_of

LEAST_FREE = 2 * 1024**3  # bytes: an hour of loops
_CERTIFICATE_DAYS = 30


@dataclass(frozen=True, slots=True)
class _Target:
    """What is judged: a device as it is to be in the target, and what it used in the source."""

    profile: Profile
    registry: Registry
    device: Modality
    facts: Facts
    prober: Prober
    now: datetime

    @property
    def destinations(self) -> tuple[str, ...]:
        """The names to which its routes lead: its document's, else the profile's."""
        routes = routing.rules(self.device.document.routes, self.profile.routes).routes
        return tuple(dict.fromkeys(name for route in routes for name in route.to))


def judge(  # noqa: PLR0917 - the target, what was proven, who asks and when
    target: Profile,
    tx: Transaction,
    source_facts: Facts,
    prober: Prober,
    now: datetime,
    binding: Binding | None = None,
) -> tuple[CheckResult, ...]:
    """Return how ready a target is for the device of these facts, bound there so; by default as it is bound there.

    What a person has waived there does not apply, until another revision is served there.
    """
    device = source_facts.modality
    if device is None:
        raise ValueError("facts of no device")
    registry = registry_store.load(tx)
    known = registry.by_name(device.name)
    to_be = replace(device, binding=binding or (known.binding if known else Binding()))
    about = _Target(target, registry, to_be, source_facts, prober, now)
    results = (*(judge_(about) for judge_ in _CHECKS), _orders(about, tx))
    waived = _waived(statements.statements(tx, device.name), known.revision if known else "")
    return tuple(_not_applicable(each, waived[each.check]) if each.check in waived else each for each in results)


def titles_used(target: Profile, device: Modality, destination: Destination) -> AETitle:
    """Return the title under which a destination is called for a device."""
    if destination.calling == "device" and device.ae_titles:
        return device.ae_titles[0]
    return target.dicom.ae_title if destination.calling in ("broker", "device") else AETitle(destination.calling)


# --- the checks --------------------------------------------------------------------------------------------------


def _destinations(about: _Target) -> CheckResult:
    say = _Says("target_destinations", "Its routes lead to destinations", about.now)
    absent = [name for name in about.destinations if about.profile.destination(name) is None]
    if absent:
        text = f"{about.profile.name} has no destination {', '.join(absent)}"
        return say.failed(text, "add it to the profile, or name another in the document's routes")
    if not about.destinations:
        return say.failed("no route takes what it sends", "add a route to the document or the profile")
    return say.passed(", ".join(about.destinations))


def _pacs(about: _Target) -> CheckResult:
    say = _Says("target_pacs", "The PACS takes what it sends", about.now)
    contexts = about.facts.contexts
    if not contexts:
        return say.missing(
            "the device has sent nothing that counts: what to ask for is not known", "send images in Test"
        )
    troubles = [text for name in about.destinations for text in _refusals(about, name)]
    if troubles:
        return say.failed("; ".join(troubles), "have the PACS take it, then plan again: broker env check --online")
    names = ", ".join(about.destinations)
    return say.passed(f"{names}: {len(contexts)} SOP classes and transfer syntaxes negotiated, and released")


def _refusals(about: _Target, name: str) -> Iterable[str]:
    destination = about.profile.destination(name)
    if destination is None:
        return
    contexts = about.facts.contexts
    answered = about.prober.takes(destination, contexts, titles_used(about.profile, about.device, destination))
    if answered.failure:
        yield f"{name}: {answered.failure}"
        return
    classes = {sop_class for sop_class, _ in answered.accepted}
    for sop_class, syntax in contexts:
        is_taken = (sop_class, syntax) in answered.accepted or (destination.transcode and sop_class in classes)
        if not is_taken:
            yield f"{name} does not take {UID(sop_class).name} in {UID(syntax).name}"


def _titles(about: _Target) -> CheckResult:
    say = _Says("target_titles", "Its title and place are free", about.now)
    device, binding = about.device, about.device.binding
    if not binding.host or not binding.port:
        return say.missing("where it will be is not said", "plan with --host and --port")
    own = {about.profile.dicom.ae_title, *about.profile.dicom.aliases}
    taken = [f"{title} is the broker's own" for title in device.ae_titles if title in own]
    for other in (each for each in about.registry.modalities if each.name != device.name):
        taken += [f"{title} belongs to {other.name}" for title in device.ae_titles if title in other.ae_titles]
        if (other.binding.host, other.binding.port) == (binding.host, binding.port):
            taken.append(f"{other.name} is at {binding.host}:{binding.port} too")
    if taken:
        return say.failed("; ".join(taken), "give it another title or place: plan with --ae-title, --host, --port")
    return say.passed(f"{', '.join(device.ae_titles)} at {binding.host}:{binding.port}")


def _listeners(about: _Target) -> CheckResult:
    say = _Says("target_listeners", "Its listeners answer", about.now)
    ports = bound.ports(about.profile)
    if not ports:
        return say.missing(
            f"no broker serve runs on {about.profile.name} here", f"broker serve --env {about.profile.name}"
        )
    hosts = {"hl7": about.profile.hl7.host, "dicom": about.profile.dicom.host, "http": about.profile.http.host}
    silent = [name for name, port in ports.items() if not about.prober.listens(_host(hosts, name), port)]
    if silent:
        return say.failed(f"{', '.join(silent)} do not answer", "look at the log of broker serve")
    return say.passed(", ".join(f"{name} on {port}" for name, port in ports.items()))


def _host(hosts: dict[str, str], name: str) -> str:
    host = hosts[name.removesuffix("_tls")]
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # any of ours: then this too


def _disk(about: _Target) -> CheckResult:
    say = _Says("target_disk", "Its spool has room", about.now)
    free = about.prober.free(about.profile.spool)
    if free < LEAST_FREE:
        return say.failed(f"{free / 1e9:.1f} GB are free", f"free at least {LEAST_FREE / 1e9:.0f} GB")
    return say.passed(f"{free / 1e9:.0f} GB are free")


def _certificates(about: _Target) -> CheckResult:
    say = _Says("target_certificates", "Its certificates last", about.now)
    files = sorted(set(_files(about.profile)))
    if not files:
        return say.result(CheckState.NOT_APPLICABLE, "the profile says so: nothing here has TLS")
    try:
        dated = sorted((about.prober.ends(file), file) for file in files)
    except Misconfigured as error:
        return say.failed(str(error), "put the certificate where the profile says")
    first, file = dated[0]
    if first < about.now + timedelta(days=_CERTIFICATE_DAYS):
        return say.failed(f"{file} ends on {first:%Y-%m-%d}", f"renew it: less than {_CERTIFICATE_DAYS} days are left")
    return say.passed(f"{len(files)}, the first ends on {first:%Y-%m-%d}")


def _files(profile: Profile) -> Iterable[Path]:
    listeners = (profile.hl7.tls, profile.dicom.tls)
    calls = [each.tls for each in (*profile.destinations, *profile.mpps.destinations)]
    calls += [each.tls for each in profile.receivers]
    certificates = (each.certificate for each in (*listeners, *calls) if each is not None)
    return (file for file in certificates if file is not None)


def _orders(about: _Target, tx: Transaction) -> CheckResult:
    """Say which of today's orders the device would be shown, by the code of a real query."""
    say = _Says("target_orders", "Today's orders it would see", about.now)
    others = tuple(each for each in about.registry.modalities if each.name != about.device.name)
    stations = registry_stations(replace(about.registry, modalities=(*others, about.device)))
    viewer = viewer_of(about.device, about.profile.timezone)
    today = f"{about.now.astimezone(about.profile.timezone):%Y%m%d}"
    query = query_of([f"ScheduledProcedureStepStartDate={today}"], viewer.habits)
    shown = find.shown(tx, query, viewer, stations, about.now).items
    ids = {item.id for item in shown}
    every = find.search(tx, query, Viewer(timezone=about.profile.timezone), stations).items
    hidden = [item for item in every if item.id not in ids and item.modality == about.device.document.modality]
    return _seen(say, about.device, len(shown), hidden)


def _seen(say: "_Says", device: Modality, shown: int, hidden: list[WorklistItem]) -> CheckResult:
    kind = device.document.modality
    why = ", ".join(f"{count} {reason}" for reason, count in Counter(map(_why_hidden, hidden)).most_common())
    if hidden and not shown:
        to_do = "compare its stations with those of the orders: broker worklist explain --as AET"
        return say.failed(f"it would see none of today's {len(hidden)} {kind} orders: {why}", to_do)
    if not shown:
        return say.passed(f"there are no {kind} orders today: nothing to compare")
    return say.passed(f"it would see {shown}{f', and {len(hidden)} not: {why}' if hidden else ''}")


def _why_hidden(item: WorklistItem) -> str:
    stations = item.scheduled_station_ae_titles
    return f"for {' and '.join(stations)}" if stations else "its filter leaves out"


_CHECKS: tuple[Callable[[_Target], CheckResult], ...] = (
    _destinations,
    _pacs,
    _titles,
    _listeners,
    _disk,
    _certificates,
)


# --- how they say it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Says:
    """One check's name and title, to make its result of."""

    check: str
    title: str
    now: datetime

    def result(self, state: CheckState, text: str, to_do: str = "") -> CheckResult:
        """Return how it stands now."""
        return CheckResult(self.check, self.title, state, text, to_do, self.now)

    def passed(self, text: str) -> CheckResult:
        """Return that it passed."""
        return self.result(CheckState.PASSED, text)

    def failed(self, text: str, to_do: str) -> CheckResult:
        """Return that it failed, and what to do."""
        return self.result(CheckState.FAILED, text, to_do)

    def missing(self, text: str, to_do: str) -> CheckResult:
        """Return that something is missing, and what to do."""
        return self.result(CheckState.MISSING, text, to_do)


def _waived(said: Iterable[Statement], revision: str) -> dict[str, Statement]:
    waivers = (each for each in said if each.kind is Kind.WAIVED and each.revision == revision)
    return {each.check: each for each in reversed(list(waivers))}


def _not_applicable(result: CheckResult, said: Statement) -> CheckResult:
    text = f"{said.by} says so: {said.text}"
    state = CheckState.NOT_APPLICABLE
    return replace(result, state=state, text=text, to_do="", at=said.at, facts=(f"statement {said.id}",))


TARGET_CHECKS = (
    "target_destinations",
    "target_pacs",
    "target_titles",
    "target_listeners",
    "target_disk",
    "target_certificates",
    "target_orders",
)
"""The names of what is asked of a target."""
