"""The OpenMetrics file and the JSON log: read by parsers that are not ours."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server
from tests.run.conftest import ON_DUCKDB, Hubsync, query


def samples(path: Path) -> list[Sample]:
    """As OpenMetrics, which the older format must agree with to the value."""
    text = path.read_text()
    found = [
        s for family in text_string_to_metric_families(text) for s in family.samples
    ]
    older = [
        s for each in parser.text_string_to_metric_families(text) for s in each.samples
    ]
    assert [(s.name, s.labels, s.value) for s in found] == [
        (s.name, s.labels, s.value) for s in older
    ]
    return found


def value(path: Path, name: str, **labels: str) -> float:
    (found,) = (
        sample.value
        for sample in samples(path)
        if sample.name == f"hubsync_{name}" and labels.items() <= sample.labels.items()
    )
    return float(found)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hubsync.prom"
    monkeypatch.setenv("HUBSYNC_METRICS", str(path))
    return path


def test_every_sync_writes_what_it_did_and_status_the_same(
    synced: Warehouse, portal: Portal, hubsync: Hubsync, file: Path, tmp_path: Path
) -> None:
    ((company,),) = query(
        synced,
        "select min(customer_id) from app.access "
        "where is_enabled and reason_code = 'SUBSCRIPTION_ACTIVE'",
    )
    # HubSpot's history has whole seconds, and an edit within the one of the first
    # publication is no latency.
    with synced.connect() as connection:
        connection.execute(
            "update ops.sync_runs set published_at = published_at - interval '1 hour'"
        )
    portal.update("companies", company, {"customer_status": "churned"})
    begin = time.time() - 2  # a run is dated by HubSpot's clock, of whole seconds
    outcome = hubsync("sync", "--json")
    assert outcome.code == 0, outcome.err
    done = json.loads(outcome.out)
    assert value(file, "last_exit_code") == 0
    assert begin <= value(file, "data_timestamp_seconds")
    assert value(file, "last_success_timestamp_seconds") <= time.time()
    assert value(file, "held_changes") == 0
    assert value(file, "access_changes") == 1
    assert value(file, "api_calls") == done["api_calls"]
    assert value(file, "rows_changed", layer="raw", table="companies") == 1
    assert value(file, "rows_changed", layer="app", table="access") == 1
    assert value(file, "access_latency_median_seconds") > 0
    assert {s.labels["portal"] for s in samples(file)} == {str(portal.portal_id)}
    severities = {
        s.labels["severity"]: s.value
        for s in samples(file)
        if s.name == "hubsync_findings"
    }
    assert severities == done["findings"]

    asked = tmp_path / "asked.prom"
    assert hubsync("status", "--metrics", str(asked)).code == 0
    assert asked.read_text() == file.read_text()
    assert not list(tmp_path.glob(".*.new"))


@ON_DUCKDB
def test_a_sync_that_fails_says_so_and_keeps_when_the_last_one_published(
    synced: Warehouse,
    hubsync: Hubsync,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "")
    assert hubsync("sync").code == 2
    assert value(file, "last_exit_code") == 2
    assert value(file, "last_success_timestamp_seconds") < time.time()


@ON_DUCKDB
def test_metrics_that_cannot_be_written_fail_no_sync(
    synced: Warehouse, hubsync: Hubsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSYNC_METRICS", "/nowhere/hubsync.prom")
    outcome = hubsync("sync", "--json")
    assert outcome.code == 0
    notes = " ".join(json.loads(outcome.out)["notes"])
    assert "The metrics were not written: /nowhere/hubsync.prom" in notes
    assert hubsync("status", "--metrics", "/nowhere/hubsync.prom").code == 1


@ON_DUCKDB
def test_before_the_first_sync_the_file_is_valid_and_no_database_is_made(
    warehouse: Warehouse, hubsync: Hubsync, tmp_path: Path
) -> None:
    path = tmp_path / "hubsync.prom"
    assert hubsync("status", "--metrics", str(path)).code == 1
    assert [s.name for s in samples(path)] == ["hubsync_held_changes"]
    assert warehouse.path is not None
    assert not warehouse.path.exists()


@ON_DUCKDB
def test_the_log_is_json_with_the_id_of_the_run_and_nothing_else(
    synced: Warehouse,
    portal: Portal,
    server: Server,
    hubsync: Hubsync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HUBSYNC_LOG", "json")
    outcome = hubsync("sync", "--json")
    lines = [json.loads(line) for line in outcome.err.splitlines()]
    assert {line["run_id"] for line in lines} == {json.loads(outcome.out)["run_id"]}
    events = [line["event"] for line in lines]
    assert events[0] == "started"
    assert events[-1] == "finished"
    assert {"step", "loaded", "node"} < set(events)
    assert lines[-1]["exit_code"] == 0

    monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", "pat-not-a-token-of-anybody")
    refused = hubsync("sync")
    assert refused.code == 2
    assert "pat-not-a-token-of-anybody" not in refused.err
    *_, finished, said = [json.loads(line) for line in refused.err.splitlines()]
    assert (finished["status"], finished["exit_code"]) == ("misconfigured", 2)
    assert said["event"] == "message"
    assert "token" in said["text"]
