"""Every service between our requestor and our acceptor."""

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from broker import failpoints
from broker.dimse import contexts
from broker.dimse.items import Role
from broker.dimse.limits import Limits
from broker.dimse.message import CommandField, Element
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import (
    Altered,
    AssociationRefused,
    ContextRefused,
    FindAnswer,
    NormalizedAnswer,
    NormalizedRequest,
    OutgoingInstance,
    Peer,
    Rejection,
    Unreadable,
)
from broker.errors import Rejected, Unavailable
from tests.peers.processes import wait_for
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import QUICK, Serve
from tests.wire.dimse.raw_peer import EXPLICIT, IMPLICIT, ULTRASOUND, VERIFICATION, WORKLIST, RawPeer, data
from tests.wire.dimse.test_bad_input import DATA, FIND, STORE, command

WANTED = [
    (VERIFICATION, IMPLICIT),
    (WORKLIST, IMPLICIT),
    (ULTRASOUND, EXPLICIT),
    (contexts.STORAGE_COMMITMENT_PUSH, IMPLICIT),
]


def peer(port: int) -> Peer:
    return Peer("127.0.0.1", port, "BROKER", "DEVICE")


def outgoing(path: Path, offset: int = 0, length: int | None = None) -> OutgoingInstance:
    size = path.stat().st_size - offset if length is None else length
    return OutgoingInstance(ULTRASOUND, "1.2.3", EXPLICIT, str(path), offset, size)


@pytest.mark.parametrize("maximum", [0, 64, 8193, 131072])
@pytest.mark.parametrize(("offset", "length"), [(0, 0), (1, 1), (128, 4097), (0, 300_000)])
def test_stored_bytes_are_those_sent_whatever_the_lengths(
    serve: Serve, image: Path, maximum: int, offset: int, length: int
) -> None:
    port, provider = serve(Limits(maximum_length=maximum or 131072))
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        for _ in range(2):
            assert association.store(outgoing(image, offset, length)).status == 0
    expected = image.read_bytes()[offset : offset + length]
    assert [content for _, content in provider.stored] == [expected, expected]
    request = provider.stored[0][0]
    assert (request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax) == (ULTRASOUND, "1.2.3", EXPLICIT)


def test_end_is_noted_once_and_facts_are_those_of_the_request(serve: Serve) -> None:
    port, provider = serve()
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        assert association.echo() == 0
    assert provider.ended_one.acquire(timeout=2)
    assert provider.ends == [(True, "")]
    request = provider.requests[0]
    assert (request.calling_ae_title, request.called_ae_title, request.address) == ("DEVICE", "BROKER", "127.0.0.1")
    assert len(provider.associations[0].id) == 26
    assert [context.abstract_syntax for context in provider.associations[0].contexts] == [pair[0] for pair in WANTED]


def test_rejection_reaches_the_caller_in_words(serve: Serve) -> None:
    port, provider = serve()
    provider.rejection = Rejection(1, 1, 3)
    refused = pytest.raises(AssociationRefused, match="does not know our title DEVICE")
    with refused as caught, EngineRequestor(QUICK).associate(peer(port), WANTED):
        pass
    assert caught.value.rejection == Rejection(1, 1, 3)


def test_context_that_was_refused_is_told_with_its_result(serve: Serve, image: Path) -> None:
    port, _ = serve()
    wanted = [*WANTED, (ULTRASOUND, "1.2.3.4")]
    with EngineRequestor(QUICK).associate(peer(port), wanted) as association:
        with pytest.raises(ContextRefused) as caught:
            association.store(OutgoingInstance(ULTRASOUND, "1.2", "1.2.3.4", str(image), 0, 10))
        assert caught.value.result == 4
        assert association.store(outgoing(image)).status == 0


@pytest.mark.parametrize(
    ("error", "status"), [(Rejected("not this one"), 0xC000), (Unavailable("the disk is full"), 0xA700)]
)
def test_errors_of_ours_are_statuses_and_the_rest_of_the_data_is_drained(
    serve: Serve, image: Path, error: Exception, status: int
) -> None:
    port, provider = serve()
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        provider.error = error
        answer = association.store(outgoing(image))
        assert (answer.status, answer.error_comment) == (status, str(error))
        provider.error = None
        assert association.store(outgoing(image)).status == 0


def hashed(path: Path) -> OutgoingInstance:
    """Return all of a file, to be compared with what it holds now."""
    return replace(outgoing(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_follows_is_read_ahead_and_leaves_in_its_turn(serve: Serve, tmp_path: Path) -> None:
    port, provider = serve()
    paths = [tmp_path / str(number) for number in range(4)]
    for path, length in zip(paths, (10, 3 * 2**20, 2**20, 0), strict=True):
        path.write_bytes(os.urandom(length))
    instances = [hashed(path) for path in paths]
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        for instance, following in zip(instances, [*instances[1:], None], strict=True):
            assert association.store(instance, following).status == 0
            assert association.is_idle
    assert [content for _, content in provider.stored] == [path.read_bytes() for path in paths]


def test_what_was_read_ahead_and_is_not_wanted_is_forgotten(serve: Serve, image: Path, tmp_path: Path) -> None:
    port, provider = serve()
    other = tmp_path / "other"
    other.write_bytes(bytes(3 * 2**20))
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        assert association.store(hashed(image), hashed(other)).status == 0
        assert association.echo() == 0
        assert association.store(hashed(image), hashed(other)).status == 0
    assert [content for _, content in provider.stored] == [image.read_bytes()] * 2


@pytest.mark.parametrize("is_ahead", [True, False])
def test_what_is_altered_and_fits_one_round_is_not_begun(serve: Serve, image: Path, is_ahead: bool) -> None:
    port, provider = serve()
    good, bad = hashed(image), replace(hashed(image), sha256="0" * 64)
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        assert association.store(good, bad if is_ahead else None).status == 0
        with pytest.raises(Altered) as raised:
            association.store(bad, good)
        assert not raised.value.has_begun
        assert association.is_idle
        assert association.store(good).status == 0
    assert [content for _, content in provider.stored] == [image.read_bytes()] * 2


def test_an_altered_data_set_that_was_begun_ends_with_an_abort(serve: Serve, tmp_path: Path) -> None:
    port, provider = serve()
    path = tmp_path / "loop"
    path.write_bytes(bytes(3 * 2**20))
    bad = replace(hashed(path), sha256="0" * 64)
    with pytest.raises(Altered) as raised, EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        association.store(bad)
    assert raised.value.has_begun
    assert provider.ended_one.acquire(timeout=2)
    assert not provider.ends[0][0]  # it was not released
    assert provider.stored == []


@pytest.mark.parametrize("is_ahead", [True, False])
def test_a_file_that_is_gone_is_altered(serve: Serve, image: Path, tmp_path: Path, is_ahead: bool) -> None:
    port, _ = serve()
    gone = OutgoingInstance(ULTRASOUND, "1.2.3", EXPLICIT, str(tmp_path / "gone"), 0, 10)
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        association.store(hashed(image), gone if is_ahead else None)
        with pytest.raises(Altered):
            association.store(gone)
        assert association.store(hashed(image)).status == 0


def test_a_file_that_cannot_be_read_is_the_disk_s_fault(serve: Serve, tmp_path: Path) -> None:
    port, _ = serve()
    folder = OutgoingInstance(ULTRASOUND, "1.2.3", EXPLICIT, str(tmp_path), 0, 10)
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association, pytest.raises(Unreadable):
        association.store(folder)


def test_unknown_error_of_ours_aborts_one_association_and_no_other(serve: Serve) -> None:
    port, provider = serve()
    with RawPeer.associated(port) as other, RawPeer.associated(port) as raw:
        provider.error = RuntimeError("secret")
        raw.send(raw_peer.echo())
        assert raw.read()[0] == 7
        provider.error = None
        other.send(raw_peer.echo())
        assert other.response().field == 0x8030
        assert provider.ended_one.acquire(timeout=2)
    assert provider.ends[0] == (False, "an error of ours")


def test_early_return_of_the_provider_leaves_nothing_unread(serve: Serve, image: Path) -> None:
    port, provider = serve()
    provider.read_pieces = 1
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        assert association.store(outgoing(image)).status == 0
        assert association.echo() == 0


def test_data_set_beyond_the_limit_is_answered_and_aborted(serve: Serve, image: Path) -> None:
    port, _ = serve(Limits(instance=1000, artim=1))
    with RawPeer.associated(port) as raw:
        raw.send(data(5, 3, command(**STORE, **DATA)), data(5, 0, bytes(2000)))
        assert raw.response().number(Element.STATUS) == 0xA700
        assert raw.read()[0] == 7


def test_answers_arrive_in_order_and_whole(serve: Serve) -> None:
    port, provider = serve()
    identifiers = [bytes((n % 256,)) * (n * 7) for n in range(1, 501)]
    provider.find_answers = [*(FindAnswer(0xFF00, each) for each in identifiers), FindAnswer(0x0000)]
    for maximum in (64, 131072):
        limits = Limits(maximum_length=maximum)
        with EngineRequestor(limits).associate(peer(port), WANTED) as association:
            answers = list(association.find(WORKLIST, IMPLICIT, b"key"))
        assert [answer.identifier for answer in answers] == [*identifiers, None]
        assert answers[-1].status == 0
    assert provider.found[0].identifier == b"key"


def test_cancel_ends_the_answers(serve: Serve) -> None:
    port, provider = serve()
    provider.find_answers = (FindAnswer(0xFF00, bytes(1000)) for _ in range(1_000_000))
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        statuses = []
        for answer in association.find(WORKLIST, IMPLICIT, b"key"):
            if not statuses:
                association.cancel()
            statuses.append(answer.status)
        assert statuses[-1] == 0xFE00
        association.cancel()  # too late, and without effect
        assert association.echo() == 0


def test_cancel_is_seen_even_if_the_provider_does_not_look(serve: Serve) -> None:
    port, provider = serve()
    provider.find = lambda association, request: (FindAnswer(0xFF00, bytes(5000)) for _ in range(1_000_000))  # type: ignore[method-assign]
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        answers = association.find(WORKLIST, IMPLICIT, b"key")
        next(answers)
        association.cancel()
        assert [answer.status for answer in answers][-1] == 0xFE00


def test_find_errors_of_ours_are_final_answers(serve: Serve) -> None:
    port, provider = serve()
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        for error, status in ((Rejected("bad key"), 0xC000), (Unavailable("busy"), 0xA700)):
            provider.error = error
            assert [answer.status for answer in association.find(WORKLIST, IMPLICIT, b"")] == [status]


def test_what_a_query_leaves_is_settled_before_its_release_is_answered(serve: Serve) -> None:
    port, provider = serve()
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        list(association.find(WORKLIST, IMPLICIT, b"key"))
    assert provider.settled == [True]
    assert provider.ended_one.acquire(timeout=2)
    assert provider.ends == [(True, "")]


def test_what_a_query_leaves_is_settled_before_the_next_message_is_answered(serve: Serve) -> None:
    port, provider = serve()
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        for settled in ([], [False]):
            list(association.find(WORKLIST, IMPLICIT, b"key"))
            assert provider.settled[: len(settled)] == settled
        assert association.echo() == 0
        assert provider.settled == [False, False]
    assert provider.settled == [False, False], "an echo leaves nothing"


def test_what_a_query_leaves_is_settled_once_its_peer_is_silent(serve: Serve) -> None:
    port, provider = serve()
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        list(association.find(WORKLIST, IMPLICIT, b"key"))
        wait_for("it is settled", lambda: provider.settled == [False])
    assert provider.settled == [False]


def test_a_query_that_cannot_be_settled_is_released_all_the_same(serve: Serve) -> None:
    port, provider = serve()

    def unavailable(*_: object) -> None:
        raise Unavailable("busy")

    provider.settle = unavailable  # type: ignore[method-assign]
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        list(association.find(WORKLIST, IMPLICIT, b"key"))
    assert provider.ended_one.acquire(timeout=2)
    assert provider.ends == [(True, "")], "the end tries again"


def test_who_says_something_behind_its_release_is_aborted_though_it_was_settled(serve: Serve) -> None:
    port, provider = serve()
    with RawPeer.associated(port) as raw:
        raw.send(data(3, 3, command(**FIND, **DATA)), data(3, 2, b""))
        assert raw.response().number(Element.STATUS) == 0
        raw.send(raw_peer.RELEASE_REQUEST, data(3, 3, command(**FIND, **DATA)))
        assert raw.read()[0] == 7
    assert provider.ended_one.acquire(timeout=3)
    assert provider.settled == [True]
    assert provider.ends[0][0] is False, "the end says what became of it"


def test_abort_in_mid_answer_is_a_normal_end(serve: Serve) -> None:
    port, provider = serve()
    provider.find_answers = (FindAnswer(0xFF00, bytes(1000)) for _ in range(1_000_000))
    with RawPeer.associated(port) as raw:
        raw.send(data(3, 3, command(**FIND, **DATA)), data(3, 2, b""))
        raw.read()
        raw.send(raw_peer.ABORT)
        while raw.read()[0] == 4:
            pass
    assert provider.ended_one.acquire(timeout=3)
    assert provider.ends[0][0] is False


@pytest.mark.parametrize(
    "field",
    [
        CommandField.N_CREATE_RQ,
        CommandField.N_SET_RQ,
        CommandField.N_GET_RQ,
        CommandField.N_ACTION_RQ,
        CommandField.N_EVENT_REPORT_RQ,
        CommandField.N_DELETE_RQ,
    ],
)
def test_normalized_requests_reach_the_provider_and_their_answers_return(serve: Serve, field: CommandField) -> None:
    port, provider = serve()
    provider.normalized_answer = NormalizedAnswer(0x0000, b"result", error_comment="fine")
    roles = [Role(contexts.STORAGE_COMMITMENT_PUSH, scu=False, scp=True)]
    asked = NormalizedRequest(
        field,
        contexts.STORAGE_COMMITMENT_PUSH,
        "1.2.840.10008.1.20.1.1",
        type_id=1,
        attributes=(0x00080016, 0x7FE00010),
        data_set=b"data",
    )
    with EngineRequestor(QUICK).associate(peer(port), WANTED, roles) as association:
        answer = association.request(asked)
    assert (answer.status, answer.data_set, answer.error_comment) == (0, b"result", "fine")
    seen = provider.normalizeds[0]
    assert (seen.command, seen.sop_instance_uid, seen.type_id) == (field, asked.sop_instance_uid, 1)
    assert (seen.attributes, seen.data_set, seen.transfer_syntax) == (asked.attributes, b"data", IMPLICIT)


@pytest.mark.parametrize(("error", "status"), [(Rejected("no"), 0x0110), (Unavailable("no"), 0x0213)])
def test_normalized_errors_have_their_own_statuses(serve: Serve, error: Exception, status: int) -> None:
    port, provider = serve()
    provider.error = error
    with EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        asked = NormalizedRequest(CommandField.N_ACTION_RQ, contexts.STORAGE_COMMITMENT_PUSH, "1.2", type_id=1)
        assert association.request(asked).status == status


def test_file_that_is_too_short_is_our_failure_and_aborts(serve: Serve, image: Path) -> None:
    port, provider = serve()
    too_short = pytest.raises(Altered, match="ends before")
    with too_short, EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
        association.store(outgoing(image, length=400_000))
    assert provider.ended_one.acquire(timeout=2)
    assert provider.stored == []


def test_cut_before_the_answer_leaves_the_outcome_unknown(
    serve: Serve, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, provider = serve()
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL", "store.answer.before:1:cut")
    failpoints.arm_from_environment()
    try:
        with pytest.raises(Unavailable), EngineRequestor(QUICK).associate(peer(port), WANTED) as association:
            association.store(outgoing(image))
    finally:
        failpoints.disarm()
    assert len(provider.stored) == 1


def test_a_sender_with_nagles_algorithm_waits_for_no_delayed_acknowledgement(serve: Serve) -> None:
    port, provider = serve()
    request, content = data(5, 3, command(**STORE, **DATA)), data(5, 2, bytes(3000))
    seconds = []
    with RawPeer.associated(port) as sender:  # TCP_NODELAY is off, as most consoles have it
        for _ in range(9):
            begun = time.monotonic()
            # As DCMTK writes: each header by itself, which makes three small segments that wait for each other.
            for piece in (request[:12], request[12:], content[:12], content[12:]):
                sender.send(piece)
            assert sender.response().number(Element.STATUS) == 0
            seconds.append(time.monotonic() - begun)
    assert len(provider.stored) == 9
    assert sorted(seconds)[2] < 0.035  # a delayed acknowledgement takes 40 ms at least; others may use the machine
