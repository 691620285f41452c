"""A model of a disk that loses what was not synced, fed with what a product did; pure, it touches no file of its own.

Content: of what no sync of the file covers, each sector of 512 bytes is kept or not. Names: what no sync of the
directory covers comes in order up to some point, as a journalling file system has it, and the rest does not.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tests.torture.traced import Act, Did

SECTOR = 512


@dataclass
class _File:
    synced: bytearray
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (at, content); None: the size is `at`
    size: int = 0

    def change(self, at: int, content: bytes | None) -> None:
        if content is None:
            self.size = at
        else:
            at = self.size if at < 0 else at
            self.size = max(self.size, at + len(content))
        self.pending.append((at, content))

    def sync(self, upto: int) -> None:
        for at, content in self.pending[:upto]:
            _apply(self.synced, at, content)
        del self.pending[:upto]

    def after_cut(self, chance: random.Random, luck: float) -> bytes:
        left = bytearray(self.synced)
        for at, content in self.pending:
            if content is None:
                if chance.random() < luck:
                    _apply(left, at, None)
                continue
            for start in range(0, len(content), SECTOR):
                if chance.random() < luck:
                    _apply(left, at + start, content[start : start + SECTOR])
        return bytes(left)


def _apply(content: bytearray, at: int, new: bytes | None) -> None:
    if new is None:
        del content[at:]
        content.extend(bytes(at - len(content)))
        return
    content.extend(bytes(max(0, at + len(new) - len(content))))
    content[at : at + len(new)] = new


@dataclass(frozen=True)
class _Change:
    """A name that goes, a name that comes, and what it names."""

    old: str | None
    new: str | None
    file: _File

    def apply(self, names: dict[str, _File]) -> None:
        if self.old is not None:
            names.pop(self.old, None)
        if self.new is not None:
            names[self.new] = self.file

    def is_in(self, directory: str) -> bool:
        return directory in (_parent(self.old), _parent(self.new))


class Disk:
    """The files below one folder."""

    def __init__(self, folder: str, files: Mapping[str, bytes], *, syncs: bool = True) -> None:
        self._folder = folder.rstrip("/") + "/"
        self._syncs = syncs  # False: a disk, or a build, that only says so
        self._names = {name: _File(bytearray(content), size=len(content)) for name, content in files.items()}
        self._kept = dict(self._names)  # as the directories were synced
        self._changes: list[_Change] = []  # of names, in order, not synced
        self._begun: dict[str, tuple[_File | None, int]] = {}

    def take(self, act: Act) -> bool:
        """Take note of a call; tell whether it concerns these files."""
        name = self._name(act.path)
        if name is None:
            return False
        file = self._names.get(name)
        match act.did:
            case Did.CREATE if file is None:
                self._change(None, name, _File(bytearray()))
            case Did.WRITE | Did.TRUNCATE | Did.EXTEND if file is not None:
                _write(file, act)
            case Did.BEGIN_SYNC:
                self._begun[act.caller] = file, len(file.pending if file else self._changes)
            case Did.SYNC:
                self._sync(name, *self._begun.pop(act.caller))
            case Did.RENAME if file is not None:
                self._change(name, self._name(act.target), file)
            case Did.UNLINK if file is not None:
                self._change(name, None, file)
        return True

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return the files that a power cut now would leave."""
        luck = chance.choice((0.0, 0.0, 0.5, 0.9, 1.0))
        names = dict(self._kept)
        upto = chance.choice((0, chance.randint(0, len(self._changes)), len(self._changes)))
        for change in self._changes[:upto]:
            change.apply(names)
        return {name: file.after_cut(chance, luck) for name, file in names.items()}

    def _sync(self, name: str, file: _File | None, upto: int) -> None:
        """Make durable what was there when the sync began."""
        if not self._syncs:
            return
        if file is not None:
            file.sync(min(upto, len(file.pending)))
            return
        left = []
        for number, change in enumerate(self._changes):
            if number < upto and change.is_in(name):
                change.apply(self._kept)
            else:
                left.append(change)
        self._changes = left

    def _change(self, old: str | None, new: str | None, file: _File) -> None:
        change = _Change(old, new, file)
        change.apply(self._names)
        self._changes.append(change)

    def _name(self, path: str) -> str | None:
        if not f"{path}/".startswith(self._folder):
            return None
        return path[len(self._folder) :]


def _write(file: _File, act: Act) -> None:
    if act.did is Did.WRITE:
        file.change(act.at, act.content)
    elif act.did is Did.TRUNCATE or act.at > file.size:
        file.change(act.at, None)


def _parent(name: str | None) -> str | None:
    if name is None:
        return None
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else parent
