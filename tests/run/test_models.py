"""A sync builds what can have changed, and that is as good as building everything."""

from __future__ import annotations

import json
import os
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest

from pipelines import models, ops
from pipelines.hubspot.state import ensure_state, note_raw_records, note_raw_tables
from pipelines.transform import release, transform
from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.conftest import Databases, administer
from tests.run.conftest import ON_DUCKDB, Hubsync, query
from tests.run.test_night import People

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("HUBSYNC_TEST_EXAMPLES", "2"))
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
        staying = [c for c in portal.live_ids("companies") if c not in self.leaving]
        one, other, third = chance.sample(staying, 3)
        portal.merge("companies", one, other)
        portal.archive("companies", third)
        if gone := portal.archived_ids("companies"):
            portal.restore("companies", chance.choice(gone))

    def first_deal(self, company: str) -> None:
        """What makes customers of a company's people, and is no edit of theirs."""
        won = {"dealname": "First", "pipeline": "default", "dealstage": "closedwon"}
        deal = self.portal.create("deals", won)
        self.portal.associate("deals", deal, "companies", company)

    def of_addresses(self, chance: random.Random, *, apart: bool) -> None:
        """Several contacts get one address, or most of them one of their own."""
        portal = self.portal
        shared = "office@example.com"
        live = portal.live_ids("contacts")
        if apart:
            records = [(c, portal.record("contacts", c)) for c in live]
            live = [c for c, r in records if r and r["properties"]["email"] == shared]
        for contact in chance.sample(live, min(12, max(0, len(live) - 1))):
            address = f"{contact}@example.com" if apart else shared
            portal.update("contacts", contact, {"email": address})

    def of_deals(self, chance: random.Random) -> None:
        for deal in chance.sample(self.portal.live_ids("deals"), 5):
            stage = chance.choice(["closedwon", "closedlost", "contractsent"])
            self.portal.update("deals", deal, {"dealstage": stage})
        company = chance.choice(self.portal.live_ids("companies"))
        self.portal.associate("deals", deal, "companies", company)

    def of_access(self, *, given: bool) -> None:
        """Those who are late with a payment get access all the same, or no longer."""
        until = self.portal.clock.now().date() + timedelta(days=9)
        granted = {
            "app_access_override": "grant",
            "app_access_override_until": until.isoformat(),
        }
        late = {
            edge[3]
            for edge in self.portal.edges()
            if edge[0] == "subscriptions"
            and edge[2] == "companies"
            and (record := self.portal.record("subscriptions", edge[1]))
            and record["properties"].get("hs_status") == "past_due"
        }
        for company in sorted(late & {*self.portal.live_ids("companies")}):
            change = granted if given else dict.fromkeys(granted, "")
            self.portal.update("companies", company, change)


def test_after_any_edits_what_a_run_builds_equals_building_everything(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    chance = random.Random(SEED)
    people = Everybody(portal, portal.live_ids("companies")[:ROUNDS], seed=SEED)
    assert hubsync("sync").code in (0, 3)
    customers = query(synced, "select customer_id from app.customers")
    peopled = {edge[3] for edge in portal.edges() if edge[0] == "contacts"}
    others = sorted(
        peopled & {*portal.live_ids("companies")} - {c for (c,) in customers}
    )
    assert others
    for number in range(ROUNDS):
        people.work(12)
        for company in others[number : number + 1]:
            people.first_deal(company)
        people.of_deals(chance)
        people.of_addresses(chance, apart=bool(number % 2))
        people.of_access(given=bool(number % 2))
        if number % 2:
            people.of_companies(chance)
        else:
            people.leave()
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
def test_dbt_by_hand_has_everything_built(synced: Warehouse, tmp_path: Path) -> None:
    assert query(synced, "select * from ops.models_built")
    command = "dbt run --project-dir dbt_project --profiles-dir . --select int_clock"
    environment = {**os.environ, "DBT_TARGET_PATH": str(tmp_path / "target")}
    subprocess.run(
        [ROOT / ".venv/bin" / command.split()[0], *command.split()[1:]],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    assert not query(synced, "select * from ops.models_built")


@ON_DUCKDB
@pytest.mark.parametrize(
    ("meanwhile", "everything"),
    [
        ("nothing", False),
        ("a few records were written", False),
        ("a table was written", False),
        ("a definition was written", True),
        ("another project", True),
        ("a crash of the database", True),
        ("the rest of the day", False),
        ("midnight", True),
        ("a run that came to nothing", True),
        ("a crash while models were built", True),
        ("--full", True),
    ],
)
def test_everything_is_built_unless_the_run_before_left_it_built(
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: str,
    everything: bool,
) -> None:
    manifest = Manifest(nodes={}, sources={"s": _source("deals"), "t": _source("x")})
    now = datetime(2026, 6, 1, tzinfo=UTC)

    def run(number: int, when: datetime = now, *, full: bool = False) -> models.Due:
        with warehouse.connect() as connection:
            connection.execute(
                "insert into ops.sync_runs (run_id, command, started_at, status) "
                "values (?, 'sync', ?, 'done')",
                (f"run {number}", now + timedelta(minutes=number)),
            )
            return models.take_due(
                connection, manifest, run_id=f"run {number}", now=when, everything=full
            )

    with warehouse.connect() as connection:
        ops.create_tables(connection)
        ensure_state(connection)
        connection.execute("create schema intermediate")
        connection.execute("create table intermediate.int_clock as select 1 as now_at")
    first = run(1)
    assert first.selection == ()
    with warehouse.connect() as connection:
        models.built(connection, first)
        if meanwhile == "a few records were written":
            note_raw_records(connection, "deals", "deals", ["1", "2"])
        if meanwhile == "a table was written":
            note_raw_tables(connection, ["deals"])
        if meanwhile == "a definition was written":
            note_raw_tables(connection, ["pipelines"])
    if meanwhile == "another project":
        monkeypatch.setattr(models, "fingerprint", lambda: "other files")
    if meanwhile == "a crash of the database":
        with warehouse.connect() as connection:
            connection.execute("delete from intermediate.int_clock")
    if meanwhile == "a run that came to nothing":
        with warehouse.connect() as connection:
            connection.execute(
                "insert into ops.sync_runs (run_id, command, started_at, status) "
                "values ('other', 'sync', ?, 'failed')",
                (now + timedelta(minutes=1, seconds=30),),
            )
    if meanwhile == "a crash while models were built":
        run(2)
        due = run(3)
    elif meanwhile == "the rest of the day":
        due = run(2, now + timedelta(hours=23, minutes=59))
    elif meanwhile == "midnight":
        due = run(2, now + timedelta(days=1))
    else:
        due = run(2, full=meanwhile == "--full")
    assert (due.selection == ()) is everything
    if meanwhile.endswith("written") and not everything:
        assert "source:hubspot_raw.deals+" in due.selection
        whole = ["deals"] if "table" in meanwhile else []
        assert due.variables == {"whole_tables": whole}


def _source(name: str) -> Any:
    return SimpleNamespace(name=name)


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
def test_autovacuum_leaves_alone_what_the_next_run_drops(synced: Warehouse) -> None:
    options = dict(
        query(
            synced,
            "select relname, coalesce(array_to_string(reloptions, ','), '') "
            "from pg_class where relnamespace = 'intermediate'::regnamespace",
        )
    )
    dropped = ("int_customers", "int_access_verdicts", "publish_verdicts")
    assert {options[name] for name in dropped} == {"autovacuum_enabled=false"}
    # Built by rows, so it stays, and its dead rows have to go.
    assert options["int_contacts"] == ""


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
def test_no_table_takes_a_view_with_it_when_it_goes(
    synced: Warehouse, hubsync: Hubsync, databases: Databases
) -> None:
    """Two tables of a run that go at the same time, each with the views over it, end in
    a deadlock now and then: PostgreSQL locks those views in no order."""
    inside = {**databases.superuser, "PGDATABASE": databases.name}
    administer(
        inside,
        """
        create table public.taken_along (statement text, view text);
        create function public.note_what_went() returns event_trigger
        language plpgsql security definer as $$ begin
            insert into public.taken_along
            select current_query(), object_identity
            from pg_event_trigger_dropped_objects()
            where object_type = 'view' and not original and exists (
                select 1 from pg_event_trigger_dropped_objects() as dropped
                where dropped.object_type = 'table' and dropped.original
            );
        end $$;
        create event trigger went on sql_drop execute function public.note_what_went();
        """,
    )
    query(synced, "delete from ops.models_built")  # so that everything is
    outcome = hubsync("sync")
    assert outcome.code == 0, outcome.err
    administer(inside, "grant select on public.taken_along to public")
    assert query(synced, "select view, statement from public.taken_along") == []
