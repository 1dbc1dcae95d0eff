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
SEED = int(os.environ.get("HUBSYNC_TEST_SEED", "2"))


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
        # What a run looks at, which is the fewer the less it builds.
        "and table_name not in ('int_contacts_before_run', "
        "'int_memberships_before_run') and table_name not like '%touched' "
        "order by 1",
    )
    return {
        name: sorted(str(row) for row in query(warehouse, f"select * from {name}"))
        for (name,) in relations
    }


def people_that_differ(warehouse: Warehouse) -> int:
    """Rows of app that are not what the models say, or the other way around."""
    tables = {
        "contacts": "contact_id, email, job_title, record_state",
        "memberships": "contact_id, customer_id, is_primary, labels",
    }
    return sum(
        len(
            query(
                warehouse,
                f"(select {columns} from {one} except select {columns} from {other})",
            )
        )
        for table, columns in tables.items()
        for one, other in (
            (f"app.{table}", f"intermediate.int_{table}"),
            (f"intermediate.int_{table}", f"app.{table}"),
        )
    )


class Everybody(People):
    """Those who edit companies as well."""

    def of_companies(self, chance: random.Random) -> None:
        portal = self.portal
        one, other, third = chance.sample(portal.live_ids("companies"), 3)
        portal.merge("companies", one, other)
        portal.archive("companies", third)
        if gone := portal.archived_ids("companies"):
            portal.restore("companies", chance.choice(gone))

    def of_deals(self, chance: random.Random) -> None:
        for deal in chance.sample(self.portal.live_ids("deals"), 5):
            stage = chance.choice(["closedwon", "closedlost", "contractsent"])
            self.portal.update("deals", deal, {"dealstage": stage})
        company = chance.choice(self.portal.live_ids("companies"))
        self.portal.associate("deals", deal, "companies", company)


def test_after_any_edits_what_a_run_builds_equals_building_everything(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    chance = random.Random(SEED)
    people = Everybody(portal, portal.live_ids("companies")[:ROUNDS], seed=SEED)
    assert hubsync("sync").code in (0, 3)
    for number in range(ROUNDS):
        people.work(12)
        if number % 3 == 0:
            people.leave()
        elif number % 3 == 1:
            people.of_companies(chance)
        else:
            people.of_deals(chance)
        portal.clock.advance(chance.choice([60, 3_600, 40_000]))
        if number % 2:  # what a plan has built is still to be published
            assert hubsync("plan").code in (0, 3)
            people.work(4)
            portal.clock.advance(60)
        assert hubsync("sync").code in (0, 3)
        assert people_that_differ(synced) == 0
        if number % 2 == 0 and number + 1 < ROUNDS:
            continue  # after building everything the next run publishes everything
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
