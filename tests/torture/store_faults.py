"""Faults F14 to F27: what can go wrong between us and a PACS, over sockets, and in the spool.

Each case sends images in, lets the PACS misbehave as planned, lets time pass until it is well again, and demands the
invariants of `store_world`.
"""

import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

from broker.dimse import message
from broker.dimse.pdu import Abort, encode_abort
from broker.dimse.service import Rejection
from broker.spool import store as spool_store
from tests.peers.dcmtk import Node
from tests.peers.raw_sender import DataSet, send
from tests.torture.classes import Case, FaultClass
from tests.torture.pacs import Context, Pacs, Plan, Turn, first_syntax
from tests.torture.store_world import World
from tests.unit.spool.datasets import EXPLICIT, IMPLICIT, US_IMAGE, data_set
from tests.wire.dimse import raw_peer


def recovers(plan: Callable[[], Plan], count: int, world: World) -> None:
    """The PACS misbehaves, then is well: everything arrives whole, and twice only where no answer came."""
    world.pacs["pacs"].plan = plan()
    uids = world.take(count)
    world.settle(uids)
    world.demand_invariants(uids)
    world.demand_delivered(uids)


def parks(plan: Callable[[], Plan], count: int, world: World) -> None:
    """The PACS refuses for good: every instance is parked with a reason, told of and kept; what comes later goes on."""
    pacs = world.pacs["pacs"]
    pacs.plan = plan()
    uids = world.take(count)
    world.settle(uids)
    world.demand_invariants(uids)
    world.demand_parked(uids)
    recovers(Plan, 1, world)


# --- F16: associations refused -----------------------------------------------------------------------------------

_REASONS = ((1, 1), (1, 2), (1, 3), (1, 7), (1, 9), (2, 1), (2, 2), (3, 1), (3, 2), (3, 5))  # (source, reason)
_ABORTS = ((0, 0), (2, 0), (2, 1), (2, 2), (2, 4), (2, 5), (2, 6))


def refusals() -> Iterator[Case[World]]:
    """F16: each reason of A-ASSOCIATE-RJ and A-ABORT, and nonsense: the destination's state, nobody is parked."""
    for (source, reason), result, times in product(_REASONS, (1, 2), (1, 4)):
        refused = Rejection(result, source, reason)
        yield _recovering(f"rejected {result}/{source}/{reason}, {times} times", [refused] * times)
    for source, reason in _ABORTS:
        yield _recovering(f"aborted {source}/{reason}", [encode_abort(Abort(source, reason))] * 2)
    for name, answer in (("closed", b""), ("text", b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("cut", b"\2\0\0\0\0\xb8\0")):
        yield _recovering(f"answered by {name}", [answer] * 2)


def _recovering(name: str, associations: Sequence[Rejection | bytes]) -> Case[World]:
    return Case(name, partial(recovers, lambda: Plan(associations=list(associations)), 2))


# --- F17: broken off half way ------------------------------------------------------------------------------------


def half_way() -> Iterator[Case[World]]:
    """F17: the association ends at the k-th of n images, by A-ABORT, FIN or RST."""
    for n in range(1, 11):
        for k in range(n):
            yield _at(f"aborts at {k + 1} of {n}", k, n, Turn(aborts=True))
    for k, reset in product(range(5), (False, True)):
        yield _at(f"ends at {k + 1} of 5 by {'RST' if reset else 'FIN'}", k, 5, Turn(answer_bytes=0, is_reset=reset))


def _at(name: str, k: int, n: int, turn: Turn) -> Case[World]:
    return Case(name, partial(recovers, lambda: Plan(turns=[*[Turn()] * k, turn]), n))


# --- F18: the response is cut ------------------------------------------------------------------------------------


def cut_answers() -> Iterator[Case[World]]:
    """F18: the connection ends at every byte of the response: unknown, so it is sent again."""
    for at in range(_response_length()):
        yield _at(f"response cut at byte {at}", 0, 2, Turn(answer_bytes=at, is_reset=bool(at % 2)))


def _response_length() -> int:
    request = message.decode(message.store_request(1, US_IMAGE, "1.2.826.0.1.7.1"))
    return len(raw_peer.data(1, 3, message.response(request, 0)))


# --- F20: every status -------------------------------------------------------------------------------------------

DONE = (0x0000, 0x0001, 0x0107, 0x0111, 0x0116, 0xB000, 0xB006, 0xB007)
PASSING = (
    *(0x0105, 0x0106, 0x0110, 0x0112, 0x0114, 0x0115, 0x0118, 0x0120, 0x0121, 0x0123, 0x0213),
    *(0xA700, 0xA701, 0xA702, 0xA7FF, 0xFE00, 0xFF00, 0xFFFF, 0x1234),
)
FINAL = (
    *(0x0117, 0x0119, 0x0122, 0x0124, 0x0210, 0x0211, 0x0212, 0xA900, 0xA901, 0xA902, 0xA9FF),
    *(0xC000, 0xC001, 0xC0FF, 0xC123, 0xC700, 0xCFFF),
)


def statuses() -> Iterator[Case[World]]:
    """F20: done, passing and final answers about one image among others."""
    for status in (*DONE, *PASSING):
        yield _at(f"status {status:04X}", 1, 3, Turn(status))
    for status in PASSING:
        yield Case(f"status {status:04X}, 3 times", partial(recovers, lambda s=status: Plan(turns=[Turn(s)] * 3), 2))
    for status in FINAL:
        yield Case(f"status {status:04X}", partial(parks, lambda s=status: Plan(turns=[Turn(s)] * 2), 2))


# --- F22: odd negotiations ---------------------------------------------------------------------------------------


def negotiations() -> Iterator[Case[World]]:
    """F22: no context, another syntax than proposed, any maximum length: no loop, no silent transcoding."""
    for result in range(1, 5):
        yield Case(f"context result {result}", partial(parks, partial(_contexts, lambda _a, s, r=result: (r, s[0])), 2))
    yield Case("another syntax", partial(_other_syntax, lambda _a, _s: (0, IMPLICIT)))
    yield Case("no syntax", partial(_other_syntax, lambda _a, _s: (0, "")))
    for length in (0, 6, 7, 8, 12, 13, 100, 4095, 4096, 16383, 16384, 65536, 2**31, 2**32 - 1):
        yield Case(f"maximum length {length}", partial(recovers, lambda n=length: Plan(maximum_length=n), 2))


def _contexts(context: Context) -> Plan:
    return Plan(context=context)


def _other_syntax(context: Context, world: World) -> None:
    """Nothing is sent in a syntax that nobody proposed; once the PACS negotiates as it should, all arrives."""
    pacs = world.pacs["pacs"]
    before = len(pacs.kept)
    pacs.plan = _contexts(context)
    uids = world.take(2)
    for _ in range(5):
        world.deliver()
        world.clock.advance(700)
    assert len(pacs.kept) == before, "something was sent in a syntax that was not agreed upon"
    pacs.plan = Plan(context=first_syntax)
    parked = [one.id for one in world.deliveries(uids) if one.state.value == "parked"]
    if parked:
        world.demand_parked(uids)
        world.retry(parked)
    world.settle(uids)
    world.demand_delivered(uids)


# --- F23: the network is cut -------------------------------------------------------------------------------------


def cut_requests() -> Iterator[Case[World]]:
    """F23: the connection ends at bytes of what we send, and of what is sent to us."""
    command = len(raw_peer.data(1, 3, message.store_request(1, US_IMAGE, "1.2.826.0.1.7.1")))
    image = len(data_set("1.2.826.0.1.7.1")) + 12
    places = sorted({*range(command + 14), *range(command + 14, command + image, 16), command + image - 1})
    for at in places:
        yield _at(f"PACS gone after {at} bytes", 0, 2, Turn(request_bytes=at, is_reset=bool(at % 2)))
    conversation = len(b"".join(_conversation("1.2.3")))
    for at in sorted({*range(0, conversation - 1, 7), *range(conversation - 20, conversation)}):
        yield Case(f"device gone after {at} bytes", partial(_device_gone, at))


def _conversation(uid: str) -> tuple[bytes, ...]:
    content = data_set(uid)
    context = raw_peer.ProposedContext(1, US_IMAGE, (EXPLICIT,))
    command = message.store_request(1, US_IMAGE, uid)
    return raw_peer.rq((context,)), raw_peer.data(1, 3, command), raw_peer.data(1, 2, content)


def _device_gone(at: int, world: World) -> None:
    """What did not come whole is not kept, owed or sent."""
    uid = world.next_uid()
    whole = b"".join(_conversation(uid))
    with socket.create_connection(("127.0.0.1", world.port), 5) as device:
        device.settimeout(10)
        device.sendall(whole[: min(at, len(whole) - 1)])
        device.shutdown(socket.SHUT_WR)
        while device.recv(65536):
            pass
    assert not world.deliveries([uid]), "half an image is owed"
    recovers(Plan, 1, world)


# --- F24: three destinations -------------------------------------------------------------------------------------

_MOODS: dict[str, Callable[[], Plan]] = {
    "up": Plan,
    "down": lambda: Plan(associations=[b""] * 3),
    "failing": lambda: Plan(turns=[Turn(0xA700)] * 3),
    "slow": lambda: Plan(turns=[Turn(seconds=0.4)] * 2),
}
_ISOLATED = 1.0  # seconds by which one destination may delay another
_SLACK = 1.0  # of a machine that is shared


def combinations() -> Iterator[Case[World]]:
    """F24: three destinations, each up, down, failing or slow: one that is up has everything at once."""
    for moods in product(_MOODS, repeat=3):
        yield Case(", ".join(moods), partial(_together, moods))


def _together(moods: tuple[str, ...], world: World) -> None:
    for mood, pacs in zip(moods, world.pacs.values(), strict=True):
        pacs.plan = _MOODS[mood]()
    uids = world.take(2)
    with ThreadPoolExecutor(len(moods)) as destinations:
        turns = [destinations.submit(world.deliver_to, name) for name in world.pacs]
        deadline = time.monotonic() + _ISOLATED + _SLACK
        waiting = [pacs for mood, pacs in zip(moods, world.pacs.values(), strict=True) if mood == "up"]
        while not all({each.sop_instance_uid for each in pacs.kept} >= set(uids) for pacs in waiting):
            assert time.monotonic() < deadline, "one that is up had to wait for another"
            time.sleep(0.01)
    for turn in turns:
        turn.result()
    world.settle(uids)
    world.demand_invariants(uids)
    world.demand_delivered(uids)


# --- F14: the spool is damaged -----------------------------------------------------------------------------------

_DAMAGES = ("flipped first", "flipped last", "flipped middle", "cut", "emptied", "gone", "another's", "zeroed")


def damages() -> Iterator[Case[World]]:
    """F14: found before anything is sent, parked and told of; the others go on; a resend heals it."""
    for how, number in product(_DAMAGES, range(5)):
        yield Case(f"{how} ({number + 1} of 5)", partial(_damaged, how, number))


def _damaged(how: str, number: int, world: World) -> None:
    """All lie in one segment: what its damage does not touch goes on, and what it touches is never sent."""
    uids = world.take(5)
    world.damage(uids[number], uids[number - 1], how)
    good = world.intact(uids)
    assert uids[number] not in good, "it was not damaged"
    world.settle(uids)
    world.demand_delivered(good)
    bad = [uid for uid in uids if uid not in good]
    assert {one.state.value for one in world.deliveries(bad)} == {"parked"}, "sent although it was damaged"
    assert not {each.sop_instance_uid for each in world.pacs["pacs"].kept} & set(bad)
    for uid in bad:
        item = DataSet(US_IMAGE, uid, EXPLICIT, world.taken[uid])
        assert send(Node(world.port, "BROKER"), "US1", item) == 0
    world.settle(uids)
    missing = set(bad) - {each.sop_instance_uid for each in world.pacs["pacs"].kept}
    assert not missing, "a resend did not heal it"


# --- F27: the same instance again --------------------------------------------------------------------------------


def repeated() -> Iterator[Case[World]]:
    """F27: the same image many times at once, and the same UID with other content."""
    for times in (2, 5, 20, 50):
        yield Case(f"{times} times at once", partial(_same, times))
        yield Case(f"{times} contents of one UID", partial(_other_contents, times))
    for number in range(32):
        yield Case(f"again after delivery ({number + 1})", _after_delivery)


def _same(times: int, world: World) -> None:
    uid = world.next_uid()
    content = world.taken[uid] = data_set(uid)
    assert set(_sent_together(world, [DataSet(US_IMAGE, uid, EXPLICIT, content)] * times)) == {0}
    world.settle([uid])
    world.demand_invariants([uid])
    world.demand_delivered([uid])
    assert [each.sop_instance_uid for each in world.pacs["pacs"].kept].count(uid) == 1, "forwarded more than once"


def _other_contents(times: int, world: World) -> None:
    uid = world.next_uid()
    contents = [data_set(uid, PatientID=f"P{number}".encode()) for number in range(times)]
    assert set(_sent_together(world, [DataSet(US_IMAGE, uid, EXPLICIT, content) for content in contents])) == {0}
    world.settle([uid])
    with world.database.read() as tx:
        versions = spool_store.find_by_sop(tx, uid)
    assert len(versions) == times, "a version was dropped"
    got = {each.content for each in world.pacs["pacs"].kept if each.sop_instance_uid == uid}
    assert got == set(contents), "a version was not forwarded"
    world.forget(uid)


def _after_delivery(world: World) -> None:
    (uid,) = world.take(1)
    world.settle([uid])
    assert _sent_together(world, [DataSet(US_IMAGE, uid, EXPLICIT, world.taken[uid])]) == [0]
    world.settle([uid])
    world.demand_invariants([uid])


def _sent_together(world: World, items: Sequence[DataSet]) -> list[int | None]:
    with ThreadPoolExecutor(len(items)) as devices:
        return list(devices.map(lambda item: send(Node(world.port, "BROKER"), "US1", item), items))


# --- all of them -------------------------------------------------------------------------------------------------


@contextmanager
def world_of(count: int) -> Iterator[World]:
    """Give a product with so many PACS."""
    names = ["pacs", "second", "third"][:count]
    with tempfile.TemporaryDirectory(prefix="broker-store-") as folder:
        world = World(Path(folder), {name: Pacs() for name in names})
        try:
            yield world
        finally:
            world.close()


CLASSES: Sequence[FaultClass[World]] = (
    FaultClass("F14 damaged spool", damages, 40, partial(world_of, 1)),
    FaultClass("F16 associations refused", refusals, 30, partial(world_of, 1)),
    FaultClass("F17 broken off half way", half_way, 60, partial(world_of, 1)),
    FaultClass("F18 responses cut", cut_answers, 100, partial(world_of, 1)),
    FaultClass("F20 statuses", statuses, 45, partial(world_of, 1)),
    FaultClass("F22 negotiations", negotiations, 20, partial(world_of, 1)),
    FaultClass("F23 network cut", cut_requests, 200, partial(world_of, 1)),
    FaultClass("F24 three destinations", combinations, 27, partial(world_of, 3)),
    FaultClass("F27 the same again", repeated, 40, partial(world_of, 1)),
)
