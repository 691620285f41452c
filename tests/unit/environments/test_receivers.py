"""The receivers of a profile: defaults, and each mistake by its key."""

from pathlib import Path

import pytest

from broker.environments.model import CallTls, OrderEvent, OrderMessage, Receiver, World
from broker.environments.reading import parse
from broker.environments.receivers import CHARACTER_SETS, read_receivers
from broker.errors import Misconfigured
from hl7.encoding import codecs_of, encode

SMALL = '[[receivers]]\nname = "ris"\nhost = "10.0.0.9"\nport = 2575\n'
FILE = Path("/profiles/test.toml")


def read(text: str, kind: World | None = World.TEST) -> tuple[Receiver, ...]:
    root = parse(text.encode(), "test.toml")
    receivers = read_receivers(root, kind, FILE)
    root.finish()
    root.mistakes.stop()
    return receivers


def test_profile_without_receivers_tells_nobody() -> None:
    assert read("") == ()


def test_small_receiver_gets_every_event_in_the_profile_s_world() -> None:
    (receiver,) = read(SMALL)
    assert receiver == Receiver("ris", "10.0.0.9", 2575, World.TEST)
    assert set(OrderEvent) - set(receiver.events) == {OrderEvent.SCHEDULED_AGAIN}
    assert read(SMALL, World.PRODUCTION)[0].world is World.PRODUCTION


def test_every_key_is_read() -> None:
    (receiver,) = read(
        SMALL + 'world = "test"\nmessage = "OMG"\nevents = ["completed", "started"]\n'
        'receiving_application = "RIS"\nreceiving_facility = "HOSP"\nsending_application = "B"\n'
        'sending_facility = "RAD"\nversion = "2.4"\ncharacter_set = "8859/1"\ntimeout_seconds = 5\nquiet_seconds = 0\n'
        'tls = { trusted = "ca.pem", checks_host = false }\n'
    )
    assert (receiver.message, receiver.version) == (OrderMessage.OMG, "2.4")
    assert receiver.events == (OrderEvent.COMPLETED, OrderEvent.STARTED)
    assert (receiver.receiving_application, receiver.receiving_facility) == ("RIS", "HOSP")
    assert (receiver.sending_application, receiver.sending_facility) == ("B", "RAD")
    assert (receiver.character_set, receiver.timeout_seconds, receiver.quiet_seconds) == ("8859/1", 5, 0)
    assert receiver.tls == CallTls(None, None, Path("/profiles/ca.pem"), checks_host=False)


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ("prt = 3", "prt: unknown key: did you mean 'port'?"),
        ("tsl = {}", "tsl: unknown key: did you mean 'tls'?"),
        ('world = "production"', "world: a receiver of the production world in a test profile"),
        ('message = "ORR"', "message: 'ORR' is none of"),
        ('events = ["begun"]', "events: 'begun' is none of"),
        ("events = []", "events: the receiver would be told nothing"),
        ('events = "started"', "events: must be a list of texts, is a text"),
        ('version = "2.9"', "version: '2.9' is none of"),
        ('message = "OMG"\nversion = "2.3.1"', "version: '2.3.1' is none of '2.4', '2.5', '2.5.1'"),
        ('character_set = "UTF-16"', "character_set: 'UTF-16' is none of"),
        ("timeout_seconds = 0", "timeout_seconds: 0 is not between 1 and 600"),
        ("quiet_seconds = -1", "quiet_seconds: -1 is not between 0 and 86400"),
        (f'sending_facility = "{"x" * 181}"', "sending_facility: has more than 180 characters"),
        ("tls = true", "tls: must be a table, is true or false"),
        ('tls = { key = "k" }', "tls.certificate: is missing: key is there"),
        (SMALL, "name: there are two receivers 'ris'"),
    ],
)
def test_mistake_is_named_by_its_key(more: str, mistake: str) -> None:
    with pytest.raises(Misconfigured) as error:
        read(f"{SMALL}{more}\n")
    assert f"test.toml: receivers.ris.{mistake}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[[receivers]]\nport = 1\nhost = 'h'\n", "receivers.#1.name: is missing"),
        ("[[receivers]]\nname = 'a b'\nport = 1\nhost = 'h'\n", "name: 'a b' must be 1 to 64 letters"),
        ("[[receivers]]\nname = 'a'\nport = 0\nhost = 'h'\n", "receivers.a.port: 0 is not between 1 and 65535"),
        ("[[receivers]]\nname = 'a'\nport = 1\n", "receivers.a.host: is missing"),
    ],
)
def test_what_is_needed_is_asked_for(text: str, mistake: str) -> None:
    with pytest.raises(Misconfigured) as error:
        read(text)
    assert mistake in str(error.value)


def test_world_of_a_receiver_is_not_measured_against_a_kind_that_is_wrong() -> None:
    assert read(SMALL + 'world = "production"\n', None)[0].world is World.PRODUCTION


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_every_set_that_may_be_named_can_be_written_and_read(name: str) -> None:
    assert encode("Muster", name) == b"Muster"
    assert codecs_of(name, "~", ())
