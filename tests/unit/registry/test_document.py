from dataclasses import fields

import pytest

from broker.environments.model import Route
from broker.errors import Misconfigured
from broker.registry.document import read
from broker.registry.model import CommitmentHabits, CommitmentMode, Filter, Habits, ListOrder, ReportWay

SMALL = 'name = "us-room-2"\nmodality = "US"\nae_titles = ["US_ROOM2", "US_ROOM2B"]\n'


def mistakes(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        read(text.encode(), "d.toml")
    return [line.removeprefix("d.toml: ") for line in str(caught.value).splitlines()]


def test_small_document_takes_the_defaults_of_a_common_ultrasound() -> None:
    document = read(SMALL.encode(), "d.toml")
    assert document.stations == document.ae_titles == ("US_ROOM2", "US_ROOM2B")
    assert document.character_sets == ("ISO_IR 100", "ISO_IR 192")
    assert (document.description, document.station_name, document.location, document.routes) == ("", "", "", ())


def test_whole_document_becomes_a_value() -> None:
    text = SMALL + (
        'description = "Ultrasound"\nstations = ["US2"]\nstation_name = "USROOM2"\nlocation = "RADIOLOGY US2"\n'
        '[worklist]\ncharacter_sets = ["", "ISO_IR 192"]\n'
        '[[routes]]\nto = ["main-pacs"]\nwhen = { Modality = "SR" }\n'
    )
    document = read(text.encode(), "d.toml")
    assert document.stations == ("US2",)
    assert document.character_sets == ("", "ISO_IR 192")
    assert document.routes == (Route(("main-pacs",), (("Modality", ("SR",)),)),)


def test_every_mistake_is_named_at_once() -> None:
    text = (
        'name = "US Room"\nmodality = "us"\nae_titles = []\nstations = ["US_ROOM2_IS_TOO_LONG"]\n'
        'station = "x"\nlocation = "RADIOLOGY ROOM 22"\n[worklist]\ncharacter_sets = ["ISO_IR 1000"]\n'
    )
    assert sorted(mistakes(text)) == [
        "ae_titles: names no AE title: the device could not be recognised",
        "location: has 17 characters, at most 16 are allowed (PS3.5, SH)",
        "modality: 'us' must be at most 16 of A-Z, 0-9, blank and '_', such as 'US'",
        "name: 'US Room' must be 1 to 64 of a-z, 0-9 and '-'",
        "station: unknown key: did you mean 'stations'?",
        "stations: AE title 'US_ROOM2_IS_TOO_LONG' has 20 characters, at most 16 are allowed",
        "worklist.character_sets: 'ISO_IR 1000' is no defined term of SpecificCharacterSet: did you mean 'ISO_IR 100'?",
    ]


def test_document_without_required_keys_names_each() -> None:
    assert sorted(mistakes("")) == ["ae_titles: is missing", "modality: is missing", "name: is missing"]


def test_document_that_is_no_toml_names_the_line() -> None:
    assert mistakes("name = \n")[0].startswith("line 1, column 8: is not TOML")


def test_a_common_ultrasound_has_the_usual_habits_and_no_filter() -> None:
    document = read(SMALL.encode(), "d.toml")
    assert (document.habits, document.filter) == (Habits(), None)


def test_every_habit_is_a_key() -> None:
    text = SMALL + (
        "[worklist]\nignore_station_key = true\ndefault_station_key = false\ncase_insensitive_titles = true\n"
        "widen_today_hours = 2\ndefault_window_days = 0\nlenient_lists = false\nkeys_outside_sequence = false\n"
        'limit = 50\norder = "latest"\npending_status = "FF01"\nunsupported_as_empty = false\nkeep_started_hours = 8\n'
        'character_sets = ["\\\\ISO 2022 IR 87"]\n'
    )
    document = read(text.encode(), "d.toml")
    assert document.habits == Habits(
        ignore_station_key=True,
        default_station_key=False,
        case_insensitive_titles=True,
        widen_today_hours=2,
        default_window_days=0,
        lenient_lists=False,
        keys_outside_sequence=False,
        limit=50,
        order=ListOrder.LATEST,
        warns_of_unsupported=True,
        unsupported_as_empty=False,
        keep_started_hours=8,
    )
    assert document.character_sets == ("\\ISO 2022 IR 87",)
    usual = Habits()
    assert all(getattr(document.habits, each.name) != getattr(usual, each.name) for each in fields(Habits))


def test_a_filter_is_read() -> None:
    text = SMALL + (
        '[worklist.filter]\nmodalities = ["US", "IVUS"]\nprocedure_codes = ["USABD"]\nlocations = ["ROOM 2*"]\n'
        'sending_applications = ["RIS"]\n'
    )
    assert read(text.encode(), "d.toml").filter == Filter(("US", "IVUS"), ("USABD",), ("ROOM 2*",), ("RIS",))


def test_every_mistake_of_a_habit_is_named() -> None:
    text = SMALL + (
        '[worklist]\nlimit = 0\norder = "newest"\npending_status = "FF02"\nwiden_today_hours = 25\n'
        'default_window_days = -1\nlenient_list = true\nkeep_started_hours = "24"\n'
        '[worklist.filter]\nmodalities = ["us"]\nlocation = ["X"]\n'
    )
    assert sorted(mistakes(text)) == [
        "worklist.default_window_days: -1 is not between 0 and 366",
        "worklist.filter.location: unknown key: did you mean 'locations'?",
        "worklist.filter.modalities: 'us' must be at most 16 of A-Z, 0-9, blank and '_', such as 'US'",
        "worklist.keep_started_hours: must be a whole number, is a text",
        "worklist.lenient_list: unknown key: did you mean 'lenient_lists'?",
        "worklist.limit: 0 is not between 1 and 1000000",
        "worklist.order: 'newest' is none of 'soonest', 'latest', 'name': did you mean 'soonest'?",
        "worklist.pending_status: 'FF02' is neither 'FF00' nor 'FF01'",
        "worklist.widen_today_hours: 25 is not between 0 and 24",
    ]


def test_an_order_without_a_limit_and_a_filter_that_says_nothing_are_mistakes() -> None:
    text = SMALL + '[worklist]\norder = "name"\n[worklist.filter]\n'
    assert sorted(mistakes(text)) == [
        "worklist.filter: says nothing: name modalities, procedure_codes, locations or sending_applications",
        "worklist.order: 'name' needs a limit: such a list is put together before it is sent",
    ]


def test_how_a_device_is_answered_for_is_read() -> None:
    assert read(SMALL.encode(), "d.toml").commitment == CommitmentHabits(CommitmentMode.PROXY, ReportWay.EITHER)
    found = read((SMALL + '[commitment]\nmode = "own"\nreport = "new"\n').encode(), "d.toml").commitment
    assert found == CommitmentHabits(CommitmentMode.OWN, ReportWay.NEW)
    (wrong,) = mistakes(SMALL + '[commitment]\nmode = "proxi"\n')
    assert wrong == "commitment.mode: 'proxi' is none of 'own', 'stored', 'proxy': did you mean 'proxy'?"
