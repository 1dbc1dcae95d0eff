"""Schema ops trims itself, and keeps whatever a decision or an audit may still need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines import retention
from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import ON_DUCKDB, Hubsync, query
from tests.run.test_decisions import churn, waiting_plan, with_access

OLD = timedelta(days=500)


def age(warehouse: Warehouse, by: timedelta = OLD) -> None:
    """Everything that happened, as if it had happened so much earlier."""
    columns = {
        "sync_runs": ("started_at", "finished_at", "published_at"),
        "plans": ("planned_at",),
        "approvals": ("decided_at", "expires_at", "used_at"),
        "approval_changes": ("decided_at", "lapsed_at"),
        "manual_edits": ("found_at",),
        "evidence_history": ("changed_at", "record_updated_at"),
        "alerts": ("told_at", "recovered_at"),
    }
    seconds = f"interval '{int(by.total_seconds())} seconds'"
    with warehouse.connect() as connection:
        for table, names in columns.items():
            sets = ", ".join(f"{name} = {name} - {seconds}" for name in names)
            connection.execute(f"update ops.{table} set {sets}")


def count(warehouse: Warehouse, table: str, where: str = "true") -> int:
    ((rows,),) = query(warehouse, f"select count(*) from {table} where {where}")
    return int(rows)


def litter(warehouse: Warehouse) -> None:
    """Old rows of every table that nothing refers to."""
    with warehouse.connect() as connection:
        for n in range(3):
            connection.execute(
                "insert into ops.sync_runs (run_id, command, started_at, finished_at, "
                "published_at, status, exit_code) values "
                "(?, 'sync', now(), now(), now(), 'done', 0)",
                (f"20200101T00000{n}Z-0000",),
            )
        connection.execute(
            "insert into ops.plans (plan_id, run_id, planned_at, change_id) "
            "values ('nobody', 'r', now(), 'nothing')"
        )
        connection.execute(
            "insert into ops.approval_changes (plan_id, decided_at, change_id) "
            "values ('nobody', now(), 'nothing')"
        )
        connection.execute(
            "insert into ops.manual_edits (run_id, found_at, table_name, row_key) "
            "values ('r', now(), 'contacts', '1')"
        )
        connection.execute(
            "insert into ops.evidence_history (object_type, object_id, property, "
            "value, changed_at, record_updated_at) "
            "values ('companies', 'gone', 'customer_status', 'x', now(), now())"
        )
        connection.execute(
            "insert into ops.alerts values ('stale', null, null, now(), now())"
        )
        connection.execute(
            "insert into ops.alerts values ('held', 'p', null, now(), null)"
        )


LITTER = {
    # The first of them is the first publication, where latency begins.
    "sync_runs": "run_id in ('20200101T000001Z-0000', '20200101T000002Z-0000')",
    "plans": "plan_id = 'nobody'",
    "approval_changes": "plan_id = 'nobody'",
    "manual_edits": "run_id = 'r'",
    "evidence_history": "object_id = 'gone'",
    "alerts": "state = 'stale'",
}


def test_what_is_old_goes_and_what_a_decision_or_an_audit_needs_stays(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    customers = with_access(synced)
    left, refused = customers[0], customers[1:7]
    churn(portal, [left])
    with synced.connect() as connection:
        connection.execute(
            "insert into ops.plans (plan_id, run_id, planned_at, change_id) "
            "values ('old', 'r', '2020-01-01', 'nothing')"
        )
    assert hubsync("sync").code == 0
    assert count(synced, "ops.plans", "plan_id = 'old'") == 1, "once a day is enough"
    ((revoked_by,),) = query(
        synced, "select run_id from app.access where customer_id = ?", left
    )
    churn(portal, refused)
    plan = waiting_plan(hubsync)
    rejected = ("reject", plan, "--by", "Ann", "--reason", "an import went wrong")
    assert hubsync(*rejected).code == 0
    litter(synced)
    age(synced)
    events = query(synced, "select * from app.access_events order by event_id")
    history = count(synced, "ops.evidence_history", "object_id <> 'gone'")
    assert history > 0

    outcome = hubsync("sync")
    assert outcome.code == 0, outcome.err  # nothing waits: the refusal still holds
    assert count(synced, "ops.plans", "plan_id = 'old'") == 0
    for table, where in LITTER.items():
        assert count(synced, f"ops.{table}", where) == 0, table
    assert query(synced, "select * from app.access_events order by event_id") == events
    assert count(synced, "ops.approvals", f"plan_id = '{plan}'") == 1
    assert count(synced, "ops.approval_changes", f"plan_id = '{plan}'") == len(refused)
    assert count(synced, "ops.plans", f"plan_id = '{plan}'") == len(refused)
    assert count(synced, "ops.alerts", "state = 'held'") == 1
    assert count(synced, "ops.evidence_history") == history
    assert count(synced, "ops.sync_runs", "run_id = '20200101T000000Z-0000'") == 1

    undone = ("undo", revoked_by, "--by", "Ann", "--reason", "he stays", "--json")
    assert hubsync(*undone).code == 0
    assert count(synced, "app.access", f"customer_id = '{left}' and is_enabled") == 1


def test_a_set_that_waits_can_be_approved_however_long_it_has_waited(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    leaving = with_access(synced)[:6]
    churn(portal, leaving)
    plan = waiting_plan(hubsync)
    age(synced)
    assert waiting_plan(hubsync) == plan
    approved = hubsync("approve", plan, "--by", "Ann", "--reason", "it is right")
    assert approved.code == 0, approved.err
    assert not set(leaving) & set(with_access(synced))


@ON_DUCKDB
def test_what_is_young_stays(synced: Warehouse) -> None:
    litter(synced)
    retention.trim(synced, datetime.now(UTC) + timedelta(days=399))
    for table, where in LITTER.items():
        assert count(synced, f"ops.{table}", where) > 0, table
    retention.trim(synced, datetime.now(UTC) + timedelta(days=401))
    for table, where in LITTER.items():
        assert count(synced, f"ops.{table}", where) == 0, table


@ON_DUCKDB
def test_days_that_are_none_or_too_few_are_refused_before_anything_is_read(
    synced: Warehouse, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("soon", "30", "-1"):
        monkeypatch.setenv("HUBSYNC_KEEP_DAYS", wrong)
        outcome = hubsync("sync")
        assert outcome.code == 2
        assert f"31 or more, not '{wrong}'" in outcome.err
    monkeypatch.setenv("HUBSYNC_KEEP_DAYS", "90")
    assert retention.keep_days() == 90
