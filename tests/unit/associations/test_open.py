"""The associations that are open now."""

from datetime import UTC, datetime

from broker.associations.model import Association, Context
from broker.associations.open import OpenAssociations

AT = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
PUSH, ECHO = "1.2.840.10008.1.20.1", "1.2.840.10008.1.1"


def association(name: str, *contexts: Context, calling: str = "US1", called: str = "BROKER") -> Association:
    return Association(name, AT, calling, called, "127.0.0.1", "", "", contexts, "", "", "")


def test_one_with_a_context_is_found_by_both_titles_its_own_first() -> None:
    open_ = OpenAssociations()
    open_.add(association("01A", Context(ECHO, "1.2")))
    open_.add(association("01B", Context(ECHO, "1.2"), Context(PUSH, "1.2.1")))
    open_.add(association("01C", Context(PUSH, "1.2")))
    open_.add(association("01D", Context(PUSH, "1.2"), called="OTHER"))
    assert open_.with_context("01C", "US1", "BROKER", PUSH) == ("01C", "1.2")
    assert open_.with_context("01A", "US1", "BROKER", PUSH) == ("01B", "1.2.1"), "another of the same device"
    assert open_.with_context("01A", "US1", "OTHER", PUSH) == ("01D", "1.2")
    assert open_.with_context("01A", "US2", "BROKER", PUSH) is None
