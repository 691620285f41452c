"""What r0008 makes of the stations and names of an earlier version's worklist."""

from sqlalchemy import text

from broker import migrations
from broker.database import METADATA, Database, Transaction
from broker.worklist import store
from broker.worklist.plan import plan
from tests.unit.migrations.test_orders_move import _upgrade_to
from tests.unit.worklist.building import ORDER

_STATION = "INSERT INTO worklist_station (item_id, offered_to, start_date) VALUES (:item_id, :offered_to, :start_date)"
_NAME = "INSERT INTO worklist_name (item_id, folded) VALUES (:item_id, :folded)"


def test_what_found_an_item_before_finds_it_after(database: Database) -> None:
    with database.write("orders") as tx:
        store.replace(tx, 1, plan(ORDER, 1))
    with database.read() as tx:
        places, items = _rows(tx, "worklist_place"), _rows(tx, "worklist_item")
    METADATA.drop_all(database.engine)
    _upgrade_to(database, "0007")
    with database.write("orders") as tx:
        for item in items:
            names = ", ".join(item)
            tx.execute(
                text(f"INSERT INTO worklist_item ({names}) VALUES ({', '.join(f':{name}' for name in item)})"), item
            )
        for place in places:
            tx.execute(text(_STATION), place)
            tx.execute(text(_NAME), place)
    migrations.upgrade(database)
    with database.read() as tx:
        assert _rows(tx, "worklist_place") == places
        assert len(places) == len(ORDER.steps)


def _rows(tx: Transaction, table: str) -> list[dict[str, object]]:
    return [dict(row) for row in tx.execute(text(f"SELECT * FROM {table} ORDER BY 1")).mappings()]
