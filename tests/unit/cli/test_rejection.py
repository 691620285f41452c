from collections.abc import Callable
from dataclasses import replace
from typing import Any

from broker.associations import store
from broker.associations.model import Result
from broker.environments import profile as profiles
from broker.migrations import open_database
from tests.conftest import FakeClock
from tests.unit.associations.test_store import association
from tests.unit.cli.conftest import Command


def test_refused_associations_are_listed_newest_first_with_the_nearest_title(
    run: Command, as_json: Callable[..., Any], clock: FakeClock
) -> None:
    database = open_database(profiles.read(profiles.find("test")))
    with database.write("associations") as tx:
        store.add(tx, association(clock))
        for number in range(2):
            clock.advance(1)
            refused = association(clock, Result.REJECTED, "calling AE title not recognized")
            store.add(tx, replace(refused, calling_ae_title=f"us_{number}"))
    database.close()
    rows = as_json("rejection", "list", "--env", "test")
    assert [row["calling"] for row in rows] == ["us_1", "us_0"]
    assert rows[0] | {"id": ""} == {
        "id": "",
        "time": "2026-02-01T08:00:02.000+00:00",
        "calling": "us_1",
        "called": "BROKER",
        "address": "127.0.0.1",
        "reason": "calling AE title not recognized",
        "nearest": "US_2",
    }
    assert [row["calling"] for row in as_json("rejection", "list", "--env", "test", "--limit", 1)] == ["us_1"]
    assert "calling AE title not recognized" in run("rejection", "list", "--env", "test").stdout
