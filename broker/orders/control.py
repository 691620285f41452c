"""The order control table: what ORC-1 with ORC-5 or OBR-25 asks for, as data. Reads no message, changes no order."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from broker.environments.reading import TomlTable, did_you_mean, parse, quoted
from broker.errors import Misconfigured
from broker.orders.model import Action, Refusal

BUILT_IN = "built-in"
_FILE = Path(__file__).parent / "tables" / "order-control.toml"
_STATUS = "status"  # of [control]: the status decides
_WORDS = (*(action.value for action in Action), _STATUS)
# What takes an order's data, so that a status which has no row cannot be passed over.
_OF_DATA = frozenset({Action.NEW, Action.CHANGE, Action.CHILD})


@dataclass(frozen=True, slots=True)
class ControlTable:
    """What codes ask for. `file` is where a site mends it, for people."""

    file: str
    control: Mapping[str, Action | None]  # ORC-1; None: the status decides
    status: Mapping[str, Action]  # ORC-5
    result: Mapping[str, str]  # OBR-25 as ORC-5
    pairs: Mapping[tuple[str, str], Action]  # ORC-1 with ORC-5
    appointments: Mapping[str, Action]  # trigger events of SIU

    def action_of(self, orc1: str, orc5: str, obr25: str = "", location: str = "ORC^1") -> Action:
        """Return what is asked; OBR-25 counts where ORC-5 is empty and ORC-1 is a change or a status.

        Raises Refusal AE 103 at ORC-1 or ORC-5 for what has no row, and for what a person decides; AE 101 for no
        ORC-1. `location` is the ORC's.
        """
        if not orc1:
            raise Refusal("AE", f"{location}^1", "101", "ORC-1, the order control, is missing")
        if orc1 not in self.control:
            raise self._unmapped(f"{location}^1", "ORC-1, the order control,")
        asked = self.control[orc1]
        status = orc5
        if not orc5 and obr25 and (asked is None or asked is Action.CHANGE):
            if obr25 not in self.result:
                raise self._unmapped(f"{location}^1", "OBR-25, the result status, with this ORC-1")
            status = self.result[obr25]
        found = self.pairs.get((orc1, status)) or self._without_pair(asked, status, location)
        if found is Action.PERSON:
            with_status = " with this order status (ORC-5, OBR-25)" if status else ""
            raise self._unmapped(f"{location}^1", f"ORC-1, the order control{with_status},")
        return found

    def appointment(self, event: str) -> Action:
        """Return what a scheduling message of this trigger event asks for."""
        return self.appointments.get(event, Action.NOTHING)

    def _without_pair(self, asked: Action | None, status: str, location: str) -> Action:
        if asked is None:
            if status and status not in self.status:
                raise self._unmapped(f"{location}^5", "ORC-5, the order status,")
            return self.status[status] if status else Action.NOTHING
        if asked in _OF_DATA and status and status not in self.status:
            raise self._unmapped(f"{location}^5", "ORC-5, the order status,")
        return asked

    def _unmapped(self, location: str, codes: str) -> Refusal:
        where = "the built-in order control table" if self.file == BUILT_IN else f"the order control table {self.file}"
        return Refusal("AE", location, "103", f"{codes} has no action in {where}: a person decides", for_person=True)


def load(path: str = "") -> ControlTable:
    """Return the table of a site's file, over the built-in one; the built-in one for an empty path.

    Raises Misconfigured with every mistake, a line each.
    """
    built_in = _built_in()
    if not path:
        return built_in
    try:
        root = parse(Path(path).read_bytes(), path)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    if root.text("base") not in ("", BUILT_IN):
        root.wrong("base", f"must be {BUILT_IN!r}")
    table = _table(root, built_in, Path(path).name)
    root.mistakes.stop()
    return table


@cache
def _built_in() -> ControlTable:
    root = parse(_FILE.read_bytes(), str(_FILE))
    table = _table(root, ControlTable(BUILT_IN, {}, {}, {}, {}, {}), BUILT_IN)
    root.mistakes.stop()
    return table


def _table(root: TomlTable, base: ControlTable, name: str) -> ControlTable:
    table = ControlTable(
        file=name,
        control={**base.control, **_control(root)},
        status={**base.status, **_actions(root, "status")},
        result={**base.result, **_texts(root, "result")},
        pairs={**base.pairs, **_pairs(root)},
        appointments={**base.appointments, **_actions(root, "appointments")},
    )
    for code, status in table.result.items():
        if status and status not in table.status:
            root.mistakes.add(f"result.{code}", f"{status!r} has no row under [status]")
    root.finish()
    return table


def _control(root: TomlTable) -> dict[str, Action | None]:
    words = _texts(root, "control")
    return {
        code: None if word == _STATUS else action
        for code, word in words.items()
        if (action := _action(root, f"control.{code}", word, _WORDS)) or word == _STATUS
    }


def _actions(root: TomlTable, section: str) -> dict[str, Action]:
    found = {code: _action(root, f"{section}.{code}", word) for code, word in _texts(root, section).items()}
    return {code: action for code, action in found.items() if action is not None}


def _pairs(root: TomlTable) -> dict[tuple[str, str], Action]:
    pairs: dict[tuple[str, str], Action] = {}
    for code, rows in root.table("pairs", required=False).items():
        if not isinstance(rows, dict):
            root.mistakes.add(f"pairs.{code}", "must be a table of ORC-5 and action")
            continue
        for status, word in rows.items():
            action = _action(root, f"pairs.{code}.{status}", word)
            if action is not None:
                pairs[code.upper(), status.upper()] = action
    return pairs


def _texts(root: TomlTable, section: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for code, word in root.table(section, required=False).items():
        if isinstance(word, str):
            found[code.upper()] = word
        else:
            root.mistakes.add(f"{section}.{code}", "must be a text")
    return found


def _action(root: TomlTable, at: str, word: object, words: tuple[str, ...] = _WORDS[:-1]) -> Action | None:
    if word not in words:
        near = did_you_mean(word, words) if isinstance(word, str) else ""
        root.mistakes.add(at, f"{word!r} is none of {quoted(words)}{near}")
    return Action(word) if word in _WORDS[:-1] else None
