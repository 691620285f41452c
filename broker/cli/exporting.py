"""What `env export | import` and `modality export | import` share: an environment as a file, and back."""

from pathlib import Path

from broker import __version__
from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened
from broker.cli.promote_sides import key_at_hand
from broker.database import Transaction
from broker.environments.model import Profile, World
from broker.errors import Refused
from broker.promotion import exported, flow
from broker.promotion import settings as profile_settings
from broker.promotion.approved import store as approvals
from broker.promotion.exported import Exported, Whole
from broker.promotion.flow import By
from broker.promotion.gate import Here
from broker.promotion.settings import Settings
from broker.promotion.sources import Imported
from broker.promotion.statements import store as statements
from broker.registry import document as documents
from broker.registry import store as registry


def whole_of(here: Opened, tx: Transaction, names: list[str], settings: Settings | None) -> Whole:
    """Return these devices of an environment, and its settings where they are given."""
    profile = here.profile
    return Whole(
        environment=profile.name,
        world=profile.kind,
        site=profile.site,
        software=__version__,
        made=here.clock.now(),
        devices=tuple(_device(tx, name) for name in names),
        settings=settings,
    )


def settings_of(tx: Transaction, file: Profile) -> Settings:
    """Return the settings that are served: the approved ones, else what the files say; paths from the profile on."""
    active = approvals.active(tx) if file.kind is World.PRODUCTION else None
    found = active.settings if active else profile_settings.of(file)
    folder = file.file.parent
    return Settings(found.profile, tuple((_relative(Path(path), folder), content) for path, content in found.files))


def written(here: Opened, whole: Whole) -> bytes:
    """Return the file, signed where the profile names a key."""
    return exported.written(whole, key_at_hand(here.profile))


def read(here: Opened, file: Path) -> Whole:
    """Return what an export says. Raises Refused for a damaged one; in Test nobody asks who signed it."""
    key = key_at_hand(here.profile) if here.profile.kind is World.PRODUCTION else None
    return exported.read(file.read_bytes(), key)


def imported(here: Opened, whole: Whole, file: Path) -> list[tuple[str, str]]:
    """Bring each device in; return what became of it. In Production that is a request that another person approves."""
    if here.profile.kind is World.PRODUCTION:
        return [(device.name, _asked(here, whole, file, device)) for device in whole.devices]
    with here.database.write("promotion") as tx:
        done = [(device.name, _taken(here, tx, device)) for device in whole.devices]
        audit.record(tx, act(here, "environment.import", here.profile.name, sha256=whole.sha256))
    return done


def _device(tx: Transaction, name: str) -> Exported:
    known = registry.modality(tx, name)
    said = tuple(reversed(statements.statements(tx, name)))
    return Exported(name, registry.content(tx, name), known.binding, known.retired, said)


def _taken(here: Opened, tx: Transaction, device: Exported) -> str:
    """Serve a device in Test as it was exported. What was said of it is added unless it is there."""
    now, actor = here.clock.now(), here.actor
    titles = (here.profile.dicom.ae_title, *here.profile.dicom.aliases)
    before = {each.name: each for each in registry.modalities(tx)}.get(device.name)
    registry.apply(tx, documents.read(device.content, device.name), device.content, actor, now, own_titles=titles)
    registry.bind(tx, device.name, device.binding, actor, now, own_titles=titles)
    if device.is_retired:
        registry.retire(tx, device.name, actor, now)
    known = {_said(each) for each in statements.statements(tx, device.name)}
    new = [each for each in device.statements if _said(each) not in known]
    for each in new:
        statements.add(tx, each, actor)
    changed = before != registry.modality(tx, device.name) or bool(new)
    return f"revision {device.revision[:12]} is {'taken' if changed else 'there already'}"


def _said(each: object) -> tuple[object, ...]:
    return tuple(getattr(each, key) for key in ("check", "kind", "text", "by", "at"))


def _asked(here: Opened, whole: Whole, file: Path, device: Exported) -> str:
    if device.is_retired:
        return "left out: it is retired"
    # What asks the network is the whole product: whoever exports does not wait for it.
    from broker.cli.probing import network  # noqa: PLC0415

    source, prober, now = Imported(whole, file), network(), here.clock.now()
    try:
        with here.database.write("promotion") as tx:
            made = source.prepared(Here(here.profile, tx), device.name, None, prober, now)
            if not made.plan.differences:
                return "is served so already"
            by = By(here.actor, now, f"import of {file.name}")
            asked = flow.requested(tx, made.plan, made.content, made.binding, source.reference, by)
    except Refused as error:
        return f"not asked for: {error}"
    return f"{asked.id}: another person approves it: broker promote approve {asked.id}"


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
