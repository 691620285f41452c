"""What a promotion changes, field by field."""

from broker.identifiers import AETitle
from broker.promotion.difference import of_bindings, of_documents
from broker.promotion.model import Difference
from broker.registry.document import read
from broker.registry.model import Binding

DOCUMENT = b"""\
name = "us"
modality = "US"
ae_titles = ["US1"]
location = "ROOM 2"
[worklist]
limit = 50
[[routes]]
to = ["pacs"]
when = { Modality = "US" }
"""


def test_a_device_that_is_new_has_every_field_as_a_difference() -> None:
    found = {each.field: each.after for each in of_documents(None, read(DOCUMENT, "us"))}
    assert (found["name"], found["ae_titles"], found["habits.limit"], found["location"]) == (
        "us",
        "US1",
        "50",
        "ROOM 2",
    )


def test_changes_and_deletions_are_named_with_both_values() -> None:
    after = (
        DOCUMENT.replace(b'"US1"', b'"US2"').replace(b'location = "ROOM 2"\n', b"").replace(b"limit = 50", b"limit = 9")
    )
    found = of_documents(read(DOCUMENT, "us"), read(after, "us"))
    assert set(found) >= {
        Difference("ae_titles", "US1", "US2", at_console=True),
        Difference("location", "ROOM 2", ""),
        Difference("habits.limit", "50", "9"),
    }


def test_equal_documents_have_none() -> None:
    assert of_documents(read(DOCUMENT, "us"), read(DOCUMENT + b"# a remark\n", "us")) == ()


def test_a_route_is_shown_with_what_it_wants() -> None:
    (found,) = of_documents(read(DOCUMENT, "us"), read(DOCUMENT.replace(b'"pacs"', b'"cloud"'), "us"))
    assert found.field == "routes"
    assert ("pacs" in found.before, "cloud" in found.after) == (True, True)


def test_a_binding_s_overrides_are_differences_that_the_console_must_know() -> None:
    before = Binding("10.0.0.1", 104, station=AETitle("US2_T"))
    found = of_bindings(before, Binding("10.0.0.1", 104, AETitle("US2")))
    assert set(found) == {
        Difference("binding.station", "US2_T", ""),
        Difference("binding.ae_title", "", "US2", at_console=True),
    }
