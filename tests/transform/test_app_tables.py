"""HubSpot's records in, the app's tables out, on each engine."""

from __future__ import annotations

import json
from typing import Any

from tests.transform.conftest import Database
from tests.transform.portal import Portal

APP_TABLES = (
    "customers",
    "customer_aliases",
    "contacts",
    "memberships",
    "subscriptions",
    "access",
    "access_events",
)


def believable(portal: Portal) -> None:
    """Two customers with people, a plan, a grace and an end."""
    portal.owners = [
        {"id": "7", "email": "ann@example.com", "first_name": "Ann", "archived": False}
    ]
    portal.company("1", name="Acme", domain="acme.com", hubspot_owner_id="7")
    portal.company("2", lifecyclestage="customer")
    portal.contact("11", "1", firstname="Zoë", lastname="O'Neil")
    portal.contact("12", "1")
    portal.link("contacts", "12", "companies", "1", type_id=1)
    portal.link("contacts", "12", "companies", "2")
    portal.deal(
        "21",
        "1",
        amount="1200",
        deal_currency_code="USD",
        contract_end_date="2026-12-31",
    )
    portal.put(
        "line_items",
        "31",
        hs_sku="team",
        quantity="5",
        price="20",
        recurringbillingfrequency="monthly",
    )
    portal.link("deals", "21", "line_items", "31", type_id=19)


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of app; on PostgreSQL with the transaction that last wrote it."""
    hidden = ", xmin::text" if database.target == "postgres" else ""
    return {
        table: sorted(
            database.run(f"select *{hidden} from app.{table}"), key=lambda row: str(row)
        )
        for table in APP_TABLES
    }


def test_customers_contacts_and_subscriptions_arrive_complete(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal)

    assert database.run(
        "select customer_id, name, domain, owner_name, owner_email, record_state,"
        " hubspot_url from app.customers where customer_id = '1'"
    ) == [
        (
            "1",
            "Acme",
            "acme.com",
            "Ann",
            "ann@example.com",
            "live",
            "https://app.hubspot.com/contacts/1234/record/0-2/1",
        )
    ]
    assert database.run(
        "select contact_id, first_name, last_name from app.contacts order by 1"
    ) == [("11", "Zoë", "O'Neil"), ("12", None, None)]
    assert database.run("select * from app.memberships order by 1, 2") == [
        ("11", "1", False, None),
        ("12", "1", True, None),
        ("12", "2", False, None),
    ]
    assert database.run(
        "select subscription_id, customer_id, source, plan_code, status,"
        " cast(starts_on as text), cast(ends_on as text), cast(quantity as text),"
        " cast(amount as text), currency, cast(mrr as text) from app.subscriptions"
    ) == [
        (
            "deal:21",
            "1",
            "deal",
            "TEAM",
            "active",
            "2026-01-05",
            "2026-12-31",
            "5.00",
            "1200.00",
            "USD",
            "100.00",
        )
    ]
    assert database.access("access_level", "is_enabled") == {
        "1": ("team", True),
        "2": ("none", False),
    }


def test_an_unchanged_portal_touches_no_row_although_time_passes(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    portal.company("3", customer_status="churned")
    portal.deal("23", "3")
    portal.company("4")
    portal.put("subscriptions", "24", hs_status="past_due")
    portal.link("subscriptions", "24", "companies", "4")
    database.publish(portal, now="2026-01-15T12:00:00Z")
    before = contents(database)
    database.publish(now="2026-01-16T12:00:00Z")
    assert contents(database) == before


def test_only_the_rows_that_differ_are_written(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal)
    before = contents(database)
    portal.company("1", name="Acme Ltd")
    database.publish(portal, now="2026-06-16T12:00:00Z")
    after = contents(database)
    changed = {
        table: len(set(map(str, after[table])) - set(map(str, before[table])))
        for table in APP_TABLES
    }
    assert changed == {table: int(table == "customers") for table in APP_TABLES}


def test_every_change_of_access_has_one_event_with_its_evidence(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal)
    portal.company("1", customer_status="churned", churn_date="2026-06-15")
    database.publish(portal)
    database.publish()

    events = database.run(
        "select customer_id, from_level, to_level, from_enabled, to_enabled,"
        " reason_code, cast(evidence as text) from app.access_events order by event_id"
    )
    assert [event[:6] for event in events] == [
        ("1", None, "team", None, True, "SUBSCRIPTION_ACTIVE"),
        ("2", None, "none", None, False, "NO_SUBSCRIPTION"),
        ("1", "team", "none", True, False, "STATUS_CHURNED"),
    ]
    evidence = json.loads(events[2][6])
    assert evidence == {
        "object_type": "companies",
        "object_id": "1",
        "property": "customer_status",
        "value": "churned",
        "old_value": None,
        "hubspot_updated_at": "2026-01-10T12:00:00Z",
        "hubspot_url": "https://app.hubspot.com/contacts/1234/record/0-2/1",
    }
    assert database.access("version", "is_churned", "cast(evidence as text)")["1"] == (
        2,
        True,
        events[2][6],
    )


def test_passing_time_alone_ends_access_when_a_date_says_so(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal, now="2026-12-31T23:59:59Z")
    assert database.access()["1"] == (True, "SUBSCRIPTION_ACTIVE")
    database.publish(now="2027-01-01T00:00:00Z")
    assert database.access()["1"] == (True, "GRACE")
    until = "cast(access_until at time zone 'UTC' as date)"
    assert str(database.access(until)["1"]) == "2027-01-15"
    database.publish(now="2027-01-15T00:00:00Z")
    assert database.access()["1"] == (False, "SUBSCRIPTION_ENDED")


def test_absence_revokes_nothing_and_is_said(
    database: Database, portal: Portal
) -> None:
    for id in ("archived", "missing", "deal-gone", "unlinked", "reopened", "unmapped"):
        portal.company(id)
        portal.deal(f"d-{id}", id)
    portal.put("subscriptions", "s", hs_status="active")
    portal.link("subscriptions", "s", "companies", "unmapped")
    portal.gone("deals", "d-unmapped", "archived")
    database.publish(portal)
    assert all(enabled for enabled, _ in database.access().values())
    events = len(database.run("select * from app.access_events"))

    portal.gone("companies", "archived", "archived")
    portal.gone("companies", "missing", "missing")
    portal.gone("deals", "d-deal-gone", "missing")
    portal.unlink("d-unlinked", "unlinked")
    portal.deal("d-reopened", dealstage="contractsent")
    portal.put("subscriptions", "s", hs_status="dunning")
    database.publish(portal)
    database.publish(portal)

    assert set(database.access().values()) == {(True, "UNKNOWN_HELD")}
    assert len(database.run("select * from app.access_events")) == events
    found = dict(database.run("select customer_id, kind from ops.findings"))
    assert set(found) >= set(database.access())

    portal.company("archived", _state="live")
    portal.link("deals", "d-archived", "companies", "archived", type_id=5)
    database.publish(portal)
    assert database.access()["archived"] == (True, "SUBSCRIPTION_ACTIVE")


def test_a_merge_keeps_access_under_both_ids(
    database: Database, portal: Portal
) -> None:
    for id in ("winner", "loser"):
        portal.company(id)
        portal.contact(f"p-{id}", id)
    portal.deal("d", "loser")
    portal.company("winner", lifecyclestage="customer")
    database.publish(portal)
    assert database.access()["winner"] == (False, "NO_SUBSCRIPTION")

    portal.merge("winner", "loser")
    portal.company("winner", hs_merged_object_ids="loser;before-us")
    database.publish(portal)
    assert database.access() == {
        "winner": (True, "SUBSCRIPTION_ACTIVE"),
        "loser": (True, "SUBSCRIPTION_ACTIVE"),
    }
    assert database.run(
        "select alias_id, customer_id from app.customer_aliases order by 1"
    ) == [("before-us", "winner"), ("loser", "winner")]
    assert database.run(
        "select customer_id, record_state from app.customers order by 1"
    ) == [("loser", "merged"), ("winner", "live")]
    assert database.run(
        "select distinct customer_id from app.memberships"
        " union select customer_id from app.subscriptions"
    ) == [("winner",)]

    portal.company("winner", customer_status="churned")
    database.publish(portal)
    assert set(database.access().values()) == {(False, "STATUS_CHURNED")}


def test_a_merge_into_a_new_id_takes_no_access_away(
    database: Database, portal: Portal
) -> None:
    portal.company("a")
    portal.company("b")
    portal.deal("d", "a")
    database.publish(portal)
    portal.company("c", hs_merged_object_ids="a;b")
    for id in ("a", "b"):
        portal.gone("companies", id, "merged", _merged_into="c")
    database.publish(portal)
    assert database.access() == {
        "a": (True, "UNKNOWN_HELD"),
        "c": (True, "UNKNOWN_HELD"),
    }


def test_a_privacy_deletion_erases_the_person_and_keeps_the_row(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal)
    blank = dict.fromkeys(("email", "firstname", "lastname"))
    portal.gone("contacts", "11", "erased", **blank)
    database.publish(portal)
    assert database.run(
        "select email, first_name, last_name, phone, job_title, record_state"
        " from app.contacts where contact_id = '11'"
    ) == [(None, None, None, None, None, "erased")]


def test_a_link_that_is_gone_ends_only_that_membership(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal)
    portal.unlink("12", "2")
    portal.gone("contacts", "11", "archived")
    database.publish(portal)
    assert database.run(
        "select contact_id, customer_id from app.memberships order by 1, 2"
    ) == [("11", "1"), ("12", "1")]


def test_the_apps_own_columns_and_rows_are_left_alone(
    database: Database, portal: Portal
) -> None:
    believable(portal)
    database.publish(portal)
    database.run("alter table app.customers add column stripe_id text")
    database.run("update app.customers set stripe_id = 'cus_1'")
    portal.company("1", name="Acme Ltd")
    portal.company("9", lifecyclestage="customer")
    database.publish(portal)
    assert database.run(
        "select customer_id, name, stripe_id from app.customers order by 1"
    ) == [("1", "Acme Ltd", "cus_1"), ("2", "Company 2", "cus_1"), ("9", "Company 9", None)]


def test_a_held_change_waits_and_the_others_go_through(
    database: Database, portal: Portal
) -> None:
    for id in ("1", "2"):
        portal.company(id)
        portal.deal(f"d{id}", id)
    database.publish(portal)
    for id in ("1", "2"):
        portal.company(id, customer_status="churned", name="New name")
    database.load(portal)
    skipped = ("--exclude-resource-type", "test", "unit_test")
    assert database.dbt("build", "--exclude", "app", *skipped).success
    database.run("update ops.access_plan set held = true where customer_id = '1'")
    assert database.dbt("run", "--select", "app").success
    assert database.access() == {
        "1": (True, "SUBSCRIPTION_ACTIVE"),
        "2": (False, "STATUS_CHURNED"),
    }
    assert database.run("select distinct name from app.customers") == [("New name",)]


def test_the_plan_says_what_publishing_then_does(
    database: Database, portal: Portal
) -> None:
    for id in ("revoked", "renamed", "same", "upgraded"):
        portal.company(id)
        portal.deal(f"d-{id}", id)
    portal.company("granted", lifecyclestage="customer")
    database.publish(portal)
    portal.company("revoked", customer_status="churned")
    portal.company("renamed", name="Other")
    portal.put("line_items", "l", hs_sku="ENTERPRISE")
    portal.link("deals", "d-upgraded", "line_items", "l", type_id=19)
    portal.deal("d-granted", "granted")
    portal.company("new", lifecyclestage="customer")
    database.load(portal)
    before = contents(database)
    skipped = ("--exclude-resource-type", "test", "unit_test")
    assert database.dbt("build", "--exclude", "app", *skipped).success
    assert contents(database) == before

    plan = "select customer_id, action from ops.access_plan"
    assert dict(database.run(plan)) == {
        "revoked": "revoke",
        "renamed": "update",
        "upgraded": "change",
        "granted": "grant",
        "new": "create",
    }
    ids = database.run("select distinct plan_id from ops.access_plan")
    assert len(ids) == 1
    database.publish()
    database.publish()
    assert database.run(plan) == []
