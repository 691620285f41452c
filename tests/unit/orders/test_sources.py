"""Which sender a message is from, and what it may."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.environments.model import Hl7Settings, Source, UnknownCallers
from broker.errors import Misconfigured
from broker.inbox.model import HeaderFacts
from broker.orders.model import Refusal
from broker.orders.sources import Sources

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def _settings(*sources: Source, unknown: UnknownCallers = UnknownCallers.ACCEPT) -> Hl7Settings:
    return Hl7Settings("127.0.0.1", 0, ("P",), unknown_sources=unknown, sources=sources)


def _facts(application: str = "RIS", facility: str = "HOSP") -> HeaderFacts:
    return HeaderFacts(True, False, sending_application=application, sending_facility=facility)


def _source(settings: Hl7Settings, facts: HeaderFacts, address: str = "10.0.0.1") -> str:
    return Sources(settings, "test").context(facts, address, NOW).source.name


def test_first_source_that_fits_is_the_sender() -> None:
    settings = _settings(
        Source("other", sending_application="OTHER"),
        Source("here", sending_application="RIS", sending_facility="HOSP"),
        Source("any-ris", sending_application="RIS"),
    )
    assert _source(settings, _facts()) == "here"
    assert _source(settings, _facts(facility="ELSEWHERE")) == "any-ris"
    assert _source(settings, _facts("RIS^1.2.3^ISO", "HOSP^4^L")) == "here"
    assert _source(settings, _facts("UNKNOWN")) == "default"


def test_context_has_the_sender_s_mapping_and_the_environment_s_processing_ids() -> None:
    settings = _settings(Source("ris", sending_application="RIS", mapping="filler-number"))
    context = Sources(settings, "test").context(_facts(), "10.0.0.1", NOW)
    assert (context.environment, context.mapping.name, context.now) == ("test", "filler-number", NOW)
    assert context.source.processing_ids == ("P",)


def test_source_s_own_processing_ids_stand() -> None:
    settings = _settings(Source("ris", processing_ids=("D", "")))
    assert Sources(settings, "test").context(_facts(), "10.0.0.1", NOW).source.processing_ids == ("D", "")


def _refusal(settings: Hl7Settings, facts: HeaderFacts, address: str) -> tuple[str, str, str]:
    with pytest.raises(Refusal) as caught:
        _source(settings, facts, address)
    return caught.value.answer, caught.value.code, caught.value.location


def test_unknown_sender_is_refused_where_unknown_ones_are_rejected() -> None:
    settings = _settings(Source("ris", sending_application="RIS"), unknown=UnknownCallers.REJECT)
    assert _source(settings, _facts()) == "ris"
    assert _refusal(settings, _facts("UNKNOWN"), "10.0.0.1") == ("AR", "103", "MSH^1^3")


def test_sender_from_elsewhere_is_refused() -> None:
    settings = _settings(Source("ris", sending_application="RIS", addresses=("10.0.0.0/24", "fd00::/8")))
    for address in ("10.0.0.7", "fd00::1", "::ffff:10.0.0.7"):
        assert _source(settings, _facts(), address) == "ris"
    for address in ("10.0.1.7", "fe80::1", "nowhere"):
        assert _refusal(settings, _facts(), address) == ("AR", "103", "MSH^1^3")


def test_message_for_another_system_is_refused_where_ours_are_named() -> None:
    ours = Source("ris", sending_application="RIS", receiving_applications=("BROKER",), receiving_facilities=("H", ""))
    settings = _settings(ours)
    for application, facility in (("BROKER", "H"), ("BROKER^1.2^ISO", ""), ("BROKER", "H^1.2^ISO")):
        facts = replace(_facts(), receiving_application=application, receiving_facility=facility)
        assert _source(settings, facts) == "ris"
    for application, facility, location in (("PACS", "H", "MSH^1^5"), ("", "H", "MSH^1^5"), ("BROKER", "X", "MSH^1^6")):
        facts = replace(_facts(), receiving_application=application, receiving_facility=facility)
        assert _refusal(settings, facts, "10.0.0.1") == ("AR", "103", location)


def test_every_mistake_of_every_source_is_named(tmp_path: Path) -> None:
    control = tmp_path / "control.toml"
    control.write_text('base = "built-in"\n[control]\nNW = "nwe"\n')
    settings = _settings(
        Source("one", mapping="ihe-sfw"),
        Source("two", order_control=str(control), addresses=("10.0.0.0/99",), character_sets=("KLINGON",)),
    )
    with pytest.raises(Misconfigured) as caught:
        Sources(settings, "test")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["source one", "mapping"],
        ["source two", "addresses"],
        ["source two", "character_sets"],
        ["source two", "order_control"],
    ]
