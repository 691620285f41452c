import pytest

from broker.environments.model import Route
from broker.errors import Misconfigured
from broker.registry.document import read

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
    assert document.routes == (Route(("main-pacs",), (("Modality", "SR"),)),)


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
