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
