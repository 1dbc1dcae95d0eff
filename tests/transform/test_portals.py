"""Portals are not alike: other properties, other pipelines, values nobody can read."""

from __future__ import annotations

from tests.transform.conftest import NOW, Database, failures
from tests.transform.portal import Portal

CUSTOM = {
    "customer_status",
    "churn_date",
    "app_access_override",
    "app_access_override_until",
    "app_access_parent",
    "contract_start_date",
    "contract_end_date",
    "hs_sku",
    "hs_status",
    "hs_is_closed_won",
    "hs_is_closed_lost",
    "closedate",
    "amount",
    "hs_merged_object_ids",
}


def test_a_portal_without_custom_properties_has_fewer_signals(
    database: Database, portal: Portal
) -> None:
    for name, properties in portal.properties.items():
        portal.properties[name] = [key for key in properties if key not in CUSTOM]
    portal.company("1")
    portal.put("deals", "d", pipeline="default", dealstage="closedwon")
    portal.link("deals", "d", "companies", "1", type_id=341)
    for missing in ("tickets", "subscriptions", "products"):
        del portal.records[missing]
    database.publish(portal)
    assert database.access() == {"1": (True, "SUBSCRIPTION_ACTIVE")}
    kinds = database.run("select distinct severity, kind from ops.findings")
    assert kinds == [("info", "PROPERTY_NOT_IN_PORTAL")]


def test_an_empty_portal_builds_and_passes_every_test_and_unit_test(
    database: Database, portal: Portal
) -> None:
    portal.pipelines = []
    database.load(portal)
    built = database.dbt("build")
    assert built.success, failures(built)


def test_a_pipeline_nobody_described_grants_when_won_and_asks_for_its_role(
    database: Database, portal: Portal
) -> None:
    portal.pipelines = [
        ("901", "Upsell", "1", "Done", "true", "1.0"),
        ("901", "Upsell", "2", "Dead", "true", "0.0"),
        ("902", "renewals", "3", "Gone", "true", "0.0"),
    ]
    portal.company("won")
    portal.deal("d1", "won", pipeline="901", dealstage="1")
    portal.company("lost")
    portal.deal("d2", "lost", pipeline="901", dealstage="1")
    portal.deal("d3", "lost", pipeline="901", dealstage="2")
    portal.company("not-renewed")
    portal.deal("d4", "not-renewed", pipeline="901", dealstage="1")
    portal.deal("d5", "not-renewed", pipeline="902", dealstage="3")
    database.publish(portal)
    assert database.access() == {
        "won": (True, "SUBSCRIPTION_ACTIVE"),
        "lost": (True, "SUBSCRIPTION_ACTIVE"),
        "not-renewed": (False, "RENEWAL_LOST"),
    }
    asked = database.run(
        "select what_to_do from ops.findings where kind = 'PIPELINE_WITHOUT_ROLE'"
    )
    assert len(asked) == 1
    assert '"Upsell" (901)' in asked[0][0]


def test_a_property_without_a_column_is_read_from_the_overflow(
    database: Database, portal: Portal
) -> None:
    portal.overflowing = {("companies", "customer_status"), ("deals", "dealname")}
    portal.company("1", customer_status="churned")
    portal.deal("d", "1", dealname="O'Brien")
    database.publish(portal)
    assert database.access() == {"1": (False, "STATUS_CHURNED")}
    assert database.run("select name from app.subscriptions") == [("O'Brien",)]


def test_a_value_nobody_can_read_counts_as_absent_and_is_said(
    database: Database, portal: Portal
) -> None:
    bad = {"1": "2024-02-31", "2": "soon", "3": "1e400", "4": "9" * 17}
    for id, value in bad.items():
        portal.company(id, customer_status="active", churn_date=value)
        portal.deal(id, id, contract_end_date=value, amount="12,50", closedate=value)
        portal.put("line_items", id, quantity=value, price="1e14", hs_sku="nothing")
        portal.link("deals", id, "line_items", id, type_id=19)
    portal.put("line_items", "1", quantity="1e14", hs_term_in_months="1e9")
    portal.put("line_items", "1", recurringbillingfrequency="weekly")
    portal.properties["line_items"].append("hs_term_in_months")
    portal.company("5", lifecyclestage="customer", app_access_override="grant")
    database.publish(portal)
    active = (True, "SUBSCRIPTION_ACTIVE")
    never = (False, "NO_SUBSCRIPTION")
    assert database.access() == {**dict.fromkeys(bad, active), "5": never}
    said = database.run(
        "select object_id, what_to_do from ops.findings"
        " where kind = 'UNPARSABLE_VALUE' and severity = 'warning'"
    )
    for id, value in bad.items():
        about = {text.split(" ")[1] for found, text in said if found == id}
        expected = {"churn_date", "contract_end_date", "closedate", "amount"}
        assert about >= expected
        assert any(f'"{value}"' in text for _, text in said)
    assert database.run(
        "select customer_id, hubspot_url from ops.findings"
        " where kind = 'OVERRIDE_WITHOUT_END'"
    ) == [("5", "https://app.hubspot.com/contacts/1234/record/0-2/5")]


# Text, then what it is as number, day, instant and boolean; null when it is none.
READINGS = [
    ("2024-02-29", None, "2024-02-29", "2024-02-29 00:00:00", None),
    ("2023-02-29", None, None, None, None),
    ("1900-02-29", None, None, None, None),
    ("2000-02-29", None, "2000-02-29", "2000-02-29 00:00:00", None),
    ("2024-04-31", None, None, None, None),
    ("2024-13-01", None, None, None, None),
    ("0000-01-01", None, None, None, None),
    ("2024-05-01T23:30:17.250Z", None, "2024-05-01", "2024-05-01 23:30:17.25", None),
    ("2024-05-01T23:30:00-02:00", None, "2024-05-02", "2024-05-02 01:30:00", None),
    ("2024-05-01 10:00", None, "2024-05-01", "2024-05-01 10:00:00", None),
    ("2024-05-01T24:00:00Z", None, None, None, None),
    ("1714521600000", "1714521600000.00", "2024-05-01", "2024-05-01 00:00:00", None),
    ("12.345", "12.35", None, None, None),
    ("-0.5", "-0.50", None, None, None),
    (".5", "0.50", None, None, None),
    ("5.", "5.00", None, None, None),
    ("1.5E3", "1500.00", None, None, None),
    ("1e14", "100000000000000.00", None, None, None),
    ("999999999999999.99", "999999999999999.99", None, None, None),
    ("1e15", None, None, None, None),
    ("1e400", None, None, None, None),
    ("1e-400", None, None, None, None),
    ("9" * 16, None, None, None, None),
    ("1,000", None, None, None, None),
    ("NaN", None, None, None, None),
    ("Infinity", None, None, None, None),
    ("0x10", None, None, None, None),
    ("1_000", None, None, None, None),
    ("--1", None, None, None, None),
    ("true", None, None, None, True),
    ("FALSE", None, None, None, False),
    ("yes", None, None, None, None),
    ("", None, None, None, None),
    (" ", None, None, None, None),
    ("\n5", None, None, None, None),
    ("٣", None, None, None, None),
]


def test_values_are_read_alike_on_both_engines(database: Database) -> None:
    database.run("create schema if not exists hubspot_raw")
    database.run("create table hubspot_raw.readings (position integer, value text)")
    for position, reading in enumerate(READINGS):
        row = (position, reading[0])
        database.run("insert into hubspot_raw.readings values (%s, %s)", row)
    columns = ", ".join(
        f"cast({{{{ as_{kind}('value') }}}} as {type}) as {kind}_read"
        for kind, type in (("number", "text"), ("date", "text"), ("boolean", "boolean"))
    )
    instant = "cast({{ as_timestamp('value') }} at time zone 'UTC' as text)"
    sql = (
        f"select position, {columns}, {instant} as instant_read"
        " from hubspot_raw.readings order by position"
    )
    result = database.dbt(
        "show", "--inline", sql, "--limit", "-1", "--output", "json", now=NOW
    )
    assert result.success, result.exception
    table = result.result.results[0].agate_table
    read = [
        (
            reading[0],
            row["number_read"],
            row["date_read"],
            row["instant_read"],
            row["boolean_read"],
        )
        for reading, row in zip(READINGS, table.rows, strict=True)
    ]
    assert [tuple(map(_plain, row)) for row in read] == READINGS


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    return str(value)
