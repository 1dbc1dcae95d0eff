"""A database of the previous release syncs on with this one.

The databases are what `hubsync sync` of commit f23869f left, the first that had a whole
one; `previous_release/make.py` says how they came about.
"""

from __future__ import annotations

import gzip

import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from tests.extract.conftest import Differences, differences
from tests.run.conftest import Hubsync, query
from tests.run.previous_release import make

__all__ = ["differences"]  # a fixture of another folder, used here too


@pytest.fixture
def portal() -> Portal:
    return make.portal()


@pytest.fixture
def previous(warehouse: Warehouse, portal: Portal, server: Server) -> Warehouse:
    """`warehouse` as the previous release left it."""
    # And its first load of tickets was interrupted: its cursor was an id.
    tickets = sorted(portal.live_ids("tickets"), key=int)
    interrupted = tickets[len(tickets) // 2]
    sql = gzip.decompress((make.HERE / f"{warehouse.target}.sql.gz").read_bytes())
    with warehouse.connect() as connection:
        connection.execute(sql.decode())
        connection.execute(
            "delete from hubspot_raw.tickets where cast(id as bigint) > ?",
            (int(interrupted),),
        )
        connection.execute(
            "update ops.watermarks set phase = 'list', cursor_id = ?, "
            "complete_until = null where object_type = 'tickets'",
            (interrupted,),
        )
    return warehouse


def test_a_database_of_the_previous_release_syncs_on_and_nobody_loses_access_by_it(
    previous: Warehouse,
    portal: Portal,
    server: Server,
    hubsync: Hubsync,
    differences: Differences,
) -> None:
    access = "select customer_id, is_enabled from app.access order by 1"
    before = query(previous, access)
    events = query(previous, "select count(*) from app.access_events")[0][0]
    runs = query(previous, "select run_id from ops.sync_runs")
    enabled = [customer for customer, is_enabled in before if is_enabled]
    assert len(enabled) >= 4
    portal.clock.advance(60)
    portal.update("companies", enabled[0], {"customer_status": "churned"})

    outcome = hubsync("sync")
    assert outcome.code == 0, outcome.err
    assert differences(previous, portal) == []
    assert "Access: LOST 1." in outcome.out
    after = query(previous, access)
    assert after == [(c, e and c != enabled[0]) for c, e in before]
    assert query(previous, "select count(*) from app.access_events") == [(events + 1,)]
    assert set(runs) < set(query(previous, "select run_id from ops.sync_runs"))
    assert sum(server.calls.values()) < 60, "the first load was not repeated"
