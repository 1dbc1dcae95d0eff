"""A sync builds what can have changed, and that is as good as building everything."""

from __future__ import annotations

import json
import os
import random
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.transform import release, transform
from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.run.conftest import ON_DUCKDB, Hubsync, query
from tests.run.test_night import People

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("HUBSYNC_TEST_EXAMPLES", "4"))


@pytest.fixture
def nodes(hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command; its exit code, and the names of the dbt nodes that it ran."""
    monkeypatch.setenv("HUBSYNC_LOG", "json")

    def run(*arguments: str) -> tuple[int, set[str]]:
        outcome = hubsync(*arguments)
        lines = [json.loads(x) for x in outcome.err.splitlines() if x.startswith("{")]
        ids = [line["node_id"] for line in lines if line["event"] == "node"]
        return outcome.code, {each.split(".")[2] for each in ids}

    return run


def layers(warehouse: Warehouse) -> dict[str, list[str]]:
    """Every row of every table and view that a run decides by."""
    relations = query(
        warehouse,
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_schema in ('staging', 'intermediate', 'ops') "
        "and (table_name like 'int\\_%' escape '\\' "
        "or table_name like 'stg\\_%' escape '\\' "
        "or table_name in ('access_plan', 'extract_guard', 'evidence_to_read')) "
        "order by 1",
    )
    return {
        name: sorted(str(row) for row in query(warehouse, f"select * from {name}"))
        for (name,) in relations
    }


def test_after_any_edits_what_a_run_builds_equals_building_everything(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    people = People(portal, portal.live_ids("companies")[:ROUNDS], seed=2)
    chance = random.Random(2)
    assert hubsync("sync").code in (0, 3)
    for number in range(ROUNDS):
        if number % 4 == 1:
            people.leave()
        elif number % 4 == 2:  # of people, not of customers
            for contact in chance.sample(portal.live_ids("contacts"), 5):
                portal.update("contacts", contact, {"jobtitle": f"round {number}"})
        elif number % 4 == 3:
            for deal in chance.sample(portal.live_ids("deals"), 5):
                stage = chance.choice(["closedwon", "closedlost", "contractsent"])
                portal.update("deals", deal, {"dealstage": stage})
        else:
            people.work(12)
        portal.clock.advance(chance.choice([60, 3_600, 40_000]))
        # Twice: the first reads histories and remembers signals, which the next knows.
        for _ in range(2):
            assert hubsync("plan").code in (0, 3)
        partly = layers(synced)
        now = query(synced, "select now_at from intermediate.int_clock")[0][0]
        assert isinstance(now, datetime)
        transform(synced, run_id="whole", now=now, publish=False)
        release()
        whole = layers(synced)
        assert partly.keys() == whole.keys()
        for name, rows in whole.items():
            assert partly[name] == rows, name
        assert hubsync("sync").code in (0, 3)


@ON_DUCKDB
def test_where_nothing_changed_only_what_reads_clock_app_or_decisions_is_built(
    synced: Warehouse, portal: Portal, nodes: Any
) -> None:
    assert nodes("sync")[0] == 0
    code, built = nodes("sync")
    assert code == 0
    assert not {name for name in built if name.startswith("stg_")}
    assert "deal_stages" not in built  # a seed
    assert {"int_clock", "int_access_verdicts", "access"} <= built

    portal.update("contacts", portal.live_ids("contacts")[0], {"jobtitle": "Queen"})
    _, built = nodes("sync")
    assert "stg_hubspot__contacts" in built
    assert not built & {"stg_hubspot__deals", "int_deals_judged", "deal_stages"}


@ON_DUCKDB
def test_after_a_crash_a_failure_or_dbt_by_hand_everything_is_built(
    synced: Warehouse, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nodes("sync")[0] == 0
    with monkeypatch.context() as death:
        death.setattr("pipelines.models.built", lambda *_: None)
        assert "stg_hubspot__deals" not in nodes("sync")[1]
    assert "stg_hubspot__deals" in nodes("sync")[1]
    assert "stg_hubspot__deals" not in nodes("sync")[1]

    release()
    command = "dbt run --project-dir dbt_project --profiles-dir . --select int_clock"
    environment = {**os.environ, "HUBSYNC_DUCKDB": str(synced.path)}
    subprocess.run(
        [ROOT / ".venv/bin" / command.split()[0], *command.split()[1:]],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    assert "stg_hubspot__deals" in nodes("sync")[1]


@ON_DUCKDB
def test_a_change_of_policy_or_a_day_has_everything_built(
    synced: Warehouse, portal: Portal, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nodes("sync")[0] == 0
    monkeypatch.setattr("pipelines.models._fingerprint", lambda: "other files")
    assert "deal_stages" in nodes("sync")[1]
    assert "deal_stages" not in nodes("sync")[1]
    portal.clock.advance(25 * 3600)
    assert "deal_stages" in nodes("sync")[1]
