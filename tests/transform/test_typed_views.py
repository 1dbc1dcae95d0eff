"""The schema `hubspot`: every property typed, whatever someone has typed into it."""

from __future__ import annotations

from tests.transform.conftest import Database, failures
from tests.transform.portal import Portal


def test_every_property_is_typed_commented_and_survives_bad_values(
    database: Database, portal: Portal
) -> None:
    portal.types = {
        ("deals", "amount"): "number",
        ("deals", "closedate"): "datetime",
        ("deals", "contract_end_date"): "date",
        ("deals", "hs_is_closed_won"): "bool",
        ("deals", "pipeline"): "enumeration",
    }
    portal.overflowing = {("deals", "contract_start_date")}
    portal.deal(
        "1",
        amount="12.345",
        closedate="2026-01-05T09:00:00Z",
        contract_end_date="2026-12-31",
        contract_start_date="2026-01-01",
        hs_is_closed_won="true",
    )
    portal.deal("2", amount="x", closedate="x", contract_end_date="2026-02-31")
    database.load(portal)
    for _ in range(2):  # the second time nothing differs
        result = database.dbt("run-operation", "create_hubspot_views")
        assert result.success, failures(result)

    rows = database.run(
        "select id, cast(cast(amount as numeric(18, 3)) as text),"
        " cast(closedate at time zone 'UTC' as text), cast(contract_end_date as text),"
        " contract_start_date, hs_is_closed_won, pipeline"
        " from hubspot.deals order by id"
    )
    assert rows == [
        (
            "1",
            "12.345",
            "2026-01-05 09:00:00",
            "2026-12-31",
            "2026-01-01",
            True,
            "default",
        ),
        ("2", None, None, None, None, None, "default"),
    ]
    comment = (
        "select comment from duckdb_columns() where schema_name = 'hubspot'"
        " and table_name = 'deals' and column_name = 'amount'"
        if database.target == "duckdb"
        else "select col_description('hubspot.deals'::regclass, attnum)"
        " from pg_attribute"
        " where attrelid = 'hubspot.deals'::regclass and attname = 'amount'"
    )
    assert database.run(comment) == [("Amount: HubSpot's amount; it's text.",)]

    portal.properties["deals"].append("brand_new")
    database.load(portal)
    assert database.dbt("run-operation", "create_hubspot_views").success
    assert database.run("select brand_new from hubspot.deals") == [(None,), (None,)]
