"""The console settings card: what the service engineer types into the console, and what we expect of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.environments.model import ClientCertificates, Profile
from broker.registry.model import Modality

_ANY_HOST = frozenset({"0.0.0.0", "::", ""})  # every address is listened on
_OURS = "enter at the console: the broker"
_THEIRS = "set at the console: its own"
_SERVICES = (
    ("Worklist (C-FIND)", "Modality Worklist Information Model FIND"),
    ("Performed procedure step (MPPS)", "N-CREATE and N-SET"),
    ("Store (C-STORE)", "every storage SOP class the console makes"),
    ("Storage commitment", "N-ACTION; the report comes to the console's own title and port"),
    ("Verification (C-ECHO)", "the console's 'test' or 'ping' button"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One setting. `both` are Test's and Production's values where the card shows both worlds, else one value."""

    section: str
    setting: str
    values: tuple[str, ...]
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether the worlds have different values: this is what changes at the cutover."""
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True)
class World:
    """One environment as the card shows it."""

    name: str
    colour: str
    profile: Profile
    modality: Modality


@dataclass(frozen=True, slots=True)
class Card:
    """The whole card."""

    device: str
    description: str
    worlds: tuple[World, ...]
    lines: tuple[Line, ...]
    made: str  # when, site time

    @property
    def code(self) -> str:
        """What the QR code says: what is typed in, a line a setting. More would be too fine to be read."""
        names = "/".join(world.name for world in self.worlds)
        typed = (line for line in self.lines if line.section in (_OURS, _THEIRS))
        return "\n".join([f"{self.device} {names}", *(f"{line.setting}={'|'.join(line.values)}" for line in typed)])


def card(worlds: Sequence[World], made: str) -> Card:
    """Return the card of one device in one world or in both, Test first."""
    first = worlds[0].modality
    lines = (*_ours(worlds), *_theirs(worlds), *_habits(worlds))
    return Card(first.name, first.document.description, tuple(worlds), lines, made)


def _ours(worlds: Sequence[World]) -> list[Line]:
    section = _OURS
    lines = [
        Line(section, "called AE title", tuple(str(world.profile.dicom.ae_title) for world in worlds)),
        Line(section, "host", tuple(_host(world.profile) for world in worlds)),
        Line(section, "port", tuple(_port(world.profile) for world in worlds)),
        Line(section, "TLS", tuple(_tls(world.profile) for world in worlds)),
    ]
    same = "as above"
    return lines + [Line("services", name, (same,) * len(worlds), note) for name, note in _SERVICES]


def _theirs(worlds: Sequence[World]) -> list[Line]:
    section = _THEIRS
    bindings = [world.modality.binding for world in worlds]
    return [
        Line(section, "calling AE title", tuple(", ".join(world.modality.ae_titles) for world in worlds), "exactly so"),
        Line(
            section,
            "scheduled station AE title",
            tuple(", ".join(world.modality.stations) for world in worlds),
            "where the console asks for its station",
        ),
        Line(section, "host", tuple(binding.host or "not bound yet" for binding in bindings)),
        Line(
            section,
            "port",
            tuple(str(binding.port or "not bound yet") for binding in bindings),
            "for echo and storage commitment reports",
        ),
        Line(section, "station name", tuple(world.modality.document.station_name or "-" for world in worlds)),
    ]


def _habits(worlds: Sequence[World]) -> list[Line]:
    section = "good to know"
    documents = [world.modality.document for world in worlds]
    limits = [world.profile.dicom.limits for world in worlds]
    return [
        Line(section, "modality", tuple(document.modality for document in documents)),
        Line(
            section, "character sets", tuple(", ".join(document.character_sets) for document in documents), "best first"
        ),
        Line(
            section,
            "worklist limit",
            tuple(str(document.habits.limit or "none") for document in documents),
            "answers at most, the soonest",
        ),
        Line(
            section,
            "storage commitment answered",
            tuple(document.commitment.mode.value for document in documents),
            "own: we keep it; stored: PACS has it; proxy: PACS has proven it",
        ),
        Line(
            section,
            "time-out between messages",
            tuple(f"{limit.idle_seconds} s" for limit in limits),
            "the console's own should be 30 s or longer",
        ),
    ]


def _host(profile: Profile) -> str:
    host = profile.dicom.host
    return "this machine's address" if host in _ANY_HOST else host


def _port(profile: Profile) -> str:
    dicom = profile.dicom
    plain = [str(dicom.port or "any free one")] if dicom.plain else []
    return ", ".join([*plain, *([f"{dicom.tls.port} (TLS)"] if dicom.tls else [])])


def _tls(profile: Profile) -> str:
    tls = profile.dicom.tls
    if tls is None:
        return "none"
    return "with the console's certificate" if tls.client_certificates is ClientCertificates.REQUIRED else "server only"
