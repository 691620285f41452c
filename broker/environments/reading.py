"""Reading a TOML file key by key while collecting every mistake in it. Knows no particular file's keys."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

from broker.errors import Misconfigured
from broker.identifiers import AETitle

_Choice = TypeVar("_Choice", bound=StrEnum)

# Stands where a value is wrong or missing; no value leaves a file that has a mistake.
_WRONG_TITLE = AETitle("?")


class Mistakes:
    """Every mistake of one file, a line each: `file: key: reason`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: list[str] = []

    def add(self, key: str, reason: str) -> None:
        """Note one mistake; reading goes on."""
        self._lines.append(f"{self._file}: {key}: {reason}")

    def stop(self) -> None:
        """Raise Misconfigured with all mistakes, if there are any."""
        if self._lines:
            raise Misconfigured("\n".join(self._lines))


class TomlTable:
    """One table of the file. Each key is asked for once; `finish` names the keys nobody asked for."""

    def __init__(self, values: Mapping[str, Any], mistakes: Mistakes, at: str = "", absent: bool = False) -> None:
        self.mistakes = mistakes
        self._values = values
        self._at = at
        self._absent = absent  # named as missing already: its keys are not named again
        self._asked: list[str] = []

    def wrong(self, key: str, reason: str) -> None:
        """Note a mistake at `key` of this table."""
        self.mistakes.add(f"{self._at}{key}", reason)

    def has(self, key: str) -> bool:
        """Tell whether the key is there."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty; required unless there is a default. A mistake gives an empty text."""
        value: str | None = self._typed(key, str, "a text", default)
        if value is None:
            return ""
        if not value.strip() and default is None:
            self.wrong(key, "must not be empty")
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
            self.wrong(key, "has a control character")
            return ""
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number from `low` to `high`; required unless there is a default. A mistake gives -1."""
        value: int | None = self._typed(key, int, "a whole number", default)
        if value is None:
            return -1
        if not low <= value <= high:
            self.wrong(key, f"{value} is not between {low} and {high}")
            return -1
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false. A mistake gives the default."""
        value: bool | None = self._typed(key, bool, "true or false", default)
        return default if value is None else value

    def title(self, key: str) -> AETitle:
        """Return a required AE title."""
        value = self._typed(key, str, "a text", None)
        return _WRONG_TITLE if value is None else self.as_title(key, value)

    def as_title(self, key: str, value: str) -> AETitle:
        """Return `value` as an AE title, or note the mistake at `key`."""
        try:
            return AETitle(value)
        except ValueError as error:
            self.wrong(key, str(error))
            return _WRONG_TITLE

    def texts(self, key: str, default: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts, none twice; required unless there is a default."""
        values = self._typed(key, list, "a list of texts", None if default is None else list(default))
        if values is None:
            return ()
        good = [value for value in values if isinstance(value, str)]
        if len(good) < len(values):
            self.wrong(key, "must be a list of texts")
        for value in sorted({value for value in good if good.count(value) > 1}):
            self.wrong(key, f"{value!r} stands there twice")
        return tuple(dict.fromkeys(good))

    def titles(self, key: str, default: Iterable[AETitle] | None = None) -> tuple[AETitle, ...]:
        """Return a list of AE titles, none twice; required unless there is a default."""
        titles = (self.as_title(key, value) for value in self.texts(key, default))
        return tuple(title for title in titles if title is not _WRONG_TITLE)

    def choice(self, key: str, choices: type[_Choice], default: _Choice | None = None) -> _Choice | None:
        """Return one of the words of `choices`; required unless there is a default. A mistake gives None."""
        value = self._typed(key, str, "a text", default)
        if value is None:
            return None
        words = [choice.value for choice in choices]
        if value not in words:
            self.wrong(key, f"{value!r} is none of {quoted(words)}{did_you_mean(value, words)}")
            return None
        return choices(value)

    def table(self, key: str, required: bool = True) -> "TomlTable":
        """Return the table under `key`; an empty one where it is missing."""
        missing = key not in self._values
        value = self._typed(key, dict, "a table", None if required else {})
        return TomlTable(
            value or {}, self.mistakes, f"{self._at}{key}.", absent=(missing and required) or value is None
        )

    def tables(self, key: str) -> list["TomlTable"]:
        """Return the tables of the list `key`, which may be missing. Each is called by its `name`, else its number."""
        values = self._typed(key, list, "a list of tables", [])
        found = []
        for number, value in enumerate(values or (), start=1):
            if not isinstance(value, dict):
                self.wrong(key, f"number {number} must be a table")
                continue
            name = value.get("name")
            called = name if isinstance(name, str) and name.isprintable() and name else f"#{number}"
            found.append(TomlTable(value, self.mistakes, f"{self._at}{key}.{called}."))
        return found

    def items(self) -> list[tuple[str, object]]:
        """Return every key and value, for a table whose keys are open."""
        return list(self._values.items())

    def finish(self) -> None:
        """Note each key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.wrong(key, f"unknown key{did_you_mean(key, self._asked)}")

    def _typed(self, key: str, kind: type[Any], called: str, default: Any) -> Any:
        self._asked.append(key)
        if key not in self._values:
            if default is None and not self._absent:
                self.wrong(key, "is missing")
            return default
        value = self._values[key]
        # TOML's true is no number, though Python's is.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong(key, f"must be {called}, is {_called(value)}")
            return None
        return value


def parse(content: bytes, file: str) -> TomlTable:
    """Return the root table of a TOML document. Raises Misconfigured that names the line of a syntax error."""
    mistakes = Mistakes(file)
    values: dict[str, Any] = {}
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistakes.add(f"line {line}", "is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rpartition(" (at ")
        mistakes.add(place.rstrip(")"), f"is not TOML: {reason}")
    mistakes.stop()
    return TomlTable(values, mistakes)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return `: did you mean 'x'?` for the nearest of `words`, or nothing."""
    spelled = {known.lower(): known for known in words}
    near = difflib.get_close_matches(word.lower(), spelled, n=1)
    return f": did you mean {spelled[near[0]]!r}?" if near else ""


def quoted(words: Iterable[str]) -> str:
    """Return words for a sentence: `'a', 'b'`."""
    return ", ".join(repr(word) for word in words)


def _called(value: object) -> str:
    names = cast(
        "dict[type, str]",
        {str: "a text", bool: "true or false", int: "a whole number", list: "a list", dict: "a table"},
    )
    return names.get(type(value), f"a {type(value).__name__}")
