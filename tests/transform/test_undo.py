"""A run is taken back for exactly those whom nothing has changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines import ops
from pipelines.errors import AlreadyRunning, ConfigurationError
from pipelines.undo import Undone, undo
from pipelines.warehouse import Warehouse
from tests.transform.conftest import NOW, Database
from tests.transform.portal import Portal
from tests.transform.test_breaker import (
    churn,
    customers,
    enabled,
    events,
    held,
    numbered,
)

COLUMNS = (
    "access_level",
    "is_enabled",
    "is_churned",
    "reason_code",
    "cast(evidence as text)",
    "effective_at",
    "access_until",
)


def warehouse(database: Database) -> Warehouse:
    """The database as `hubsync` sees it, with the tables that a sync makes."""
    path = database.environment["HUBSYNC_DUCKDB"]
    made = (
        Warehouse("duckdb", path=Path(path))
        if database.target == "duckdb"
        else Warehouse("postgres")
    )
    with made.connect() as connection:
        ops.create_tables(connection)
    return made


def publish(
    database: Database,
    portal: Portal | None,
    run_id: str,
    now: str = NOW,
    *,
    tested: bool = False,
) -> None:
    """A sync of that id, `tested` with the tests that a sync has."""
    database.run(
        "insert into ops.sync_runs (run_id, command, started_at, status, changes)"
        " values (%s, 'sync', %s, 'done', 1)",
        (run_id, now),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUBSYNC_RUN_ID", run_id)
        database.publish(portal, now=now, tested=tested)


def take_back(made: Warehouse, run_id: str) -> Undone:
    return undo(made, run_id, by="Ann", reason='a "wrong" import')


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["customer_id"] for row in rows}


def test_an_undo_restores_exactly_the_accounts_of_its_run_until_evidence_changes(
    database: Database, portal: Portal
) -> None:
    made = warehouse(database)
    everyone = numbered(14)
    mistake, new = everyone[:5], "new"
    customers(portal, *everyone)
    for id in everyone:
        portal.deal(f"d-{id}", contract_end_date="2026-12-31")
    publish(database, portal, "fill")
    was = database.access(*COLUMNS)

    churn(portal, *mistake)
    customers(portal, new)
    publish(database, portal, "wrong")
    # Afterwards one comes back by itself, one also loses its subscription, and one
    # is merged.
    back, other, merged = mistake[2:]
    portal.company(back, customer_status="active")
    portal.merge(everyone[6], merged)
    portal.gone("companies", merged, "merged", _archived_at="2026-06-15T12:30:00Z")
    portal.company(
        other, app_access_override="deny", app_access_override_until="2026-07-01"
    )
    publish(database, portal, "after", "2026-06-15T12:45:00Z")

    done = take_back(made, "wrong")
    assert ids(done.restored) == {*mistake[:2], new}
    reasons = {row["customer_id"]: row["why_not"] for row in done.skipped}
    assert reasons.keys() == {back, other, merged}
    assert reasons[back] == "changed since, SUBSCRIPTION_ACTIVE by run after"
    assert reasons[other] == "rests on something else since, OVERRIDE_DENY by run after"
    assert "since" in reasons[merged]
    now = database.access(*COLUMNS)
    for id in mistake[:2]:
        assert now[id] == was[id], "the whole verdict is back, its end date too"
        assert database.access("version")[id] == 3
        event = events(database, id)[-1]
        assert (event["reason_code"], event["approved_by"]) == ("UNDONE", "Ann")
        assert event["run_id"] == done.run_id
        assert event["evidence"] == {
            "undone_run_id": "wrong",
            "undone_event_id": events(database, id)[-2]["event_id"],
            "reason": 'a "wrong" import',
        }
    assert now[new][:2] == ("none", False), "what the run gave is taken again"
    assert database.run(
        "select status, changes from ops.sync_runs where command = 'undo'"
    ) == [("done", 3)]

    again = take_back(made, "wrong")
    assert again.restored == []
    assert f"undone already, by run {done.run_id}" in {
        row["why_not"] for row in again.skipped
    }

    # The same evidence is ignored, also after an edit that decides nothing ...
    portal.company(mistake[0], phone="edited")
    publish(database, portal, "next", "2026-06-15T13:00:00Z", tested=True)
    assert enabled(database) >= set(mistake[:2])
    assert new not in enabled(database)
    assert held(database) == dict.fromkeys((*mistake[:2], new), "UNDONE")
    # ... new evidence is not.
    portal.company(mistake[0], customer_status="active")
    portal.company(
        mistake[1], app_access_override="deny", app_access_override_until="2026-07-01"
    )
    publish(database, portal, "mended", "2026-06-15T14:00:00Z")
    assert mistake[0] in enabled(database)
    assert mistake[1] not in enabled(database)


def test_an_undo_can_be_undone_and_ends_where_the_access_would_have_ended(
    database: Database, portal: Portal
) -> None:
    made = warehouse(database)
    customers(portal, "1", "2")
    portal.deal("d-1", contract_end_date="2099-06-30")
    portal.deal("d-2", contract_end_date="2026-06-30")
    publish(database, portal, "fill")
    churn(portal, "1", "2")
    publish(database, portal, "wrong")
    was = database.access(*COLUMNS)
    # An undo works by the real clock, at which the other's grace is over.
    done = take_back(made, "wrong")
    assert ids(done.restored) == {"1"}
    assert [row["why_not"] for row in done.skipped] == [
        "its access would have ended by itself on 2026-07-15"
    ]
    redone = take_back(made, done.run_id)
    assert ids(redone.restored) == {"1"}
    assert database.access(*COLUMNS) == was
    third = take_back(made, redone.run_id)
    assert ids(third.restored) == {"1"}
    publish(database, None, "next")
    assert enabled(database) == {"1"}
    publish(database, None, "long after", "2099-12-31T00:00:00Z")
    assert enabled(database) == set()
    assert held(database) == {}


def test_an_undo_of_nothing_says_so_and_waits_for_no_one(
    database: Database, portal: Portal
) -> None:
    made = warehouse(database)
    customers(portal, "1")
    publish(database, portal, "20260615T120000Z-aaaa")
    database.run(
        "insert into ops.sync_runs (run_id, command, started_at, status)"
        " values ('20260615T130000Z-bbbb', 'sync', %s, 'done')",
        (NOW,),
    )
    with pytest.raises(ConfigurationError, match="20260615T120000Z-aaaa"):
        take_back(made, "20260615T120000Z")
    with pytest.raises(ConfigurationError, match="--by and --reason"):
        undo(made, "20260615T120000Z-aaaa", by="Ann", reason=" ")
    with made.lock(), pytest.raises(AlreadyRunning):
        take_back(made, "20260615T120000Z-aaaa")
    nothing = take_back(made, "20260615T130000Z-bbbb")
    assert (nothing.restored, nothing.skipped) == ([], [])
    assert enabled(database) == {"1"}
