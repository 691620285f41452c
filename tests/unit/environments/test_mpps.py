from pathlib import Path

import pytest

from broker.environments.model import MppsSettings, World
from broker.environments.mpps import read_mpps
from broker.environments.reading import parse
from broker.errors import Misconfigured

ONE = """
[mpps]
stale_hours = 48
[[mpps.destinations]]
name = "ris"
host = "127.0.0.1"
port = 104
ae_title = "RIS_MPPS"
calling = "device"
"""


def settings(text: str, kind: World = World.TEST) -> MppsSettings:
    root = parse(text.encode(), "test.toml")
    found = read_mpps(root, kind, Path("/profiles/test.toml"))
    root.finish()
    root.mistakes.stop()
    return found


def test_without_the_table_nothing_is_passed_on() -> None:
    assert settings("") == MppsSettings()


def test_a_destination_is_a_dicom_node_with_a_way_of_calling_itself() -> None:
    found = settings(ONE)
    (destination,) = found.destinations
    assert (destination.name, destination.port, destination.ae_title) == ("ris", 104, "RIS_MPPS")
    assert (destination.calling, destination.world, found.stale_hours) == ("device", World.TEST, 48)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (ONE.replace("48", "0"), "mpps.stale_hours"),
        (ONE.replace("port = 104", "port = 0"), "mpps.destinations.ris.port"),
        (ONE.replace('"RIS_MPPS"', '"RIS_MPPS_RIS_MPPS"'), "mpps.destinations.ris.ae_title"),
        (ONE + 'world = "production"\n', "production world in a test profile"),
        (ONE + 'path = "x"\n', "mpps.destinations.ris.path"),
        (ONE + ONE[ONE.index("[[") :], "two destinations 'ris'"),
    ],
)
def test_a_mistake_is_named(wrong: str, said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        settings(wrong)
    assert said in str(caught.value)
