"""A secret by reference: where it stands, read when it is needed. Keeps none: no value, error or log holds its text."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from broker.environments.reading import TomlTable
from broker.errors import Misconfigured

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands: the environment variable `variable`, or else `file`."""

    variable: str = ""
    file: Path | None = None

    @property
    def place(self) -> str:
        """Where it stands, for a person."""
        return str(self.file) if self.file is not None else f"${self.variable}"

    def read(self) -> str:
        """Return the secret as it is now, so that a file may be replaced without a restart. Raises Misconfigured."""
        text = _content(self.file) if self.file is not None else os.environ.get(self.variable, "")
        # An editor ends a file with a line break, which no password has.
        secret = text.rstrip("\r\n")
        if not secret:
            raise Misconfigured(f"the secret {self.place} is {'empty' if self.file else 'not set'}")
        if not secret.isprintable():
            raise Misconfigured(f"the secret {self.place} has a control character, or more than one line")
        return secret

    def is_open(self) -> bool:
        """Tell whether everybody on this machine can read it."""
        return self.file is not None and bool(self.file.stat().st_mode & stat.S_IROTH)


def read_secret(parent: TomlTable, key: str, file: Path) -> Secret:
    """Return the reference under `key`: `{ env = "NAME" }` or `{ file = "path" }`; note each mistake.

    Whether it is there is not looked at: whoever reads a profile need not be able to read its secrets.
    """
    if isinstance(dict(parent.items()).get(key), str):
        parent.text(key)
        # Not repeated: it is the secret itself.
        parent.wrong(key, 'must be { env = "NAME" } or { file = "path" }: a secret does not belong into the profile')
        return Secret()
    table = parent.table(key)
    variable, path = table.text("env", ""), table.text("file", "")
    if parent.has(key) and bool(variable) == bool(path):
        parent.wrong(key, "must have one of env and file")
    table.finish()
    return Secret(variable, file.parent / path if path else None)


def _content(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_LONGEST + 1)
        if len(raw) > _LONGEST:
            raise Misconfigured(f"the secret {file} is longer than a secret is")
        return raw.decode("utf-8")
    except OSError as error:
        raise Misconfigured(f"the secret {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Misconfigured(f"the secret {file} is not UTF-8") from None
