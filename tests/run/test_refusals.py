"""What can go wrong before publishing: the exit code, the sentence, an unharmed app."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import policy
from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from tests.run.conftest import ON_DUCKDB, Hubsync, app_rows, query

pytestmark = pytest.mark.usefixtures("failing_fast")


def last_run(warehouse: Warehouse) -> tuple[str, int]:
    (row,) = query(
        warehouse,
        "select status, exit_code from ops.sync_runs order by started_at desc limit 1",
    )
    return (str(row[0]), int(row[1]))


def test_without_a_token_it_says_how_to_get_one(
    duckdb_file: Path, hubsync: Hubsync
) -> None:
    outcome = hubsync("sync")
    assert outcome.code == 2
    assert "Service keys" in outcome.err
    assert "SOURCES__HUBSPOT__ACCESS_TOKEN" in outcome.err
    assert not duckdb_file.exists()


def test_a_wrong_token_is_refused_and_never_shown(
    warehouse: Warehouse,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = "pat-eu1-00000000-wrong-token"
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", wrong)
    outcome = hubsync("sync")
    assert outcome.code == 2
    assert "does not accept the access token" in outcome.err
    assert wrong not in outcome.err + outcome.out
    assert last_run(warehouse) == ("misconfigured", 2)


def test_a_missing_scope_is_named_with_its_object(
    duckdb_file: Path,
    portal: Portal,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = (
        "companies contacts line_items products subscriptions tickets custom owners"
    )
    scopes = [f"crm.objects.{name}.read" for name in objects.split()]
    portal.add_token("narrow-token", scopes=scopes)
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "narrow-token")
    outcome = hubsync("sync")
    assert outcome.code == 2
    assert "may not read deals" in outcome.err
    assert "scope crm." in outcome.err
    assert ".deals.read" in outcome.err


def test_an_unreachable_host_ends_after_bounded_tries_with_nothing_published(
    synced: Warehouse,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = app_rows(synced)
    with socket.socket() as unused:  # bound, never listening: refuses connections
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", f"http://127.0.0.1:{port}")
        outcome = hubsync("sync")
    assert outcome.code == 1
    assert "after 2 tries" in outcome.err
    assert "othing was published" in outcome.err
    assert app_rows(synced) == before
    assert last_run(synced) == ("failed", 1)


def test_a_policy_row_about_a_stage_that_is_not_there_stops_before_loading(
    duckdb_file: Path,
    server: Server,
    hubsync: Hubsync,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds = tmp_path / "seeds"
    shutil.copytree(policy.SEEDS, seeds)
    with (seeds / "deal_stages.csv").open("a") as handle:
        handle.write("deals,renewal,renewal_lots,lost,error\n")
    monkeypatch.setattr(policy, "SEEDS", seeds)
    outcome = hubsync("sync")
    assert outcome.code == 2
    assert "deal_stages.csv line 4" in outcome.err
    assert "the nearest is 'renewal_lost'" in outcome.err
    assert not Warehouse.from_environment().relation_exists("hubspot_raw", "companies")


def test_a_second_sync_at_the_same_time_ends_with_75(
    warehouse: Warehouse, server: Server, hubsync: Hubsync
) -> None:
    with warehouse.lock():
        outcome = hubsync("sync")
    assert outcome.code == 75
    assert "Another sync is running" in outcome.err
    assert server.requests == []


@ON_DUCKDB
def test_a_stopped_sync_says_so_and_the_next_one_completes_and_marks_a_killed_one(
    synced: Warehouse, portal: Portal, server: Server, hubsync: Hubsync
) -> None:
    portal.latency_seconds = 0.5
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "sync"],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not server.requests and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Stopped" in err
    assert "Traceback" not in err
    assert last_run(synced) == ("interrupted", 1)
    portal.latency_seconds = 0.0
    with synced.connect() as connection:
        connection.execute(
            "insert into ops.sync_runs (run_id, command, started_at, status) "
            "values ('killed', 'sync', current_timestamp, 'running')"
        )
    assert hubsync("sync").code == 0
    rows = query(synced, "select status from ops.sync_runs where run_id = 'killed'")
    assert rows == [("interrupted",)]


def test_the_token_is_in_no_output_file_or_table(
    synced: Warehouse,
    portal: Portal,
    hubsync: Hubsync,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = "pat-na1-b8f1d7a0-needle-in-haystack"
    portal.add_token(token)
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", token)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    outcomes = [hubsync("sync"), hubsync("check"), hubsync("status"), hubsync("plan")]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0, 0]
    portal.add_token(token, scopes=["crm.objects.owners.read"])
    outcomes.append(hubsync("sync"))
    assert outcomes[-1].code == 2
    for outcome in outcomes:
        assert token not in outcome.out + outcome.err
    target = policy.SEEDS.parents[1] / "target"
    for path in [*tmp_path.rglob("*"), *target.rglob("*")]:
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
    tables = query(
        synced,
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('pg_catalog', 'information_schema')",
    )
    assert len(tables) > 30
    for schema, table in tables:
        rows = query(synced, f'select * from "{schema}"."{table}"')
        assert token not in str(rows), f"{schema}.{table}"
