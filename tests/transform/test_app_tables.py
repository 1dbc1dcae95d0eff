"""HubSpot's records in, the app's tables out, on each engine.

Most promises are about one story: a portal is published, nothing happens, then a day
on which everything happens. The story is told once per engine; tests look at what the
app held after each chapter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.transform.conftest import Database
from tests.transform.portal import Portal

APP_TABLES = (
    "app.customers",
    "app.customer_aliases",
    "app.contacts",
    "app.memberships",
    "app.subscriptions",
    "app.access",
    "app.access_events",
)

Rows = list[dict[str, Any]]


@dataclass
class Chapter:
    """What the database held at one moment."""

    app: dict[str, Rows]
    findings: Rows
    plan: Rows

    def access(self) -> dict[str, tuple[bool, str]]:
        return {
            row["customer_id"]: (row["is_enabled"], row["reason_code"])
            for row in self.app["app.access"]
        }

    def one(self, table: str, key: str, value: str) -> dict[str, Any]:
        [row] = [row for row in self.app[table] if row[key] == value]
        return row

    def events(self, customer: str) -> Rows:
        rows = self.app["app.access_events"]
        return sorted(
            (row for row in rows if row["customer_id"] == customer),
            key=lambda row: int(row["event_id"]),
        )


def contents(database: Database) -> dict[str, Rows]:
    return {table: database.rows(table) for table in APP_TABLES}


def chapter(database: Database) -> Chapter:
    return Chapter(
        contents(database),
        database.rows("ops.findings"),
        database.rows("ops.access_plan"),
    )


@dataclass
class Story:
    chapters: dict[str, Chapter] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Chapter:
        return self.chapters[name]


HELD = ("archived", "missing", "deal-gone", "unlinked", "reopened", "unmapped")


def begin(portal: Portal) -> None:
    """Customers of every kind, with people, plans, a grace and an end."""
    portal.owners = [
        {"id": "7", "email": "ann@example.com", "first_name": "Ann", "archived": False}
    ]
    portal.company("acme", name="Acme", domain="acme.com", hubspot_owner_id="7")
    portal.company("named", lifecyclestage="customer")
    portal.contact("p1", "acme", firstname="Zoë", lastname="O'Neil")
    portal.contact("p2", "acme")
    portal.link("contacts", "p2", "companies", "acme", type_id=1)
    portal.link("contacts", "p2", "companies", "named")
    portal.contact("p3", "acme", firstname="Gone", lastname="Soon")
    portal.deal(
        "d-acme",
        "acme",
        amount="1200",
        deal_currency_code="USD",
        contract_end_date="2026-12-31",
    )
    portal.put(
        "line_items",
        "l-acme",
        hs_sku="team",
        quantity="5",
        price="20",
        recurringbillingfrequency="monthly",
    )
    portal.link("deals", "d-acme", "line_items", "l-acme", type_id=19)
    for id in (*HELD, "leaving", "renamed", "upgraded", "loser", "a"):
        portal.company(id)
        portal.deal(f"d-{id}", id)
    portal.put("subscriptions", "s", hs_status="active")
    portal.link("subscriptions", "s", "companies", "unmapped")
    portal.gone("deals", "d-unmapped", "archived")
    portal.company("winner", lifecyclestage="customer")
    portal.contact("p-loser", "loser")
    portal.company("b")
    portal.company("overdue")
    portal.put("subscriptions", "s-overdue", hs_status="past_due")
    portal.put("subscriptions", "s-overdue", _updated_at="2026-06-14T08:00:00Z")
    portal.link("subscriptions", "s-overdue", "companies", "overdue")
    portal.company("churned", customer_status="churned")
    portal.deal("d-churned", "churned")
    portal.company("paused", customer_status="paused")
    portal.deal("d-paused", "paused", contract_end_date="2026-12-31")
    # Among so many, the dozen links that go later are no loss to be looked at.
    for number in range(300):
        portal.link("tickets", str(number), "contacts", "p2")


def change(portal: Portal) -> None:
    """Records leave, merge and change; one customer really leaves."""
    portal.gone("companies", "archived", "archived")
    portal.gone("companies", "missing", "missing")
    portal.gone("deals", "d-deal-gone", "missing")
    portal.unlink("d-unlinked", "unlinked")
    portal.deal("d-reopened", dealstage="contractsent")
    portal.put("subscriptions", "s", hs_status="dunning")
    portal.company("leaving", customer_status="churned", churn_date="2026-06-16")
    portal.company("renamed", name="Another name")
    portal.put("line_items", "l-upgraded", hs_sku="ENTERPRISE")
    portal.link("deals", "d-upgraded", "line_items", "l-upgraded", type_id=19)
    portal.merge("winner", "loser")
    portal.company("winner", hs_merged_object_ids="loser;before-us")
    portal.company("c", hs_merged_object_ids="a;b")
    for id in ("a", "b"):
        portal.gone("companies", id, "merged", _merged_into="c")
    portal.unlink("p2", "named")
    portal.gone("contacts", "p1", "archived")
    blank = dict.fromkeys(("email", "firstname", "lastname"))
    portal.gone("contacts", "p3", "erased", **blank)
    portal.company("new", lifecyclestage="customer")


@pytest.fixture(scope="module")
def story(engine: Database) -> Story:
    told = Story()
    portal = Portal()
    with pytest.MonkeyPatch.context() as patch:
        engine.enter(patch)
        engine.clear()
        begin(portal)
        engine.publish(portal, now="2026-06-15T12:00:00Z")
        told.chapters["begun"] = chapter(engine)
        engine.publish(now="2026-06-16T12:00:00Z")
        told.chapters["a_day_later"] = chapter(engine)

        engine.run("alter table app.customers add column stripe_id text")
        engine.run("update app.customers set stripe_id = 'cus_1'")
        before = contents(engine)
        change(portal)
        engine.load(portal)
        planned = engine.dbt("run", "--exclude", "app", now="2026-06-16T12:00:00Z")
        assert planned.success
        told.chapters["planned"] = chapter(engine)
        assert told.planned.app == before, "planning wrote to app"

        engine.publish(now="2026-06-16T12:00:00Z")
        told.chapters["changed"] = chapter(engine)
        engine.publish(now="2026-06-17T12:00:00Z")
        told.chapters["settled"] = chapter(engine)

        portal.company("archived", _state="live")
        portal.link("deals", "d-archived", "companies", "archived", type_id=5)
        portal.company("winner", customer_status="churned")
        engine.publish(portal, now="2026-06-17T12:00:00Z")
        told.chapters["restored"] = chapter(engine)
    return told


def test_customers_contacts_and_subscriptions_arrive_complete(story: Story) -> None:
    customer = story.begun.one("app.customers", "customer_id", "acme")
    assert (
        customer.items()
        >= {
            "name": "Acme",
            "domain": "acme.com",
            "owner_name": "Ann",
            "owner_email": "ann@example.com",
            "record_state": "live",
            "hubspot_url": "https://app.hubspot.com/contacts/1234/record/0-2/acme",
        }.items()
    )
    person = story.begun.one("app.contacts", "contact_id", "p1")
    assert (person["first_name"], person["last_name"]) == ("Zoë", "O'Neil")
    assert [
        (row["contact_id"], row["customer_id"], row["is_primary"])
        for row in story.begun.app["app.memberships"]
    ] == [
        ("p-loser", "loser", False),
        ("p1", "acme", False),
        ("p2", "acme", True),
        ("p2", "named", False),
        ("p3", "acme", False),
    ]
    bought = story.begun.one("app.subscriptions", "customer_id", "acme")
    assert {key: str(value) for key, value in bought.items()}.items() >= {
        "subscription_id": "deal:d-acme",
        "source": "deal",
        "plan_code": "TEAM",
        "status": "active",
        "starts_on": "2026-01-05",
        "ends_on": "2026-12-31",
        "quantity": "5.00",
        "amount": "1200.00",
        "currency": "USD",
        "mrr": "100.00",
    }.items()
    assert story.begun.one("app.access", "customer_id", "acme")["access_level"] == (
        "team"
    )


def test_an_unchanged_portal_touches_no_row_although_time_passes(story: Story) -> None:
    assert story.a_day_later.app == story.begun.app
    assert story.begun.access()["paused"] == (False, "PAUSED")
    assert story.a_day_later.plan == []
    assert story.settled.app == story.changed.app


def test_only_the_rows_that_differ_are_written(story: Story) -> None:
    for key in ("acme", "named", "renamed"):
        before = story.planned.one("app.customers", "customer_id", key)
        after = story.changed.one("app.customers", "customer_id", key)
        assert (before == after) == (key != "renamed")
        if key == "renamed":
            assert after["synced_at"] > before["synced_at"]
    untouched = {"acme", "named", "renamed", "churned", "overdue"}
    for row in story.changed.app["app.access"]:
        if row["customer_id"] in untouched:
            assert row in story.planned.app["app.access"]


def test_every_change_of_access_has_one_event_with_its_evidence(story: Story) -> None:
    first, last = story.restored.events("leaving")
    assert [
        (row["from_enabled"], row["to_enabled"], row["reason_code"])
        for row in (first, last)
    ] == [(None, True, "SUBSCRIPTION_ACTIVE"), (True, False, "STATUS_CHURNED")]
    row = story.restored.one("app.access", "customer_id", "leaving")
    assert (row["version"], row["is_churned"], row["access_level"]) == (2, True, "none")
    assert last["run_id"] == row["run_id"]
    evidence = last["evidence"]
    evidence = json.loads(evidence) if isinstance(evidence, str) else evidence
    assert evidence == {
        "object_type": "companies",
        "object_id": "leaving",
        "property": "customer_status",
        "value": "churned",
        "old_value": None,
        "hubspot_updated_at": "2026-01-10T12:00:00Z",
        "hubspot_url": "https://app.hubspot.com/contacts/1234/record/0-2/leaving",
    }
    for row in story.restored.app["app.access"]:
        assert row["version"] == len(story.restored.events(row["customer_id"]))


def test_absence_revokes_nothing_and_is_said(story: Story) -> None:
    assert {story.begun.access()[id] for id in HELD} == {(True, "SUBSCRIPTION_ACTIVE")}
    for later in (story.changed, story.settled):
        assert {later.access()[id] for id in HELD} == {(True, "UNKNOWN_HELD")}
        assert {row["customer_id"] for row in later.findings} >= set(HELD)
    assert all(len(story.settled.events(id)) == 1 for id in HELD)
    assert story.restored.access()["archived"] == (True, "SUBSCRIPTION_ACTIVE")


def test_a_merge_keeps_access_under_both_ids(story: Story) -> None:
    assert story.begun.access()["winner"] == (False, "NO_SUBSCRIPTION")
    assert story.changed.access()["winner"] == (True, "SUBSCRIPTION_ACTIVE")
    assert story.changed.access()["loser"] == (True, "SUBSCRIPTION_ACTIVE")
    merged = story.changed.one("app.customers", "customer_id", "loser")
    assert merged["record_state"] == "merged"
    aliases = {
        row["alias_id"]: row["customer_id"]
        for row in story.changed.app["app.customer_aliases"]
    }
    assert aliases == {"loser": "winner", "before-us": "winner", "a": "c", "b": "c"}
    bought = story.changed.one("app.subscriptions", "subscription_id", "deal:d-loser")
    assert bought["customer_id"] == "winner"
    member = story.changed.one("app.memberships", "contact_id", "p-loser")
    assert member["customer_id"] == "winner"
    for id in ("winner", "loser"):
        assert story.restored.access()[id] == (False, "STATUS_CHURNED")


def test_a_merge_into_a_new_id_takes_no_access_away(story: Story) -> None:
    assert story.changed.access()["a"] == (True, "UNKNOWN_HELD")
    assert story.changed.access()["c"] == (True, "UNKNOWN_HELD")


def test_a_privacy_deletion_erases_the_person_and_keeps_the_row(story: Story) -> None:
    person = story.changed.one("app.contacts", "contact_id", "p3")
    assert person["record_state"] == "erased"
    personal = ("email", "first_name", "last_name", "phone", "job_title")
    assert [person[name] for name in personal] == [None] * 5


def test_a_link_that_is_gone_ends_only_that_membership(story: Story) -> None:
    assert {
        (row["contact_id"], row["customer_id"])
        for row in story.changed.app["app.memberships"]
    } == {("p1", "acme"), ("p2", "acme"), ("p3", "acme"), ("p-loser", "winner")}


def test_the_apps_own_columns_are_left_alone(story: Story) -> None:
    own = {
        row["customer_id"]: row["stripe_id"]
        for row in story.restored.app["app.customers"]
    }
    assert own.pop("new") is None
    assert own.pop("c") is None
    assert set(own.values()) == {"cus_1"}


def test_the_plan_says_what_publishing_then_does(story: Story) -> None:
    planned = {row["customer_id"]: row["action"] for row in story.planned.plan}
    actions = {"leaving": "revoke", "upgraded": "change", "winner": "grant"}
    actions |= {"c": "grant", "new": "create", "renamed": "update"}
    assert planned.items() >= actions.items()
    assert set(planned) - set(actions) == {*HELD, "loser", "a"}
    assert len({row["plan_id"] for row in story.planned.plan}) == 1
    before, after = story.planned.app["app.access"], story.changed.app["app.access"]
    touched = {row["customer_id"] for row in after if row not in before}
    assert touched <= set(planned)
    assert story.settled.plan == []


def test_passing_time_alone_ends_access_when_a_date_says_so(
    database: Database, portal: Portal
) -> None:
    portal.company("1")
    portal.deal("d", "1", contract_end_date="2026-12-31")
    verdicts: dict[str, tuple[str, str]] = {}
    for now in (
        "2026-12-31T23:59:59Z",
        "2027-01-01T00:00:00Z",
        "2027-01-15T00:00:00Z",
    ):
        database.publish(None if verdicts else portal, now=now)
        until = "cast(access_until at time zone 'UTC' as date)"
        reason, last = database.access("reason_code", until)["1"]
        verdicts[now] = (reason, str(last))
    assert list(verdicts.values()) == [
        ("SUBSCRIPTION_ACTIVE", "2027-01-15"),
        ("GRACE", "2027-01-15"),
        ("SUBSCRIPTION_ENDED", "None"),
    ]


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
    assert database.dbt("run", "--exclude", "app").success
    database.run("update ops.access_plan set held = true where customer_id = '1'")
    assert database.dbt("run", "--select", "app").success
    assert database.access() == {
        "1": (True, "SUBSCRIPTION_ACTIVE"),
        "2": (False, "STATUS_CHURNED"),
    }
    assert database.run("select distinct name from app.customers") == [("New name",)]
