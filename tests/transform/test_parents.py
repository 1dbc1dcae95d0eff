"""Companies that have the access of their parent company."""

from __future__ import annotations

import json
from typing import Any

from tests.transform.conftest import Database, failures
from tests.transform.portal import Portal
from tests.transform.test_breaker import churn, customers, enabled, findings, held

INHERITED = (True, "PARENT_INHERITED")
HELD = (True, "UNKNOWN_HELD")


def child(portal: Portal, id: str, parent: str, policy: str, **values: Any) -> None:
    portal.company(id, hs_parent_company_id=parent, app_access_parent=policy, **values)


def evidence(database: Database, customer: str) -> dict[str, Any]:
    found = database.access("evidence")[customer]
    read = json.loads(found) if isinstance(found, str) else found
    assert isinstance(read, dict)
    return read


def build(database: Database, portal: Portal) -> None:
    """Publish as `hubsync sync` does: with every data test."""
    database.load(portal)
    result = database.dbt("build", "--exclude-resource-type", "unit_test")
    assert result.success, failures(result)


def test_access_comes_down_from_the_parent_and_churn_never_climbs(
    database: Database, portal: Portal
) -> None:
    customers(portal, "group", "own", "bought", "denied")
    portal.deal("d-group", contract_end_date="2026-12-31")
    child(portal, "own", "group", "own")
    child(portal, "heir", "group", "inherit")
    child(portal, "grandchild", "heir", "inherit")
    child(portal, "bought", "group", "inherit_if_none")
    child(portal, "nothing", "group", "inherit_if_none")
    child(portal, "ended", "group", "inherit_if_none")
    portal.deal("d-ended", "ended", contract_end_date="2026-01-31")
    override = {
        "app_access_override": "deny",
        "app_access_override_until": "2027-01-01",
    }
    child(portal, "denied", "group", "inherit", **override)
    portal.company("bystander", hs_parent_company_id="group")
    database.publish(portal)
    heirs = ("heir", "grandchild", "nothing", "ended")
    assert database.access() == {
        **dict.fromkeys(heirs, INHERITED),
        **dict.fromkeys(("group", "own", "bought"), (True, "SUBSCRIPTION_ACTIVE")),
        "denied": (False, "OVERRIDE_DENY"),
    }
    assert (
        evidence(database, "grandchild").items()
        >= {
            "inherited_from": "group",
            "inherited_reason_code": "SUBSCRIPTION_ACTIVE",
            "object_type": "deals",
            "object_id": "d-group",
        }.items()
    )
    until = database.access("access_until")
    assert until["grandchild"] == until["group"] != until["own"]

    # A child that leaves is alone in it; what its parent has goes on for the others.
    churn(portal, "heir")
    database.publish(portal)
    assert enabled(database) == {"group", "own", "bought", "nothing", "ended"}
    assert evidence(database, "grandchild")["inherited_from"] == "heir"
    portal.company("heir", customer_status="active")
    database.publish(portal)
    assert "grandchild" in enabled(database)

    # The parent leaves: five lose access on evidence, within the limit of five.
    churn(portal, "group")
    build(database, portal)
    assert database.access() == {
        "group": (False, "STATUS_CHURNED"),
        **dict.fromkeys(heirs, (False, "PARENT_INHERITED")),
        **dict.fromkeys(("own", "bought"), (True, "SUBSCRIPTION_ACTIVE")),
        "denied": (False, "OVERRIDE_DENY"),
    }
    assert (
        evidence(database, "nothing").items()
        >= {
            "inherited_from": "group",
            "inherited_reason_code": "STATUS_CHURNED",
            "object_id": "group",
            "property": "customer_status",
            "value": "churned",
        }.items()
    )
    before = database.rows("app.access"), database.rows("app.access_events")
    database.publish(portal)
    assert (database.rows("app.access"), database.rows("app.access_events")) == before


def test_a_parents_churn_passes_the_breaker_with_all_its_heirs(
    database: Database, portal: Portal
) -> None:
    portal.properties["companies"].append("app_access_protected")
    customers(portal, "group", "guarded")
    heirs = [f"heir-{number}" for number in range(5)]
    for id in heirs:
        child(portal, id, "group", "inherit")
    portal.company("guarded", app_access_protected="true")
    child(portal, "ward", "guarded", "inherit")
    database.publish(portal)
    churn(portal, "group", "guarded")
    database.publish(portal)
    assert enabled(database) == {"group", "guarded", "ward", *heirs}
    assert held(database) == {
        **dict.fromkeys(("group", *heirs), "BREAKER_REVOCATIONS_PER_RUN"),
        **dict.fromkeys(("guarded", "ward"), "PROTECTED"),
    }


def test_a_parent_that_is_absent_is_no_evidence(
    database: Database, portal: Portal
) -> None:
    lost = ("archived", "missing", "unlinked", "unset", "uncertain", "circle")
    for id in lost:
        parent = f"{id}-parent"
        customers(portal, parent)
        child(portal, id, parent, "inherit")
        # Its own contract is long over: alone, that would be evidence.
        portal.deal(f"d-{id}", id, contract_end_date="2026-01-31")
    customers(portal, "old", "new", "apart")
    child(portal, "of-merged", "old", "inherit")
    child(portal, "apart", "new", "inherit")
    portal.deal("d-apart", contract_end_date="2026-01-31")
    # Among so many, the few links that go later are no loss to be looked at.
    for number in range(100):
        portal.link("tickets", str(number), "companies", "new")
    database.publish(portal)
    assert {database.access()[id] for id in (*lost, "of-merged")} == {INHERITED}

    portal.gone("companies", "archived-parent", "archived")
    portal.gone("companies", "missing-parent", "missing")
    portal.company("unlinked", hs_parent_company_id="")
    portal.company("unset", app_access_parent="")
    portal.unlink("d-uncertain-parent", "uncertain-parent")
    child(portal, "circle-parent", "circle", "inherit")
    portal.merge("new", "old")
    portal.company("apart", app_access_parent="own")
    for publish in (build, Database.publish):
        publish(database, portal)
        access = database.access()
        assert {id: access[id] for id in lost} == dict.fromkeys(lost, HELD)
        assert access["circle-parent"] == HELD
        assert access["of-merged"] == INHERITED
        assert access["apart"] == (False, "SUBSCRIPTION_ENDED"), (
            "policy, set by someone"
        )
        said = dict(
            database.run(
                "select object_id, what_to_do from ops.findings"
                " where kind = 'ACCESS_HELD'"
            )
        )
        assert set(lost) < set(said)
        assert "access of its parent company cannot be read" in said["unlinked"]
        [circle] = findings(database, "PARENT_CIRCLE")
        assert "Companies circle, circle-parent are each other's parents" in circle

    # It is evidence again as soon as it can be read.
    portal.company("archived-parent", _state="live", customer_status="churned")
    portal.company("circle-parent", app_access_parent="own")
    portal.company("unlinked", hs_parent_company_id="unlinked-parent")
    database.publish(portal)
    access = database.access()
    assert access["archived"] == (False, "PARENT_INHERITED")
    assert access["unlinked"] == INHERITED
    assert findings(database, "PARENT_CIRCLE") == []
