"""What the flows ask: where something began, what trips, what is written for the other world. Alerts nobody."""

import fnmatch
from collections.abc import Iterable, Iterator, Sequence

from broker.environments import hooks
from broker.environments.model import Destination, Profile, World
from broker.errors import Misconfigured
from broker.journal import log
from broker.tripwires import judging
from broker.tripwires.file import Hashing, Header, IdentifiersFile
from broker.tripwires.model import ANY_ISSUER, Identifier, Kind, Seen
from broker.tripwires.other import Other, identifiers_of, other_of, titles_of
from broker.tripwires.table import TRIPWIRES, Into, Tripwire

_NOTHING = Seen()
_BATCH = 10_000


class Worlds:
    """The tripwires of one environment. Where its profile has no `[worlds]`, none trips and nothing is written."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._off = hooks.tripwires_off(profile)
        self._is_production = profile.kind is World.PRODUCTION
        self._asked = profile.worlds
        self._hashing: Hashing | None = None
        self._own: IdentifiersFile | None = None
        self._theirs: IdentifiersFile | None = None
        self._unwritten: list[tuple[Kind, bytes]] = []
        self.other = Other()
        self.problems: set[str] = set()  # names of tripwires that watch the files themselves
        if self._asked.key is not None:
            self._open()

    def _open(self) -> None:
        assert self._asked.key is not None
        self.other = other_of(self._profile)
        try:
            self._hashing = Hashing(self._asked.key.read())
        except Misconfigured:
            self.problems.add("unreadable")
            return
        self._own = IdentifiersFile(identifiers_of(self._profile))
        if self.other.file is not None:
            self._theirs = IdentifiersFile(self.other.file)
        if self.other.problem:
            self.problems.add("unreadable")
        if self.other.profile and titles_of(self._profile) & titles_of(self.other.profile):
            self.problems.add("same-title")

    @property
    def _header(self) -> Header:
        return Header(self._profile.name, self._hashing.check()) if self._hashing else Header()

    @property
    def watches(self) -> bool:
        """Tell whether the profile names another world."""
        return self._hashing is not None

    @property
    def looks(self) -> bool:
        """Tell whether anything of what comes in has to be looked at."""
        return self.watches or bool(self._asked.test_patients)

    @property
    def destination(self) -> Destination | None:
        """The built-in destination, where the other world can be called."""
        return self.other.destination

    def is_other_title(self, calling_ae_title: str) -> bool:
        """Tell whether a title is the other world's broker's."""
        return self.destination is not None and self.destination.ae_title == calling_ae_title

    def is_other(self, calling_ae_title: str, address: str) -> bool:
        """Tell whether a caller is the other world's broker, which hands over what is ours."""
        return self.is_other_title(calling_ae_title) and address in self.other.addresses

    def patient_of(self, patient_id: str, issuer: str) -> tuple[Identifier, ...]:
        """Return a patient as a device states it: most state no authority, which then may be any."""
        return (Identifier(Kind.PATIENT, patient_id, issuer or ANY_ISSUER),) if patient_id else ()

    # --- what is known of it -----------------------------------------------------------------------------------------

    def seen(self, what: Iterable[Identifier]) -> Seen:
        """Return where these began. What cannot be read is as if it were empty, and is a problem to tell of."""
        if self._hashing is None or self._own is None:
            return _NOTHING
        hashes = {self._hashing(one): one.kind for one in what}
        return Seen(self._known(self._own, hashes, own=True), self._known(self._theirs, hashes, own=False))

    def _known(self, file: IdentifiersFile | None, hashes: dict[bytes, Kind], *, own: bool) -> frozenset[Kind]:
        problem = "unwritten" if own else "unreadable"
        try:
            found = file.known(hashes) if file is not None else set[bytes]()
            if file is not None and not own and not self._is_whole(file):
                self.problems.add(problem)
        except FileNotFoundError:
            # Ours is made with the first line; theirs is made when they start.
            if not own:
                self.problems.add(problem)
            return frozenset()
        except OSError as error:
            log.error("worlds.unreadable", own=own, why=error.strerror)
            self.problems.add(problem)
            return frozenset()
        return frozenset(hashes[each] for each in found)

    def _is_whole(self, theirs: IdentifiersFile) -> bool:
        return not (theirs.is_damaged or theirs.take_shrunk()) and self._is_theirs(theirs)

    def _is_theirs(self, file: IdentifiersFile) -> bool:
        """Tell whether a file is not ours, and of our key; one that says nothing is believed."""
        said, ours = file.header, self._header
        return said == Header() or (said.world != ours.world and said.key_check == ours.key_check)

    def unreadable(self) -> str:
        """Return why what began in the other world cannot be known, or not all of it; empty where it can."""
        file = self._theirs
        if file is None:
            return "" if self.other.file is None else "the key of the hashes cannot be read"
        try:
            file.known(())
        except OSError as error:
            return f"{self.other.file}: {error.strerror}; it is made when the other world starts"
        if file.is_damaged:
            return f"{self.other.file} is damaged: let the other world write it anew (remove it, and restart)"
        if not self._is_theirs(file):
            return f"{self.other.file} is our own, or was written with another key: both need one key"
        return ""

    def began(self, what: Iterable[Identifier]) -> None:
        """Make durable that these began here. Where that fails a person is told, and the exam goes on."""
        if self._hashing is None or self._own is None:
            return
        # What could not be written before is tried again with this.
        lines = [*self._unwritten, *((one.kind, self._hashing(one)) for one in _with_any_issuer(what))]
        try:
            self._own.add(lines)
            self._unwritten = []
        except OSError as error:
            self._unwritten = lines
            log.error("worlds.unwritten", identifiers=len(lines), why=error.strerror)
            self.problems.add("unwritten")

    @property
    def has_lost(self) -> bool:
        """Tell whether our file is gone, or shorter than it was: all of it is to be written again."""
        return self._own is not None and (not self._own.exists or self._own.take_shrunk())

    def begins(self, what: Iterable[Identifier]) -> None:
        """Make durable all that began here, at a start; a person is told where it began in the other world."""
        known = tuple(what)
        if any(self._is_copied(part) for part in batched(known)):
            self.problems.add("database-of-other")
        self.began(known)

    def _is_copied(self, what: Sequence[Identifier]) -> bool:
        """Tell whether the other world began something of which our file knows nothing though our database does."""
        if self._hashing is None or self._own is None or self._theirs is None:
            return False
        hashes = [self._hashing(one) for one in what if one.kind in judging.BEGUN]
        try:
            return bool(self._theirs.known(hashes) - self._own.known(hashes))
        except OSError:
            return False

    def prepare(self) -> None:
        """Let our file exist. Where that fails a person is told."""
        if self._own is None:
            return
        try:
            self._own.make(self._header)
        except OSError as error:
            log.error("worlds.unwritten", identifiers=0, why=error.strerror)
            self.problems.add("unwritten")

    def take_problems(self) -> list[Tripwire]:
        """Return once what is to be told of the files."""
        found, self.problems = self.problems, set()
        return [row for name in sorted(found) for row in self._rows(name)]

    # --- what trips --------------------------------------------------------------------------------------------------

    def order(self, seen: Seen) -> list[Tripwire]:
        """Return what an order trips."""
        return self._rows(judging.order(seen))

    def patient(self, patient_id: str, issuer: str, name: str) -> list[Tripwire]:
        """Return what the patient of a message trips."""
        listed = self._asked.test_patients
        is_listed = judging.is_test_patient(listed, patient_id, issuer, states_issuer=True)
        looks_so = not is_listed and self._is_called_so(name)
        return self._rows("test-patient-order" if is_listed else "test-name" if looks_so else "")

    def image(self, seen: Seen, patient_id: str, issuer: str, *, handed_over: bool) -> list[Tripwire]:
        """Return what an image trips: a test patient's counts where it would not be handed over."""
        tripped = self._rows(judging.image(seen, handed_over=handed_over))
        listed = self._asked.test_patients
        if judging.is_test_patient(listed, patient_id, issuer, states_issuer=bool(issuer)):
            tripped += self._rows("test-patient-image")
        return tripped

    def step(self, seen: Seen, patient_id: str, issuer: str, *, handed_over: bool) -> list[Tripwire]:
        """Return what a performed step trips."""
        tripped = self._rows(judging.step(seen, handed_over=handed_over))
        listed = self._asked.test_patients
        if judging.is_test_patient(listed, patient_id, issuer, states_issuer=bool(issuer)):
            tripped += self._rows("test-patient-step")
        return tripped

    def handed_over(self) -> list[Tripwire]:
        """Return what a performed step trips of which the beginning was handed over."""
        return self._rows("step-of-other")

    def device(self, name: str, title: str) -> list[Tripwire]:
        """Return what a device trips that talks to us, by its name here (empty: it is not known) and its title."""
        asked = live(name, ()) if name else live("", (title,))
        seen = self.seen(asked) if self.watches else _NOTHING
        return self._rows("live-elsewhere" if Kind.LIVE in seen.foreign else "")

    def destination_of(self, world: World, name: str) -> list[Tripwire]:
        """Return what sending to a destination of this world trips."""
        own = self.other.destination
        is_built_in = own is not None and own.name == name
        return self._rows("" if is_built_in or world is self._profile.kind else "destination-world")

    def _is_called_so(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name.upper(), pattern.upper()) for pattern in self._asked.test_names)

    def _rows(self, name: str) -> list[Tripwire]:
        if not name or name in self._off:
            return []
        row = TRIPWIRES[name]
        return [row] if row.into is Into.BOTH or self._is_production else []


def batched(what: Sequence[Identifier]) -> Iterator[Sequence[Identifier]]:
    """Yield these in parts of a size."""
    yield from (what[at : at + _BATCH] for at in range(0, len(what), _BATCH))


def live(name: str, titles: Iterable[str], kind: Kind = Kind.LIVE) -> tuple[Identifier, ...]:
    """Return by what a device is known that is live: its name, and each title that it calls by."""
    named = (Identifier(kind, name, "name"),) if name else ()
    return (*named, *(Identifier(kind, title, "title") for title in titles))


def _with_any_issuer(what: Iterable[Identifier]) -> Iterator[Identifier]:
    """Yield identifiers as they are written: a patient also for those who will not state the authority."""
    for one in what:
        yield one
        if one.kind is Kind.PATIENT:
            yield Identifier(Kind.PATIENT, one.value, ANY_ISSUER)
