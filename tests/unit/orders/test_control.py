"""The order control table: its rows, a site's rows over them, and what has none."""

from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.orders import control
from broker.orders.model import Action, Refusal

TABLE = control.load()
B2 = {
    Action.NEW: "NW SN RO",
    Action.CHANGE: "XO XX XR",
    Action.CANCEL: "CA OC CR UA",
    Action.DISCONTINUE: "DC OD DR",
    Action.REPLACE: "RP RU RQ",
    Action.HOLD: "HD OH HR",
    Action.RELEASE: "RL OE OR",
    Action.PARENT: "PA",
    Action.CHILD: "CH",
    Action.NUMBER: "NA",
    Action.UNABLE: "UC UD UH UM UR UX DE",
    Action.NOTHING: "OK RR SS SR SC RE",
}


@pytest.mark.parametrize("action", B2)
def test_control_alone(action: Action) -> None:
    assert {TABLE.action_of(code, "") for code in B2[action].split()} == {action}


@pytest.mark.parametrize(
    ("orc1", "orc5", "obr25", "action"),
    [
        ("NW", "SC", "", Action.NEW),
        ("NW", "IP", "", Action.NEW),
        ("NW", "", "F", Action.NEW),
        ("SC", "SC", "", Action.CHANGE),
        ("SC", "IP", "", Action.START),
        ("SC", "A", "", Action.START),
        ("SC", "CM", "", Action.COMPLETE),
        ("SC", "DC", "", Action.DISCONTINUE),
        ("SC", "CA", "", Action.CANCEL),
        ("SC", "HD", "", Action.HOLD),
        ("SC", "RP", "", Action.CANCEL),
        ("SC", "", "S", Action.CHANGE),
        ("SC", "", "P", Action.START),
        ("SC", "", "F", Action.COMPLETE),
        ("SC", "", "X", Action.CANCEL),
        ("SC", "", "Y", Action.NOTHING),
        ("SC", "CM", "X", Action.COMPLETE),
        ("XO", "SC", "", Action.CHANGE),
        ("XO", "IP", "", Action.START),
        ("XO", "CM", "", Action.COMPLETE),
        ("XO", "CA", "", Action.CANCEL),
        ("XO", "", "F", Action.COMPLETE),
        ("RE", "", "F", Action.COMPLETE),
        ("RE", "SC", "", Action.NOTHING),
        ("CA", "CA", "", Action.CANCEL),
        ("DC", "CA", "", Action.DISCONTINUE),
        ("CA", "ODD", "", Action.CANCEL),
    ],
)
def test_status_says_more(orc1: str, orc5: str, obr25: str, action: Action) -> None:
    assert TABLE.action_of(orc1, orc5, obr25) is action


@pytest.mark.parametrize(
    ("orc1", "orc5", "obr25", "location"),
    [
        ("ZZ", "", "", "ORC^2^1"),
        ("PR", "", "", "ORC^2^1"),
        ("NW", "CA", "", "ORC^2^1"),
        ("SC", "ER", "", "ORC^2^1"),
        ("SC", "ODD", "", "ORC^2^5"),
        ("NW", "ODD", "", "ORC^2^5"),
        ("SC", "", "ODD", "ORC^2^1"),
    ],
)
def test_what_has_no_row_is_for_a_person(orc1: str, orc5: str, obr25: str, location: str) -> None:
    with pytest.raises(Refusal) as caught:
        TABLE.action_of(orc1, orc5, obr25, "ORC^2")
    assert (caught.value.answer, caught.value.code, caught.value.location) == ("AE", "103", location)
    assert caught.value.for_person
    assert "order control table" in caught.value.text


def test_missing_control_is_the_sender_s_to_mend() -> None:
    with pytest.raises(Refusal) as caught:
        TABLE.action_of("", "SC", "", "ORC^1")
    assert (caught.value.code, caught.value.location, caught.value.for_person) == ("101", "ORC^1^1", False)


def test_site_overrides_single_rows(tmp_path: Path) -> None:
    file = tmp_path / "control.toml"
    file.write_text(
        'base = "built-in"\n[control]\nZZ = "cancel"\n[status]\nIP = "arrive"\nXY = "hold"\n'
        '[pairs]\nNW = { CM = "complete" }\n'
        '[appointments]\nS26 = "nothing"\n'
    )
    table = control.load(str(file))
    assert table.action_of("ZZ", "") is Action.CANCEL
    assert table.action_of("SC", "IP") is Action.ARRIVE
    assert table.action_of("SC", "XY") is Action.HOLD
    assert table.action_of("NW", "CM") is Action.COMPLETE
    assert table.action_of("XO", "CM") is Action.COMPLETE
    assert table.appointment("S26") is Action.NOTHING
    assert table.appointment("S13") is Action.CHANGE
    with pytest.raises(Refusal, match=r"control\.toml"):
        table.action_of("QQ", "")


def test_every_mistake_is_named(tmp_path: Path) -> None:
    file = tmp_path / "control.toml"
    file.write_text(
        'base = "other"\n[control]\nNW = "nwe"\nXO = 3\n'
        '[pairs]\nSC = "new"\nNW = { CA = "status" }\n[result]\nO = "QQ"\n[more]\n'
    )
    with pytest.raises(Misconfigured) as caught:
        control.load(str(file))
    lines = [line.removeprefix(f"{file}: ") for line in str(caught.value).splitlines()]
    assert [line.split(": ")[0] for line in lines] == [
        "base",
        "control.XO",
        "control.NW",
        "pairs.SC",
        "pairs.NW.CA",
        "result.O",
        "more",
    ]
    assert any("did you mean 'new'" in line for line in lines)


def test_file_must_say_its_base(tmp_path: Path) -> None:
    file = tmp_path / "control.toml"
    file.write_text("[control]\n")
    with pytest.raises(Misconfigured, match="base: is missing"):
        control.load(str(file))
