"""The run end to end, on both engines, over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from tests.run.conftest import ON_DUCKDB, Hubsync, app_rows, query

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


def test_a_first_sync_holds_every_live_record_and_fills_app(
    synced: Warehouse, portal: Portal
) -> None:
    for name in TYPES:
        rows = query(synced, f"select id from hubspot_raw.{name} where _state = 'live'")
        assert {row[0] for row in rows} == set(portal.live_ids(name)), name
    assert query(synced, "select 1 from app.access where is_enabled limit 1")
    assert query(synced, "select 1 from app.access where not is_enabled limit 1")
    count = "select count(*) from {}.companies"
    typed = query(synced, count.format("hubspot"))
    assert typed == query(synced, count.format("hubspot_raw"))
    assert len(events(synced)) == query(synced, "select count(*) from app.access")[0][0]


def test_an_unchanged_sync_is_cheap_and_touches_nothing(
    synced: Warehouse, server: Server, hubsync: Hubsync
) -> None:
    before = app_rows(synced)
    outcome = hubsync("sync")
    assert outcome.code == 0, outcome.err
    assert "Nobody gained or lost access." in outcome.out
    assert "none touched" in outcome.out
    assert app_rows(synced) == before

    types = query(synced, "select count(*) from hubspot_raw.object_types")[0][0]
    assert server.calls["search"] <= types
    assert sum(server.calls.values()) - server.calls["search"] <= 25
    runs = query(
        synced,
        "select status, exit_code, api_calls, changes from ops.sync_runs "
        "order by started_at",
    )
    assert [run[:2] for run in runs] == [("done", 0), ("done", 0)]
    assert runs[1][2:] == (sum(server.calls.values()), 0)


def test_a_plan_says_what_the_next_sync_does_and_publishes_nothing(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    seen = len(events(synced))
    before = {row[0]: row for row in query(synced, "select * from app.customers")}
    churning, survivor, merged, *moving = by_reason(synced, "SUBSCRIPTION_ACTIVE", 6)
    (winning,) = by_reason(synced, "NO_SUBSCRIPTION", 1)
    today = datetime.now(UTC).date().isoformat()
    for company in moving:
        portal.update("companies", company, {"city": "Rotterdam"})
    portal.update("companies", churning, {"customer_status": "churned"})
    portal.merge("companies", survivor, merged)
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
    expected = {
        (churning, False, "STATUS_CHURNED"),
        (winning, True, "SUBSCRIPTION_ACTIVE"),
    }

    published = app_rows(synced)
    outcome = hubsync("plan", "--json")
    assert outcome.code == 0, outcome.err
    assert app_rows(synced) == published
    plan = json.loads(outcome.out)
    assert set(plan) == {"plan_id", "changes", "losses"}
    assert {
        (change["customer_id"], change["action"] == "grant", change["reason_code"])
        for change in plan["changes"]
        if change["action"] in ("grant", "revoke")
    } == expected
    assert {change["held"] for change in plan["changes"]} == {False}
    planned = {change["customer_id"] for change in plan["changes"]}

    outcome = hubsync("sync")
    assert outcome.code == 0, outcome.err
    assert "Access: LOST 1, gained 1" in outcome.out
    assert {
        event for event in events(synced)[seen:] if event[0] != survivor
    } == expected
    after = {row[0]: row for row in query(synced, "select * from app.customers")}
    touched = {key for key, row in after.items() if row != before.get(key)}
    assert {*moving, survivor, merged} <= touched <= planned
    aliases = query(synced, "select alias_id, customer_id from app.customer_aliases")
    assert (merged, survivor) in aliases
    still = query(
        synced, "select is_enabled from app.access where customer_id = ?", survivor
    )
    assert still == [(True,)]


@ON_DUCKDB
def test_json_is_all_that_a_sync_prints(
    synced: Warehouse, portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    (company,) = by_reason(synced, "SUBSCRIPTION_ACTIVE", 1)
    portal.update("companies", company, {"customer_status": "churned"})
    outcome = hubsync("sync", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    result = json.loads(outcome.out)
    assert result["api_calls"] == sum(server.calls.values())
    assert result["rows_changed"] == {"companies": 1}
    assert result["app_rows_changed"]["access"] == 1
    (change,) = result["changes"]
    assert change["customer_id"] == company
    assert change["evidence"]["property"] == "customer_status"
    assert change["evidence"]["value"] == "churned"


def test_a_broken_consistency_test_names_its_rows_and_publishes_nothing(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    (company,) = by_reason(synced, "SUBSCRIPTION_ACTIVE", 1)
    portal.update("companies", company, {"customer_status": "churned"})
    _inject_duplicate(synced, company)
    before = app_rows(synced)
    outcome = hubsync("sync")
    assert outcome.code == 4, outcome.err
    assert app_rows(synced) == before
    assert "primary_key_stg_hubspot__companies" in outcome.err
    assert company in outcome.err
    assert "Nothing was published" in outcome.err
    status = query(
        synced,
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
