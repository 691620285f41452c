"""What a device must show first after its cutover, and what went wrong: pure."""

from dataclasses import replace
from datetime import timedelta

from broker.procedures.model import PerformedStatus
from broker.promotion import firsts, troubles
from broker.promotion.recorded.model import Incident, Sent
from broker.promotion.seen import CallSeen, CommitmentSeen, EchoSeen, Facts, QuerySeen
from broker.registry.model import Makes
from tests.unit.promotion.checks.building import FOREIGN, SENT, bearing_so, day, image, proven, said, step, without

SINCE = day(1) - timedelta(minutes=1)
PARKED = (Sent("main-pacs", "parked", "it refuses the class"),)


def whole() -> Facts:
    """A device that has shown everything since its cutover."""
    facts = proven()
    return replace(facts, steps=tuple(replace(each, begun=each.at) for each in facts.steps), statements=())


def seen(facts: Facts) -> set[str]:
    return {first.name for first in firsts.of(facts, SINCE) if first.at is not None}


def awaited(facts: Facts) -> set[str]:
    return {first.name for first in firsts.of(facts, SINCE) if first.at is None and first.is_needed}


def wrong(facts: Facts, *refused: Incident) -> list[str]:
    return [each.text for each in troubles.of(facts, refused, (), SINCE) if each.is_open]


def test_each_first_is_ticked_with_the_time_at_which_it_came() -> None:
    facts = whole()
    assert seen(facts) == set(firsts.NAMES)
    (query,) = (first for first in firsts.of(facts, SINCE) if first.name == "worklist_query")
    assert (query.at, query.text) == (day(1), "answered with 3 items")
    assert firsts.whole_exams(facts, SINCE) == 3


def test_what_was_before_the_cutover_or_is_another_devices_ticks_nothing() -> None:
    later = day(3) + timedelta(days=1)
    assert {first.at for first in firsts.of(whole(), later)} == {None}
    assert seen(bearing_so(whole(), FOREIGN)) == set()
    assert firsts.whole_exams(whole(), later) == firsts.whole_exams(bearing_so(whole(), FOREIGN), SINCE) == 0


def test_what_a_device_does_not_claim_is_not_awaited() -> None:
    nothing = without(whole())
    assert awaited(nothing) == set(firsts.NAMES) - {"echo"}
    plain = replace(nothing, makes=Makes(performed_step=False), asks_commitment=False, provers=frozenset())
    assert awaited(plain) == {"association", "worklist_query", "image_received", "image_delivered"}


def test_a_worklist_without_items_is_not_the_first() -> None:
    assert "worklist_query" in awaited(replace(whole(), queries=(QuerySeen("query 1", day(1)),)))


def test_the_time_of_a_delivery_and_of_its_proof_is_their_own() -> None:
    sent = (replace(SENT[0], at=day(2), proof_at=day(3)),)
    found = {first.name: first.at for first in firsts.of(replace(whole(), images=(image(1, sent=sent),)), SINCE)}
    assert [found[name] for name in ("image_received", "image_delivered", "image_proven")] == [day(1), day(2), day(3)]


def test_an_exam_is_whole_when_every_image_of_it_is_where_it_is_to_be() -> None:
    facts = whole()
    unproven = image(1, sent=(Sent("main-pacs", "delivered", "", "asked"),))
    assert firsts.whole_exams(replace(facts, images=(unproven,)), SINCE) == 0
    assert firsts.whole_exams(replace(facts, images=(unproven,), provers=frozenset()), SINCE) == 1
    assert firsts.whole_exams(replace(facts, images=()), SINCE) == 0
    stopped = step(1, begun=day(1), status=PerformedStatus.DISCONTINUED)
    assert firsts.whole_exams(replace(facts, steps=(stopped,)), SINCE) == 0
    assert firsts.whole_exams(replace(facts, steps=(), makes=Makes(performed_step=False)), SINCE) == 3


def test_a_refusal_is_over_when_it_was_taken_afterwards() -> None:
    before, after = (Incident(f"association {at}", at, "refused: no such title") for at in (SINCE, day(2)))
    assert wrong(whole(), before) == []
    assert wrong(whole(), after) == ["refused: no such title"]
    assert [each.is_open for each in troubles.of(whole(), (before, after), (), SINCE)] == [False, True]


def test_what_a_person_has_explained_is_over() -> None:
    refused = Incident("association 9", day(2), "refused")
    assert wrong(replace(whole(), statements=(said("trouble"),)), refused) == []


def test_an_outage_is_one_trouble_however_many_images_wait() -> None:
    facts = replace(whole(), images=tuple(image(number, sent=PARKED) for number in (3, 2, 1)))
    assert wrong(facts) == ["3 images wait for a person, at main-pacs: it refuses the class"]


def test_everything_that_goes_wrong_is_named_with_what_to_do() -> None:
    facts = replace(
        whole(),
        calls=(CallSeen("association 2", day(2), FOREIGN, "10.0.0.66"),),
        queries=(QuerySeen("query 2", day(2), status=0xA900), QuerySeen("query 1", day(1), items=(1,))),
        steps=(step(1, begun=day(1), unlinked=1),),
        images=(image(1, sent=(Sent("main-pacs", "delivered", "", "failed", "no such object"),)),),
        commitments=(CommitmentSeen("commitment 1", day(1), is_reported=True, failures=2, reason="lost"),),
    )
    found = troubles.of(facts, (), (Incident("alert 7", day(3), "delivery.parked: x"),), SINCE)
    assert [each.text for each in found] == [
        "it was told that 2 of its images are not kept: lost",
        "main-pacs does not keep 1 of its images: no such object",
        "an exam was started that belongs to no order we know",
        "its title is used from 10.0.0.66, while it was bound to 10.0.0.9",
        "a worklist query failed with A900",
        "delivery.parked: x",
    ]
    assert all(each.is_open and each.to_do for each in found)


def test_a_failed_query_is_over_when_a_later_one_was_answered() -> None:
    facts = replace(whole(), queries=(QuerySeen("query 2", day(2)), QuerySeen("query 1", day(1), status=0xC000)))
    assert wrong(facts) == []


def test_a_failed_verification_ticks_nothing() -> None:
    assert "echo" not in seen(replace(whole(), received=(EchoSeen("echo 1", day(1), failure="refused"),)))
