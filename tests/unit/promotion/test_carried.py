"""Evidence packets: who has the key is believed, and what was altered, is foreign or old is refused and named."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker import __version__
from broker.environments import profile as profiles
from broker.environments.model import Profile, World
from broker.environments.promotion import PromotionSettings
from broker.errors import Misconfigured, Refused
from broker.promotion import carried
from broker.promotion.carried import Packet
from broker.promotion.model import CheckResult, CheckState, Hashes, Life, Side
from broker.promotion.sources import packet_made
from broker.registry.model import Binding
from tests.unit.promotion.test_flow import ONE, PROFILE

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
KEY = b"one key"
CHECKS = tuple(
    CheckResult(name, name.title(), CheckState.PASSED, "seen", at=NOW, facts=("query 1",)) for name in ("soak", "clock")
)
PACKET = Packet(
    site="Hospital",
    software=__version__,
    made=NOW,
    side=Side(
        "test",
        World.TEST,
        "us",
        hashlib.sha256(ONE).hexdigest(),
        Binding("10.0.0.2", 104),
        Life.TESTING,
        Hashes(*"abcd"),
    ),
    content=ONE,
    policy=PromotionSettings(),
    evidence=CHECKS,
    contexts=(("1.2", "1.3"),),
)


@pytest.fixture
def target(tmp_path: Path) -> Profile:
    file = tmp_path / "production.toml"
    file.write_text('site = "Hospital"\n' + PROFILE.format(name="production"))
    return profiles.read(file)


def altered(change: Callable[[Any], None]) -> bytes:
    said = json.loads(carried.written(PACKET, KEY))
    change(said)
    return json.dumps(said).encode()


def test_what_is_written_is_read_again() -> None:
    content = carried.written(PACKET, KEY)
    found = carried.read(content, KEY)
    assert found == replace(PACKET, sha256=hashlib.sha256(content).hexdigest())
    assert b"one key" not in content


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda said: said["evidence"][0].update(state="failed"), "altered: evidence is not what was signed"),
        (lambda said: said["device"]["binding"].update(host="10.6.6.6"), "altered: device is not"),
        (lambda said: said.update(document="QUJD", settings={}), "altered: document, settings is not"),
        (lambda said: said.pop("contexts"), "altered: contexts is not"),
        (lambda said: said.update(note="x"), "altered: note is not"),
        (lambda said: said["signed"]["sections"].update(evidence="0"), "its list of hashes is not the one"),
        (lambda said: said["signed"].update(key="0123"), "signed with another key \\(0123\\)"),
        (lambda said: said.update(format="broker evidence packet 9"), "export it by this version"),
        (lambda said: said.pop("signed"), "no evidence packet"),
    ],
)
def test_what_was_altered_is_named(change: Callable[[Any], None], why: str) -> None:
    with pytest.raises(Refused, match=why):
        carried.read(altered(change), KEY)


def test_no_octet_of_it_can_be_changed_unseen() -> None:
    content = carried.written(PACKET, KEY)
    text = json.loads(content)
    for at in range(0, len(content), 7):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        try:
            assert json.loads(changed) == text, "only what says nothing"
        except ValueError:
            continue
        except AssertionError:
            with pytest.raises(Refused):
                carried.read(changed, KEY)


def test_another_key_and_what_is_no_packet_are_refused() -> None:
    with pytest.raises(Refused, match="signed with another key"):
        carried.read(carried.written(PACKET, b"theirs"), KEY)
    for content in (b"", b"PK\3\4", b"[]", b'{"format": 1}', carried.written(PACKET, KEY)[:-90]):
        with pytest.raises(Refused):
            carried.read(content, KEY)


def test_a_document_that_is_another_revision_is_refused_even_when_signed() -> None:
    with pytest.raises(Refused, match="contradicts itself"):
        carried.read(carried.written(replace(PACKET, content=b"x"), KEY), KEY)


def test_what_is_foreign_or_old_is_refused(target: Profile) -> None:
    carried.refuse_unfit(PACKET, target, NOW + timedelta(hours=24), NOW)
    cases: tuple[tuple[Packet, timedelta, datetime | None, str], ...] = (
        (replace(PACKET, site="Elsewhere"), timedelta(), None, "of the site 'Elsewhere'"),
        (PACKET, timedelta(hours=24, seconds=1), None, "stale: made 2026-02-01T08:00:00.000.00:00, more than 24 h ago"),
        (PACKET, timedelta(minutes=-6), None, "of the future"),
        (PACKET, timedelta(), NOW + timedelta(seconds=1), "older than the one of the request"),
    )
    for packet, later, not_before, why in cases:
        with pytest.raises(Refused, match=why):
            carried.refuse_unfit(packet, target, NOW + later, not_before)


def test_what_was_judged_by_less_than_the_target_asks_is_not_passed() -> None:
    assert [each.state for each in PACKET.judged(PromotionSettings(soak_exams=2))] == [CheckState.PASSED] * 3
    soak, clock, _ = PACKET.judged(PromotionSettings(soak_exams=5, clock_minutes=2))
    assert (soak.state, clock.state) == (CheckState.FAILED, CheckState.FAILED)
    assert soak.text == "it was judged by less: here are asked 5 for 3 soak_exams"
    assert soak.to_do == "export it anew with --soak-exams 5"
    assert clock.to_do == "export it anew with --clock-minutes 2"


def test_another_version_is_not_passed() -> None:
    *_, version = replace(PACKET, software="0.0.1").judged(PromotionSettings())
    assert (version.check, version.is_open) == ("packet_version", True)


def test_the_key_is_by_reference_and_without_one_nothing_is_signed(target: Profile, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="packet_key"):
        carried.key_of(target)
    (tmp_path / "site.key").write_text("secret\n")
    target.file.write_text(target.file.read_text() + '[promotion]\npacket_key = { file = "site.key" }\n')
    assert len(carried.key_of(profiles.read(target.file))) == 32


def test_a_reference_says_when_its_packet_was_made() -> None:
    assert packet_made("packet:abc:2026-02-01T08:00:00+00:00") == NOW
    assert packet_made("/srv/test.toml") is None
