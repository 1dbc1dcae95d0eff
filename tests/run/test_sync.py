"""The run end to end, on both engines, over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import Hubsync, app_rows, query

TYPES = (
    "companies",
    "contacts",
    "deals",
    "line_items",
    "products",
    "subscriptions",
    "tickets",
)


def events(warehouse: Warehouse) -> list[tuple[str, bool, str]]:
    """(customer, now enabled, reason) of every access event, oldest first."""
    rows = query(
        warehouse,
        "select customer_id, to_enabled, reason_code from app.access_events "
        "order by event_id",
    )
    return [(str(c), bool(e), str(r)) for c, e, r in rows]


def by_reason(warehouse: Warehouse, reason: str, count: int) -> list[str]:
    """Some customers whose verdict has this reason."""
    rows = query(
        warehouse,
        "select access.customer_id from app.access as access "
        "inner join app.customers as customers "
        "on customers.customer_id = access.customer_id "
        "where access.reason_code = ? and customers.record_state = 'live' "
        "order by access.customer_id limit ?",
        reason,
        count,
    )
    assert len(rows) == count, f"the example has too few customers with {reason}"
    return [str(row[0]) for row in rows]


def test_a_sync_loads_and_publishes_and_an_unchanged_one_touches_nothing(
    warehouse: Warehouse, portal: Portal, server: object, hubsync: Hubsync
) -> None:
    first = hubsync("sync")
    assert first.code == 0, first.err
    assert "gained access" in first.out
    for name in TYPES:
        rows = query(
            warehouse, f"select id from hubspot_raw.{name} where _state = 'live'"
        )
        assert {row[0] for row in rows} == set(portal.live_ids(name)), name
    enabled = query(warehouse, "select count(*) from app.access where is_enabled")
    assert enabled[0][0] > 0
    before = app_rows(warehouse)

    server.calls.clear()  # type: ignore[attr-defined]
    second = hubsync("sync")
    assert second.code == 0, second.err
    assert "Nobody gained or lost access." in second.out
    assert app_rows(warehouse) == before

    calls = server.calls  # type: ignore[attr-defined]
    types = query(warehouse, "select count(*) from hubspot_raw.object_types")[0][0]
    assert calls["search"] <= types
    assert sum(calls.values()) - calls["search"] <= 25
    recorded = query(
        warehouse,
        "select status, exit_code, api_calls, changes from ops.sync_runs "
        "order by started_at",
    )
    assert [row[:2] for row in recorded] == [("done", 0), ("done", 0)]
    assert recorded[1][2:] == (sum(calls.values()), 0)


def test_a_plan_says_what_the_next_sync_does_and_publishes_nothing(
    warehouse: Warehouse, portal: Portal, server: object, hubsync: Hubsync
) -> None:
    assert hubsync("sync").code == 0
    seen = len(events(warehouse))
    untouched = {row[0]: row for row in query(warehouse, "select * from app.customers")}
    moving = by_reason(warehouse, "SUBSCRIPTION_ACTIVE", 4)
    churning, moving = moving[0], moving[1:]
    winning = by_reason(warehouse, "NO_SUBSCRIPTION", 1)[0]
    today = datetime.now(UTC).date().isoformat()
    for company in moving:
        portal.update("companies", company, {"city": "Rotterdam"})
    portal.update("companies", churning, {"customer_status": "churned"})
    deal = portal.create(
        "deals",
        {
            "dealname": "A won deal",
            "pipeline": "default",
            "dealstage": "closedwon",
            "closedate": f"{today}T00:00:00Z",
            "contract_start_date": today,
        },
    )
    portal.associate("deals", deal, "companies", winning)

    before = app_rows(warehouse)
    planned = hubsync("plan", "--json")
    assert planned.code == 0, planned.err
    assert app_rows(warehouse) == before
    plan = json.loads(planned.out)
    assert set(plan) == {"plan_id", "changes"}
    changes = {
        (c["customer_id"], c["reason_code"])
        for c in plan["changes"]
        if c["action"] in ("grant", "revoke")
    }
    assert changes == {
        (churning, "STATUS_CHURNED"),
        (winning, "SUBSCRIPTION_ACTIVE"),
    }
    assert all(not change["held"] for change in plan["changes"])

    synced = hubsync("sync")
    assert synced.code == 0, synced.err
    assert "Access: " in synced.out
    assert set(events(warehouse)[seen:]) == {
        (churning, False, "STATUS_CHURNED"),
        (winning, True, "SUBSCRIPTION_ACTIVE"),
    }
    now = {row[0]: row for row in query(warehouse, "select * from app.customers")}
    touched = {key for key, row in now.items() if row != untouched.get(key)}
    assert set(moving) <= touched <= {*moving, churning, winning}


def test_a_merge_keeps_the_survivor_and_resolves_the_old_id(
    warehouse: Warehouse, portal: Portal, server: object, hubsync: Hubsync
) -> None:
    assert hubsync("sync").code == 0
    winner, loser = by_reason(warehouse, "SUBSCRIPTION_ACTIVE", 2)
    survivor = portal.merge("companies", winner, loser)
    assert hubsync("sync").code == 0
    aliases = query(warehouse, "select alias_id, customer_id from app.customer_aliases")
    assert (loser, survivor) in aliases
    access = query(
        warehouse, "select is_enabled from app.access where customer_id = ?", survivor
    )
    assert access == [(True,)]


def test_json_is_all_that_a_sync_prints(
    duckdb_file: object, server: object, hubsync: Hubsync
) -> None:
    outcome = hubsync("sync", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["api_calls"] == sum(server.calls.values())  # type: ignore[attr-defined]
    assert result["rows_changed"]["companies"] > 0
    assert {"customer_id", "to_enabled", "reason_code"} <= set(result["changes"][0])


def test_a_broken_consistency_test_names_its_rows_and_publishes_nothing(
    warehouse: Warehouse, portal: Portal, server: object, hubsync: Hubsync
) -> None:
    assert hubsync("sync").code == 0
    company = by_reason(warehouse, "SUBSCRIPTION_ACTIVE", 1)[0]
    portal.update("companies", company, {"customer_status": "churned"})
    _inject_duplicate(warehouse, company)
    before = app_rows(warehouse)
    outcome = hubsync("sync")
    assert outcome.code == 4, outcome.err
    assert app_rows(warehouse) == before
    assert "unique_stg_hubspot__companies" in outcome.err
    assert company in outcome.err
    assert "Nothing was published" in outcome.err
    status = query(
        warehouse,
        "select status, exit_code from ops.sync_runs order by started_at desc limit 1",
    )
    assert status == [("inconsistent", 4)]


def _inject_duplicate(warehouse: Warehouse, company: str) -> None:
    """A second raw row of a company, behind the back of the key that forbids it."""
    with warehouse.connect() as connection:
        catalog = (
            "select index_name from duckdb_indexes() where schema_name = 'hubspot_raw' "
            "and table_name = 'companies'"
            if warehouse.target == "duckdb"
            else "select indexname from pg_indexes where schemaname = 'hubspot_raw' "
            "and tablename = 'companies'"
        )
        for (index,) in connection.execute(catalog):
            connection.execute(f'drop index hubspot_raw."{index}"')
        connection.execute(
            "insert into hubspot_raw.companies "
            "select * from hubspot_raw.companies where id = ?",
            (company,),
        )
