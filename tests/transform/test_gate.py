"""Nothing is published while anything before it is wrong."""

from __future__ import annotations

from typing import Any

from tests.transform.conftest import Database, failures
from tests.transform.portal import Portal


def _ancestors(manifest: Any, node: str) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for parent in manifest.parent_map.get(waiting.pop(), []):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def test_every_app_model_comes_after_everything_that_is_tested(
    engine: Database,
) -> None:
    manifest: Any = engine.manifest
    manifest.build_parent_and_child_maps()
    app = {
        id
        for id, node in manifest.nodes.items()
        if node.resource_type == "model" and node.fqn[1] == "app"
    }
    assert len(app) == 8
    tested = {
        parent
        for node in manifest.nodes.values()
        if node.resource_type == "test"
        for parent in node.depends_on.nodes
    } - app
    assert len(tested) > 40
    for model in app:
        assert tested <= _ancestors(manifest, model), model


def test_a_failing_test_publishes_nothing(database: Database, portal: Portal) -> None:
    portal.company("1")
    portal.deal("d", "1")
    portal.contact("p", "1")
    database.publish(portal)
    before = database.rows("app.customers"), database.rows("app.access")
    portal.company("1", name="Renamed", customer_status="churned")

    # No model of app reads tickets. Every other test: test_every_test.py.
    database.load(portal)
    database.run("insert into hubspot_raw.tickets (id) values (null)")
    result = database.dbt("build", "--exclude-resource-type", "unit_test")
    assert not result.success
    assert "test." in failures(result)
    after = database.rows("app.customers"), database.rows("app.access")
    assert after == before

    database.load(portal)
    result = database.dbt("build", "--exclude-resource-type", "unit_test")
    assert result.success, failures(result)
    assert database.access() == {"1": (False, "STATUS_CHURNED")}

    # Afterwards `dbt test` alone notices what was changed behind the project's back.
    harm = {
        "assert_app_customers_equal_hubspot": "update app.customers set name = 'x'",
        "assert_app_memberships_equal_hubspot": "delete from app.memberships",
        "assert_newest_event_says_what_access_says": "update app.access"
        " set is_enabled = true, access_level = 'team'",
    }
    for statement in harm.values():
        database.run(statement)
    result = database.dbt("test", "--select", *harm)
    assert {item.node.name for item in result.result if item.status == "fail"} == {
        *harm
    }
