"""A morning's messages of a RIS, and an environment that has taken them. Every patient is invented."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.clock import SystemClock
from broker.environments import profile as profiles
from broker.inbox.model import Arrival
from broker.intake import Intake, Taken
from broker.listeners.mllp import acknowledgement
from broker.migrations import open_database
from broker.registry.cache import RegistryCache

ARRIVED = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
_VISIT = "PV1||O|US^2^1|||||77^Weber^Rita|||||||||||V7001^^^HOSP"


def message(number: int, kind: str, *segments: str) -> bytes:
    """Return a message whose MSH-10 is M and the number, in UTF-8."""
    header = f"MSH|^~\\&|RIS|HOSP|BROKER|RAD|2026112205{number:02}00||{kind}|M{number}|T|2.3.1||||||UNICODE UTF-8"
    return "".join(f"{segment}\r" for segment in (header, *segments)).encode()


def pid(number: str, name: str, born: str, sex: str) -> str:
    return f"PID|||{number}^^^HOSP^MR||{name}||{born}|{sex}"


EVA = pid("4711", "Müster^Eva", "19800229", "F")
EVA_BEFORE = pid("9004", "Müster^Eva", "19800229", "F")
MAX = pid("4712", "Beispiel^Max", "19611105", "M")


def order(number: int, control: str, patient: str, key: int, start: str, *, step: str = "S1") -> bytes:
    """Return an ORM^O01 for accession number A<key>."""
    return message(
        number,
        "ORM^O01",
        patient,
        _VISIT,
        f"ORC|{control}|P{key}^HIS|F{key}^RIS||{'CA' if control == 'CA' else 'SC'}||^^^{start}^^R",
        f"OBR|1|P{key}|F{key}|USABD^Abdomen US^L||||||||||||||A{key}|RP{key}|{step}||||US",
    )


def merge(number: int, surviving: str, old: str) -> bytes:
    return message(number, "ADT^A40", f"EVN||2026112205{number:02}00", surviving, f"MRG|{old}^^^HOSP^MR")


def take(raws: Sequence[bytes], env: str = "test") -> list[Taken]:
    """Take messages as the listener of an environment would."""
    profile = profiles.read(profiles.find(env))
    database = open_database(profile)
    clock = SystemClock()
    intake = Intake(profile, database, RegistryCache(database), clock)
    taken = [
        intake.take(raw, Arrival(ARRIVED, "10.1.4.20", 4000), partial(acknowledgement, raw, clock)) for raw in raws
    ]
    database.close()
    return taken


def audited(env: str = "test") -> list[AuditEntry]:
    """Return what the audit has."""
    database = open_database(profiles.read(profiles.find(env)))
    with database.read() as tx:
        found = list(audit.entries(tx))
    database.close()
    return found
