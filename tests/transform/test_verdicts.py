"""HubSpot's records in, `app.access` out: the verdict table of the design."""

from __future__ import annotations

from tests.transform.conftest import Database
from tests.transform.portal import Portal


def test_every_rule_of_the_verdict_table_decides_as_written(
    database: Database, portal: Portal
) -> None:
    portal.company(
        "deny", app_access_override="deny", app_access_override_until="2026-06-16"
    )
    portal.deal("d1", "deny")
    portal.company(
        "grant",
        app_access_override="grant",
        app_access_override_until="2026-06-16",
        customer_status="churned",
    )
    portal.company("churned", customer_status="churned", churn_date="2026-06-15")
    portal.deal("d3", "churned")
    portal.company("renewal-lost")
    portal.deal("d4", "renewal-lost")
    portal.deal(
        "d5",
        "renewal-lost",
        pipeline="renewal",
        dealstage="renewal_lost",
        closedate="2026-06-01T08:00:00Z",
    )
    portal.company("active")
    portal.deal("d6", "active", contract_end_date="2026-06-15")
    portal.company("grace")
    portal.deal("d7", "grace", contract_end_date="2026-06-14")
    portal.company("ended")
    portal.deal("d8", "ended", contract_end_date="2026-05-31")
    portal.company("paused", customer_status="paused")
    portal.deal("d9", "paused")
    portal.company("never", lifecyclestage="customer")
    portal.company("prospect", lifecyclestage="lead")
    portal.deal("d10", "prospect", dealstage="closedlost")

    database.publish(portal)

    assert database.access() == {
        "deny": (False, "OVERRIDE_DENY"),
        "grant": (True, "OVERRIDE_GRANT"),
        "churned": (False, "STATUS_CHURNED"),
        "renewal-lost": (False, "RENEWAL_LOST"),
        "active": (True, "SUBSCRIPTION_ACTIVE"),
        "grace": (True, "GRACE"),
        "ended": (False, "SUBSCRIPTION_ENDED"),
        "paused": (False, "PAUSED"),
        "never": (False, "NO_SUBSCRIPTION"),
    }


def test_a_paused_customer_stays_paused_and_the_company_is_the_evidence(
    database: Database, portal: Portal
) -> None:
    portal.company("paused", customer_status="paused")
    portal.deal("d1", "paused", contract_end_date="2027-01-31")

    for _ in range(3):
        database.publish(portal)
        assert database.access() == {"paused": (False, "PAUSED")}
    [access] = database.rows("app.access")
    assert "customer_status" in str(access["evidence"])
    assert access["version"] == 1


def test_an_edit_of_something_else_does_not_bring_an_answered_churn_back(
    database: Database, portal: Portal
) -> None:
    portal.company(
        "won-back", customer_status="churned", _updated_at="2026-03-01T08:00:00Z"
    )
    portal.deal("d1", "won-back", contract_start_date="2026-05-01")
    database.publish(portal)
    assert database.access() == {"won-back": (True, "SUBSCRIPTION_ACTIVE")}

    portal.company(
        "won-back",
        customer_status="churned",
        name="Renamed",
        _updated_at="2026-06-14T08:00:00Z",
    )
    for _ in range(2):
        database.publish(portal)
        assert database.access() == {"won-back": (True, "SUBSCRIPTION_ACTIVE")}


def test_every_date_acts_on_its_day_with_no_change_in_hubspot(
    database: Database, portal: Portal
) -> None:
    override = {"app_access_override_until": "2026-06-20T10:00:00Z"}
    for id in ("granted", "cancelling", "unpaid", "future", "won-back", "renewed"):
        portal.company(id)
    portal.company("denied", app_access_override="deny", **override)
    portal.deal("d-denied", "denied")
    portal.company("granted", app_access_override="grant", **override)
    # A grant that ends takes nothing from who bought as well.
    portal.company("granted-and-bought", app_access_override="grant", **override)
    portal.deal("d-bought", "granted-and-bought")
    portal.company("leaving", customer_status="churned", churn_date="2026-06-20")
    portal.deal("d-leaving", "leaving")
    # Churned, and back from the day on which a new subscription starts.
    portal.company("won-back", customer_status="churned", churn_date="2026-06-01")
    portal.deal("d-old", "won-back")
    portal.deal("d-back", "won-back", contract_start_date="2026-06-20")
    portal.deal("d-future", "future", contract_start_date="2026-06-20")
    portal.deal("d-first", "renewed", contract_end_date="2026-06-19")
    portal.deal("d-second", "renewed", contract_start_date="2026-06-20")
    for id, status, ends in (
        ("cancelling", "canceled", "2026-06-19"),
        ("unpaid", "past_due", ""),
    ):
        portal.put("subscriptions", f"s-{id}", hs_status=status)
        portal.put("subscriptions", f"s-{id}", hs_recurring_billing_end_date=ends)
        portal.put("subscriptions", f"s-{id}", hs_next_payment_due_date="2026-06-06")
        portal.link("subscriptions", f"s-{id}", "companies", id)

    database.publish(portal)
    active, churned = (True, "SUBSCRIPTION_ACTIVE"), (False, "STATUS_CHURNED")
    before = {
        "denied": (False, "OVERRIDE_DENY"),
        "granted": (True, "OVERRIDE_GRANT"),
        "granted-and-bought": (True, "OVERRIDE_GRANT"),
        "leaving": active,
        "won-back": churned,
        "future": (False, "NO_SUBSCRIPTION"),
        "renewed": active,
        "cancelling": active,
        "unpaid": (True, "GRACE"),
    }
    assert database.access() == before
    until = {
        id: str(instant)[:19]
        for id, instant in database.access("access_until").items()
        if instant
    }
    assert until == {
        "denied": "2026-06-20 10:00:00",
        "granted": "2026-06-20 10:00:00",
        "cancelling": "2026-06-20 00:00:00",
        "unpaid": "2026-06-21 00:00:00",
        "leaving": "2026-06-20 00:00:00",
        "renewed": "2026-07-04 00:00:00",
    }

    database.publish(now="2026-06-19T23:59:59Z")
    assert database.access() == before
    database.publish(now="2026-06-20T00:00:00Z")
    at_midnight = {
        "leaving": churned,
        "won-back": active,
        "future": active,
        "cancelling": (False, "SUBSCRIPTION_CANCELED"),
    }
    assert database.access() == {**before, **at_midnight}
    database.publish(now="2026-06-21T00:00:00Z")
    assert database.access() == {
        **before,
        **at_midnight,
        "denied": active,
        "granted-and-bought": active,
        "granted": (False, "NO_SUBSCRIPTION"),
        "unpaid": (False, "SUBSCRIPTION_ENDED"),
    }
    # One event per date, and the app had ended what ends at a date by itself.
    told = database.run(
        "select customer_id, cast(evidence as json) ->> 'access_ended_at'"
        " from app.access_events where from_enabled and not to_enabled order by 1"
    )
    assert told == [
        ("cancelling", "2026-06-20T00:00:00Z"),
        ("granted", "2026-06-20T10:00:00Z"),
        ("leaving", "2026-06-20T00:00:00Z"),
        ("unpaid", "2026-06-21T00:00:00Z"),
    ]


def test_only_a_companys_date_can_be_left_over_from_an_earlier_departure(
    database: Database, portal: Portal
) -> None:
    for id in ("left-again", "renewed-elsewhere"):
        portal.company(id)
        portal.deal(f"d-{id}", id, contract_start_date="2026-05-01")
    portal.company("left-again", customer_status="churned", churn_date="2026-01-10")
    # Their old renewal was closed as lost in January, and tidied up in June.
    portal.deal(
        "old",
        "renewed-elsewhere",
        pipeline="renewal",
        dealstage="renewal_lost",
        closedate="2026-01-10T00:00:00Z",
        hs_is_closed_won="false",
        hs_is_closed_lost="true",
    )
    database.publish(portal)
    both = {"left-again": True, "renewed-elsewhere": True}
    assert database.access("is_enabled") == both
    asked = database.run("select distinct object_id from ops.evidence_to_read")
    assert asked == [("left-again",)]

    database.run(
        "create table ops.evidence_history (object_type text, object_id text,"
        " property text, value text, changed_at timestamptz,"
        " record_updated_at timestamptz)"
    )
    database.run(
        "insert into ops.evidence_history values"
        " ('companies', 'left-again', 'customer_status', 'churned',"
        "  '2026-06-10T08:00:00Z', '2026-06-10T08:00:00Z'),"
        " ('companies', 'left-again', 'churn_date', '2026-01-10',"
        "  '2026-01-10T08:00:00Z', '2026-06-10T08:00:00Z'),"
        " ('deals', 'old', 'dealstage', 'renewal_lost',"
        "  '2026-06-10T08:00:00Z', '2026-06-10T08:00:00Z'),"
        " ('deals', 'old', 'closedate', '2026-01-10T00:00:00Z',"
        "  '2026-01-10T08:00:00Z', '2026-06-10T08:00:00Z')"
    )
    database.publish()
    assert database.access("is_enabled") == {**both, "left-again": False}
