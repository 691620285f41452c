"""What the product's processes did to their files and said to their peers, in order: read from what `strace` wrote.

Only calls that succeeded; a call counts from when it returned, but what it sent counts from when it began.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CALLS = (
    "openat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,fdatasync,fsync,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,sendto,recvfrom"
)


class Did(StrEnum):
    """What a call did."""

    CREATE = "create"
    TRUNCATE = "truncate"
    WRITE = "write"
    EXTEND = "extend"
    BEGIN_SYNC = "begin sync"
    SYNC = "sync"
    RENAME = "rename"
    UNLINK = "unlink"
    MAKE = "make"
    SENT = "sent"
    GOT = "got"


@dataclass(frozen=True, slots=True)
class Act:
    """One call. `at` is an offset, -1 for the file's end; `caller` a thread."""

    did: Did
    caller: str
    path: str = ""
    at: int = 0
    content: bytes = b""
    target: str = ""


def command(trace: Path) -> list[str]:
    """Return the words before a command that is to be traced with its children."""
    words = ["strace", "-f", "-qq", "-y", "-xx", "-s", "16000000", "--seccomp-bpf"]
    return [*words, "-e", f"trace={CALLS}", "-o", str(trace)]


_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_UNFINISHED = " <unfinished ...>"
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")
_RETURNED = re.compile(r"\) += (-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?")
_SYNCS = ("fsync", "fdatasync")


def acts(lines: Iterator[str]) -> Iterator[Act]:
    """Give what was done."""
    begun: dict[str, str] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        caller, resumed, name, rest = found.groups()
        if rest.endswith(_UNFINISHED):
            begun[caller] = rest.removesuffix(_UNFINISHED)
            yield from _begun(name, caller, begun[caller])
            continue
        if resumed:
            rest = begun.pop(caller, "") + rest
        else:
            yield from _begun(name, caller, rest)
        yield from _returned(resumed or name, caller, rest)


def _begun(name: str, caller: str, rest: str) -> Iterator[Act]:
    if name in _SYNCS:
        yield Act(Did.BEGIN_SYNC, caller, _path(rest))
    if name == "sendto":
        yield Act(Did.SENT, caller, content=_content(rest))


def _returned(name: str, caller: str, rest: str) -> Iterator[Act]:
    said = _RETURNED.search(rest)
    if said is None or int(said[1]) < 0:
        return
    returned = int(said[1])
    match name:
        case "write" | "writev":
            yield Act(Did.WRITE, caller, _path(rest), -1, _content(rest)[:returned])
        case "pwrite64" | "pwritev" | "pwritev2":
            yield Act(Did.WRITE, caller, _path(rest), _offset(name, rest), _content(rest)[:returned])
        case "ftruncate":
            yield Act(Did.TRUNCATE, caller, _path(rest), int(rest.rpartition(")")[0].rpartition(",")[2]))
        case "fallocate":
            _, at, length = rest.rpartition(")")[0].rsplit(",", 2)
            yield Act(Did.EXTEND, caller, _path(rest), int(at) + int(length))
        case "fsync" | "fdatasync":
            yield Act(Did.SYNC, caller, _path(rest))
        case "recvfrom":
            if "MSG_PEEK" not in rest:
                yield Act(Did.GOT, caller, content=_content(rest))
        case "sendto":
            return
        case _:
            yield from _named(name, caller, rest, said[2] or "")


def _named(name: str, caller: str, rest: str, opened: str) -> Iterator[Act]:
    texts = [_decoded(each).decode() for each in _TEXT.findall(rest)]
    if name == "openat" and "O_CREAT" in rest:
        yield Act(Did.CREATE, caller, _decoded(opened).decode())
    if name == "openat" and "O_TRUNC" in rest:
        yield Act(Did.TRUNCATE, caller, _decoded(opened).decode(), 0)
    if name.startswith("rename"):
        yield Act(Did.RENAME, caller, texts[0], target=texts[1])
    if name.startswith("unlink"):
        yield Act(Did.UNLINK, caller, texts[0])
    if name.startswith("mkdir"):
        yield Act(Did.MAKE, caller, texts[0])


def _offset(name: str, rest: str) -> int:
    words = rest.rpartition(")")[0].rsplit(",", 2)
    return int(words[1] if name == "pwritev2" else words[2])


def _path(rest: str) -> str:
    found = _FILE.match(rest)
    return _decoded(found[1]).decode("ascii", "replace") if found else ""


def _content(rest: str) -> bytes:
    return b"".join(map(_decoded, _TEXT.findall(rest)))


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
