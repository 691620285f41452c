"""Received instances in a file each, the large ones: kept whole and synced, or not at all. `store.py` is the index.

A file is named by an identifier of ours, never by a peer's text, and holds the data set exactly as received behind a
head of our own (PS3.10). Two letters of the identifier's random tail spread the files over 1,024 directories.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from broker import durable
from broker.errors import Unavailable
from broker.identifiers import is_uid, is_uid_like, new_id
from broker.spool import part10
from broker.spool.errors import CANNOT_UNDERSTAND, DATA_SET_DOES_NOT_MATCH, BadInstance, DamagedInstance
from broker.spool.hashing import BesideHash
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.spool.record import Place, spooled
from broker.spool.scan import Scan, Scanner

PLACE = "spool"
SUFFIX = ".dcm"
DAMAGED = "damaged"

_PIECE = 1024 * 1024
# What a command is checked against. A missing Study or Series Instance UID is a fault, but one that receivers
# tolerate: refusing would leave the image at the modality, so it is kept and a person is told.
_REQUIRED = ("SOPClassUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says about some identifiers: those it holds, and those it has let go."""

    held: Collection[str]
    forgotten: Collection[str]


class FileSpool:
    """One environment's spool, a plain file an instance."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._prepared: set[Path] = set()
        self._preparing = threading.Lock()

    @property
    def directory(self) -> Path:
        """The directory under which all files lie."""
        return self._directory

    def keep(self, data: Iterable[memoryview], facts: ReceiptFacts, _note: bytes = b"") -> SpooledInstance:
        """Write a data set as it streams in; when this returns, it survives a power cut.

        Raises BadInstance with the status to answer (PS3.4 B.2.3), Unavailable when the disk does not take it, and
        whatever `data` raises. In each case nothing is left. `data` is not read to its end when the disk fails.
        """
        check_command(facts)
        identifier = new_id(facts.received)
        path = self._path(identifier)
        try:
            self._prepare(path.parent)
            return self._write(identifier, path, data, facts)
        except OSError as error:
            # The rename may have happened before its directory's sync failed.
            with suppress(OSError):
                durable.remove(path, PLACE)
            raise Unavailable(f"the spool cannot be written: {error.strerror or type(error).__name__}") from error

    def open(self, instance: SpooledInstance) -> BinaryIO:
        """Open the file, positioned at the data set. Raises DamagedInstance when it is gone, else Unavailable."""
        try:
            stream = self.path_of(instance).open("rb")
        except FileNotFoundError as error:
            raise DamagedInstance("the spool file is missing") from error
        except OSError as error:
            raise Unavailable(f"the spool cannot be read: {error.strerror}") from error
        stream.seek(instance.offset)
        return stream

    def path_of(self, instance: SpooledInstance) -> Path:
        """Return where the file lies."""
        return self._directory / instance.path

    def data(self, instance: SpooledInstance) -> Iterator[bytes]:
        """Give the data set in pieces. Raises DamagedInstance where it is not all there, else Unavailable."""
        left = instance.length
        with self.open(instance) as stream:
            while left:
                try:
                    piece = stream.read(min(left, _PIECE))
                except OSError as error:
                    raise Unavailable(f"the spool cannot be read: {error.strerror}") from error
                if not piece:
                    raise DamagedInstance(f"the spool file ends {left} bytes before the data set does")
                left -= len(piece)
                yield piece

    def head(self, instance: SpooledInstance) -> bytes:
        """Return what a DICOM file of this instance has before its data set; the preamble is zeroed (PS3.10 7.1)."""
        return part10.head(instance.facts)

    def verify(self, instance: SpooledInstance) -> None:
        """Read the data set again; raise DamagedInstance unless it is byte for byte what was received."""
        sha256, _ = _hashed(self.data(instance))
        if sha256 != instance.sha256:
            raise DamagedInstance("the data set in the spool has another hash than the one that was kept")

    def forget(self, instance: SpooledInstance) -> None:
        """Remove the file. Raises Unavailable; a file that stays is removed by the next `recover`."""
        self.discard(instance.id)

    def discard(self, identifier: str) -> None:
        """Remove the file of this identifier, which may be gone already."""
        try:
            durable.remove(self._path(identifier), PLACE)
        except OSError as error:
            raise Unavailable(f"the spool cannot remove a file: {error.strerror}") from error

    def copy(self, instance: SpooledInstance, data: Iterable[bytes]) -> SpooledInstance:
        """Write an instance that lies elsewhere into a file of its own; return it there. Raises as `keep` does."""
        path, head = self._path(instance.id), part10.head(instance.facts)
        try:
            self._prepare(path.parent)
            durable.discard_leftover(path)
            with durable.DurableFile(path, PLACE) as file:
                file.write(head)
                for piece in data:
                    file.write(piece)
                file.commit()
        except OSError as error:
            raise Unavailable(f"the spool cannot be written: {error.strerror or type(error).__name__}") from error
        return replace(instance, path=str(path.relative_to(self._directory)), offset=len(head))

    def set_aside(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep bytes that are no whole instance in `damaged/`. Raises Unavailable."""
        path = self._directory / DAMAGED / name
        try:
            self._prepare(path.parent)
            durable.discard_leftover(path)
            with durable.DurableFile(path, PLACE) as file:
                for piece in pieces:
                    file.write(piece)
                file.commit()
        except OSError as error:
            raise Unavailable(f"the spool cannot be written: {error.strerror or type(error).__name__}") from error

    def recover(
        self, index: Callable[[Sequence[str]], Known], on_damaged: Callable[[str, str], None]
    ) -> Iterator[SpooledInstance]:
        """Bring files and index together after a stop: give every whole file that the index does not know.

        What a stopped process left half written is removed, so is what the index has let go. A file that is not
        whole moves to `damaged/` and is reported by `on_damaged(identifier, reason)`; it is never deleted.
        """
        for directory in sorted(self._directory.glob("?/?")):
            durable.remove_leftovers(directory)
            identifiers = sorted(path.stem for path in directory.glob(f"*{SUFFIX}"))
            known = index(identifiers)
            for identifier in identifiers:
                if identifier in known.forgotten:
                    self.discard(identifier)
                elif identifier not in known.held:
                    yield from self._adopted(directory / f"{identifier}{SUFFIX}", on_damaged)

    def _adopted(self, path: Path, on_damaged: Callable[[str, str], None]) -> Iterator[SpooledInstance]:
        try:
            yield self._rebuilt(path)
        except (DamagedInstance, BadInstance) as error:
            self._prepare(self._directory / DAMAGED)
            durable.move(path, self._directory / DAMAGED / path.name, PLACE)
            on_damaged(path.stem, str(error))

    def _rebuilt(self, path: Path) -> SpooledInstance:
        with path.open("rb") as stream:
            facts, offset = part10.read_head(stream)
            scanner = Scanner(facts.transfer_syntax)
            pieces = _seen(iter(lambda: stream.read(_PIECE), b""), scanner)
            sha256, length = _hashed(pieces)
        return self._instance(path.stem, facts, sha256, offset, length, checked(scanner.finish(), facts))

    def _write(self, identifier: str, path: Path, data: Iterable[memoryview], facts: ReceiptFacts) -> SpooledInstance:
        scanner = Scanner(facts.transfer_syntax)
        head = part10.head(facts)
        with durable.DurableFile(path, PLACE) as file, BesideHash() as digest:
            file.write(head)
            for block in digest.blocks(data):
                scanner.feed(block)
                file.write(block)
            attributes = checked(scanner.finish(), facts)
            file.commit()
        return self._instance(identifier, facts, digest.sha256(), len(head), digest.length, attributes)

    def _instance(  # noqa: PLR0917 - the parts of one value
        self, identifier: str, facts: ReceiptFacts, sha256: str, offset: int, length: int, attributes: dict[str, str]
    ) -> SpooledInstance:
        place = Place(str(self._path(identifier).relative_to(self._directory)), offset, length, sha256)
        return spooled(identifier, identified(facts, attributes), attributes, place)

    def _path(self, identifier: str) -> Path:
        return self._directory / identifier[-1] / identifier[-2] / f"{identifier}{SUFFIX}"

    def _prepare(self, directory: Path) -> None:
        """Make a directory durable once in this process, whoever made it."""
        with self._preparing:
            if directory in self._prepared and directory.is_dir():
                return
            durable.make_directory(directory)
            durable.sync_parent(directory)
            durable.sync_parent(directory.parent)
            self._prepared.add(directory)


def _hashed(pieces: Iterable[bytes | memoryview]) -> tuple[str, int]:
    digest = hashlib.sha256()
    length = 0
    for piece in pieces:
        digest.update(piece)
        length += len(piece)
    return digest.hexdigest(), length


def _seen(pieces: Iterable[memoryview] | Iterable[bytes], scanner: Scanner) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        scanner.feed(view)
        yield view


def check_command(facts: ReceiptFacts) -> None:
    """Raise BadInstance for a command that names no UIDs."""
    for keyword, uid in (("SOP Class", facts.sop_class_uid), ("SOP Instance", facts.sop_instance_uid)):
        if not is_uid_like(uid):
            raise BadInstance(DATA_SET_DOES_NOT_MATCH, f"Affected {keyword} UID is not a UID")


def checked(scan: Scan, facts: ReceiptFacts) -> dict[str, str]:
    """Return the attributes of a data set that belongs to its command (PS3.4 B.2.3).

    What cannot be read after the UIDs is the destination's to judge; what cannot be read before them is ours.
    """
    attributes = scan.attributes
    missing = [keyword for keyword in _REQUIRED if not attributes.get(keyword)]
    if scan.cut or (scan.problem and missing):
        raise BadInstance(CANNOT_UNDERSTAND, scan.problem)
    if missing:
        raise BadInstance(DATA_SET_DOES_NOT_MATCH, f"{missing[0]} is missing from the data set")
    for keyword, uid in (("SOPClassUID", facts.sop_class_uid), ("SOPInstanceUID", facts.sop_instance_uid)):
        if attributes[keyword] != uid and is_uid(uid):
            raise BadInstance(DATA_SET_DOES_NOT_MATCH, f"{keyword} differs between command and data set")
    return attributes


def identified(facts: ReceiptFacts, attributes: dict[str, str]) -> ReceiptFacts:
    """Return the facts with the data set's own identifiers: a command whose UID is none at all says nothing."""
    sop_class_uid, sop_instance_uid = attributes["SOPClassUID"], attributes["SOPInstanceUID"]
    if (sop_class_uid, sop_instance_uid) == (facts.sop_class_uid, facts.sop_instance_uid):
        return facts
    return replace(facts, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid)
