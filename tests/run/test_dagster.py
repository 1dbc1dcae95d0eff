"""The code location of deploy/dagster: one sync per portal, told as assets and checks.

Two portals beside each other, each with a database; then one's data is broken.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal, Server, serve
from tests.run.conftest import PORTAL_SIZE, query

CODE = Path(__file__).resolve().parents[2] / "deploy" / "dagster" / "definitions.py"


@pytest.fixture(scope="module")
def code() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hubsync_location", CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where Dagster looks annotations up
    spec.loader.exec_module(module)
    return module


@dataclass
class Location:
    """The loaded code location, its portals' databases, and where Dagster records."""

    definitions: dg.Definitions
    warehouses: dict[str, Warehouse]
    servers: dict[str, Server]
    instance: dg.DagsterInstance

    def sync(self, portal: str) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def("sync_portal")
        return job.execute_in_process(
            partition_key=portal, instance=self.instance, raise_on_error=False
        )


@pytest.fixture(scope="module")
def location(
    code: ModuleType,
    duckdb_after_a_sync: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Location]:
    folder = tmp_path_factory.mktemp("portals")
    portals = {name: Portal.example(companies=PORTAL_SIZE, seed=1) for name in "ab"}
    with (
        serve(portals["a"], port=0) as a,
        serve(portals["b"], port=0) as b,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        warehouses = {}
        for name, server in {"a": a, "b": b}.items():
            path = folder / name / "hubsync.duckdb"  # dbt's parse goes by its name
            path.parent.mkdir()
            shutil.copy(duckdb_after_a_sync, path)
            warehouses[name] = Warehouse("duckdb", path=path)
            write_environment(folder / f"{name}.env", server, portals[name], path)
        definitions = code.definitions(folder)
        yield Location(definitions, warehouses, {"a": a, "b": b}, instance)


def write_environment(file: Path, server: Server, portal: Portal, path: Path) -> None:
    file.write_text(
        f"SOURCES__HUBSPOT__BASE_URL={server.url}\n"
        f"SOURCES__HUBSPOT__ACCESS_TOKEN='{portal.token}'\n"
        "SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS=5000\n"
        f"HUBSYNC_TARGET=duckdb\nHUBSYNC_DUCKDB={path}\n"
    )


@pytest.fixture(scope="module")
def synced_by_dagster(location: Location) -> dict[str, dg.ExecuteInProcessResult]:
    with location.warehouses["a"].connect() as connection:  # all that it can build
        connection.execute("delete from ops.models_built")
    return {name: location.sync(name) for name in ("a", "b")}


def runs(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    sql = "select command, status, exit_code from ops.sync_runs order by started_at"
    return query(warehouse, sql)


def materialised(result: dg.ExecuteInProcessResult) -> set[dg.AssetKey]:
    found = (each.asset_key for each in result.get_asset_materialization_events())
    return {key for key in found if key is not None}


def test_every_table_is_an_asset_and_every_data_test_a_check_of_one(
    code: ModuleType, location: Location
) -> None:
    manifest = code.read_manifest()
    nodes = manifest["nodes"].values()
    graph = location.definitions.resolve_asset_graph()
    tables = [n for n in nodes if n["resource_type"] in ("model", "seed")]
    assert {
        dg.AssetKey([n["schema"], n["name"]])
        for n in (*tables, *manifest["sources"].values())
    } == set(graph.get_all_asset_keys())
    assert {n["name"] for n in nodes if n["resource_type"] == "test"} == {
        key.name for key in graph.asset_check_keys
    }


def test_nothing_but_the_code_location_knows_dagster() -> None:
    root = CODE.parents[2]
    for folder in ("pipelines", "dbt_project"):
        for path in (root / folder).rglob("*.*"):
            if path.suffix in (".py", ".sql", ".yml"):
                assert "dagster" not in path.read_text(), path


def test_the_lineage_goes_from_raw_to_app(location: Location) -> None:
    graph = location.definitions.resolve_asset_graph()
    access, companies = dg.AssetKey(["app", "access"]), ["hubspot_raw", "companies"]
    left = dg.AssetSelection.assets(access).upstream().resolve(graph)
    assert dg.AssetKey(companies) in left


def test_the_two_portals_are_synced_each_into_its_own_database(
    location: Location, synced_by_dagster: dict[str, dg.ExecuteInProcessResult]
) -> None:
    graph = location.definitions.resolve_asset_graph()
    everything = set(graph.get_all_asset_keys())
    for name, result in synced_by_dagster.items():
        assert result.success
        made = materialised(result)
        assert made == everything if name == "a" else made < everything
        assert dg.AssetKey(["app", "access"]) in made
        checks = list(result.get_asset_check_evaluations())
        assert {check.asset_check_key for check in checks} == graph.asset_check_keys
        assert all(check.passed for check in checks)
        assert runs(location.warehouses[name]) == [("sync", "done", 0)] * 2
        (run,) = location.instance.get_runs(dg.RunsFilter([result.run_id]))
        newest = query(
            location.warehouses[name], "select max(run_id) from ops.sync_runs"
        )
        assert run.tags["hubsync/run_id"] == newest[0][0]
        assert run.tags["dagster/partition"] == name


def test_a_broken_data_test_is_a_failed_check_and_publishes_nothing(
    location: Location, synced_by_dagster: dict[str, dg.ExecuteInProcessResult]
) -> None:
    broken = location.warehouses["a"]
    published = query(broken, "select * from app.access order by customer_id")
    with broken.connect() as connection:
        connection.execute("insert into hubspot_raw.portal (portal_id) values ('5678')")
    result = location.sync("a")
    assert not result.success
    failed = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert "assert_there_is_one_portal" in {check.check_name for check in failed}
    assert dg.AssetKey(["app", "access"]) not in materialised(result)
    assert dg.AssetKey(["hubspot_raw", "companies"]) in materialised(result)
    step = result.failure_data_for_node("sync")
    assert step is not None
    assert step.user_failure_data is not None
    assert "Nothing was published" in str(step.user_failure_data.description)
    assert query(broken, "select * from app.access order by customer_id") == published
    assert runs(broken)[-1] == ("sync", "inconsistent", 4)
    assert runs(location.warehouses["b"])[-1] == ("sync", "done", 0)


def test_the_schedule_starts_no_second_run_of_a_portal(location: Location) -> None:
    schedule = location.definitions.resolve_schedule_def("every_portal")
    job = location.definitions.resolve_job_def("sync_portal")
    with dg.instance_for_test() as instance:
        instance.create_run_for_job(
            job, tags={"dagster/partition": "a"}, status=dg.DagsterRunStatus.STARTED
        )
        repository = location.definitions.get_repository_def()
        context = dg.build_schedule_context(instance, repository_def=repository)
        requests = schedule.evaluate_tick(context).run_requests
    assert requests is not None
    assert [request.partition_key for request in requests] == ["b"]


def test_a_sync_that_finds_another_one_is_tried_again_and_never_runs_beside_it(
    code: ModuleType, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "BUSY_RETRIES", 1)
    monkeypatch.setattr(code, "BUSY_SECONDS", 0)
    before = runs(location.warehouses["b"])
    with location.warehouses["b"].lock():
        result = location.sync("b")
    assert not result.success
    assert result.retry_attempts_for_node("sync") == 1
    assert materialised(result) == set()
    assert runs(location.warehouses["b"]) == before


def test_two_portals_in_one_database_are_refused(
    code: ModuleType, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.env").write_text("HUBSYNC_DUCKDB=one.duckdb\n")
    with pytest.raises(ValueError, match=r"a and b name the same database"):
        code.read_portals(tmp_path)
    with pytest.raises(ValueError, match=r"has no file NAME\.env"):
        code.read_portals(tmp_path / "empty")
