"""Whose a recorded fact is, and whether what it was proven for still stands: in both databases."""

from pathlib import Path

import pytest

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.associations.model import Result
from broker.database import Database
from broker.promotion import evidence
from broker.promotion.bearing import Change
from broker.promotion.checks import CHECKS
from broker.promotion.model import CheckState
from broker.promotion.recorded import store as recorded
from broker.promotion.recorded.model import Echo, Way
from tests.conftest import FakeClock
from tests.unit.promotion.world import DOCUMENT, MADE, World


@pytest.fixture
def world(database: Database, clock: FakeClock, tmp_path: Path) -> World:
    return World(database, clock, tmp_path)


def changed(world: World) -> tuple[Change, ...]:
    """What has changed since the newest image."""
    return world.facts().images[0].bearing.changed


def test_the_devices_own_traffic_counts(world: World) -> None:
    world.echo()
    world.query(1)
    world.image()
    found = world.facts()
    assert [found.received[0].counts, found.queries[0].counts, found.images[0].counts] == [True, True, True]
    assert (found.fingerprint.implementation_version_name, found.fingerprint.device_serial_number) == ("STACK_1", "S1")
    assert found.images[0].is_delivered and found.contexts == (("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.1.2.1"),)


def test_another_document_makes_it_stale_and_the_old_one_again_does_not(world: World) -> None:
    world.image()
    world.apply(DOCUMENT + b'location = "ROOM 3"\n')
    assert changed(world) == (Change.REVISION,)
    world.apply(DOCUMENT)
    assert changed(world) == ()


def test_another_binding_makes_it_stale(world: World) -> None:
    world.image()
    world.bind(port=105)
    assert changed(world) == (Change.BINDING,)


def test_another_host_makes_it_stale_and_not_another_devices(world: World) -> None:
    world.image()
    world.bind(host="10.0.0.10")
    bearing = world.facts().images[0].bearing
    assert (bearing.changed, bearing.foreign) == ((Change.BINDING,), "")


def test_another_policy_makes_it_stale(world: World) -> None:
    world.image()
    world.configured(more="[exams]\nquiet_minutes = 3\n")
    assert changed(world) == (Change.POLICY,)


def test_another_mapping_makes_it_stale(world: World) -> None:
    world.image()
    mapping = world.folder / "site.toml"
    mapping.write_text('base = "ihe-swf"\n')
    world.configured(hl7='mapping = "site.toml"')
    assert changed(world) == (Change.MAPPING,)
    mapping.write_text('base = "ihe-swf"\n[tables.modalities]\nSONO = "US"\n')
    world.image()
    assert changed(world) == (Change.MAPPING,), "the file had been edited, and serve had not begun anew"


def test_another_version_of_ours_makes_it_stale(world: World) -> None:
    world.image(software="0.0.1")
    assert changed(world) == (Change.VERSION,)


def test_a_replaced_device_proves_nothing_by_the_old_ones_facts(world: World) -> None:
    world.query(1)
    world.image()
    world.image(attributes=MADE | {"DeviceSerialNumber": "S2"})
    found = world.facts()
    assert [image.bearing.changed for image in found.images] == [(), (Change.DEVICE,)]
    assert found.queries[0].bearing.changed == (Change.DEVICE,), "though nothing in it tells the two apart"
    assert found.fingerprint.device_serial_number == "S2"


def test_new_software_in_the_device_makes_it_stale_at_its_first_call(world: World) -> None:
    world.image()
    world.query(1, implementation_version_name="STACK_2")
    found = world.facts()
    assert (found.images[0].bearing.changed, found.queries[0].counts) == ((Change.DEVICE,), True)


def test_a_laptop_with_the_right_title_at_another_address_earns_nothing(world: World) -> None:
    world.echo(address="10.0.0.66")
    world.query(1, address="10.0.0.66")
    world.image(address="10.0.0.66")
    with world.database.read() as tx:
        results = evidence.evaluate(tx, world.profile, world.device, world.clock.now())
    assert CheckState.PASSED not in {result.state for result in results}
    by_name = {result.check: result for result in results}
    assert by_name["one_device"].state is CheckState.FAILED
    assert "from 10.0.0.66, while it was bound to 10.0.0.9" in by_name["still_image"].text


def test_a_laptop_at_the_devices_own_address_earns_nothing_once_the_device_is_back(world: World) -> None:
    world.image()
    world.image(implementation_class_uid="1.9.9", implementation_version_name="LAPTOP")
    world.image()
    first, laptop, last = world.facts().images[::-1]
    assert (first.counts, last.counts) == (True, True)
    assert laptop.bearing.foreign == "of another device (implementation class uid, implementation version name)"


def test_two_devices_with_one_title_are_told_apart_by_their_serial_numbers(world: World) -> None:
    for serial in ("S1", "S2", "S1"):
        world.image(attributes=MADE | {"DeviceSerialNumber": serial})
    found = world.facts()
    assert [image.counts for image in found.images] == [True, False, True]
    assert "device serial number" in CHECKS["one_device"].judge(found).text


def test_nothing_counts_before_it_is_said_where_the_device_is(world: World) -> None:
    world.bind(host="")
    world.echo()
    found = world.facts()
    assert not found.is_bound and "while it was not bound" in found.received[0].bearing.foreign
    assert CHECKS["one_device"].judge(found).to_do.startswith("say where it is")


def test_an_address_of_ipv4_over_ipv6_is_the_same(world: World) -> None:
    world.echo(address="::ffff:10.0.0.9")
    assert world.facts().received[0].counts


def test_a_host_by_name_is_looked_up(world: World) -> None:
    world.bind(host="localhost")
    world.echo(address="127.0.0.1")
    assert world.facts().received[0].counts


def test_our_own_verification_counts_for_what_was_served_then(world: World) -> None:
    world.echo()
    with world.database.write("promotion") as tx:
        device = world.device
        recorded.add_echo(
            tx, Echo(device.name, world.clock.now(), Way.SENT, "", device.revision, "10.0.0.9", 104, "0.0.1")
        )
    assert world.facts().sent[0].bearing.changed == (Change.VERSION,)


def test_rejections_of_its_address_and_open_alerts_are_trouble_since_its_first_call(world: World) -> None:
    world.call(device="", result=Result.REJECTED, reason="too early to count")
    world.echo()
    world.call(device="", result=Result.REJECTED, reason="its called title is not ours")
    world.call(address="10.0.0.66", device="", result=Result.REJECTED, reason="somebody else")
    with world.database.write("alerts") as tx:
        for subject in ("us-room-2: order 1", "us-room-22"):
            raise_alert(tx, "exam.identity", subject, Severity.URGENT, "it disagrees", world.clock.now())
    found = world.facts().incidents
    assert [one.text for one in found] == ["refused: its called title is not ours", "exam.identity: it disagrees"]
