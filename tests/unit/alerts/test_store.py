"""The alert table."""

from broker.alerts import store
from broker.alerts.model import Severity
from broker.database import Database
from tests.conftest import FakeClock


def test_the_same_open_event_about_the_same_subject_is_counted(database: Database, clock: FakeClock) -> None:
    for text in ("first", "second"):
        with database.write("alerts") as tx:
            store.raise_alert(tx, "delivery.parked", "pacs", Severity.WARNING, text, clock.now())
            store.raise_alert(tx, "delivery.parked", "other", Severity.URGENT, text, clock.now())
        clock.advance(60)
    with database.read() as tx:
        alert, other = store.open_alerts(tx)
    assert (alert.count, alert.text, (alert.last - alert.first).seconds) == (2, "second", 60)
    assert (other.subject, other.severity) == ("other", Severity.URGENT)


def test_an_acknowledged_alert_is_closed_and_the_next_is_new(database: Database, clock: FakeClock) -> None:
    with database.write("alerts") as tx:
        store.raise_alert(tx, "delivery.parked", "pacs", Severity.WARNING, "text", clock.now())
        (alert,) = store.open_alerts(tx)
        assert store.acknowledge(tx, alert.id, "person:anna", clock.now())
        assert not store.acknowledge(tx, alert.id, "person:anna", clock.now())
        assert store.open_alerts(tx) == []
        store.raise_alert(tx, "delivery.parked", "pacs", Severity.WARNING, "text", clock.now())
        assert [a.count for a in store.open_alerts(tx)] == [1]
        closed = store.find(tx, alert.id)
    assert closed is not None
    assert (closed.acknowledged, closed.acknowledged_by) == (clock.now(), "person:anna")
