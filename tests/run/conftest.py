"""The command line as a scheduler sees it: arguments in, exit code and text out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.cli import main
from pipelines.warehouse import Warehouse
from sandbox import Portal, Server, serve
from tests.conftest import Databases

PORTAL_SIZE = 40  # companies

# For promises that no engine could break by itself.
ON_DUCKDB = pytest.mark.parametrize("target", ["duckdb"], indirect=True)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Hubsync = Callable[..., Outcome]


@pytest.fixture
def hubsync(capsys: pytest.CaptureFixture[str]) -> Hubsync:
    """Run `hubsync …` in this process."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse: --help and usage errors
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def duckdb_after_a_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file after one sync of the example portal; to be copied."""
    path = tmp_path_factory.mktemp("synced") / "hubsync.duckdb"
    with _first_sync(HUBSYNC_TARGET="duckdb", HUBSYNC_DUCKDB=str(path)):
        # dbt's connection lives on in this process, so the end of the run may still
        # be in the log beside the file, which a copy of the file would miss.
        with duckdb.connect(str(path)) as connection:
            connection.execute("checkpoint")
        return path


@pytest.fixture(scope="session")
def postgres_after_a_sync(databases: Databases) -> Iterator[str]:
    """A PostgreSQL database after one sync of the example portal; a template."""
    databases.drop(databases.name)
    with _first_sync(**databases.create(databases.name), HUBSYNC_TARGET="postgres"):
        name = databases.put_aside(databases.name)
        yield name
    databases.drop(name)


@contextmanager
def _first_sync(**settings: str) -> Iterator[None]:
    portal = Portal.example(companies=PORTAL_SIZE, seed=1)
    with pytest.MonkeyPatch.context() as patch, serve(portal, port=0) as server:
        patch.setenv("SOURCES__HUBSPOT__BASE_URL", server.url)
        patch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", portal.token)
        patch.setenv("SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS", "5000")
        patch.setenv("HUBSYNC_REPORT", "")
        for name, value in settings.items():
            patch.setenv(name, value)
        assert main(["sync"]) == 0
    yield


@pytest.fixture
def synced(
    request: pytest.FixtureRequest, warehouse: Warehouse, server: Server
) -> Warehouse:
    """`warehouse` after one sync of `portal`, without waiting for that sync again."""
    template = request.getfixturevalue(f"{warehouse.target}_after_a_sync")
    if warehouse.path is not None:
        shutil.copy(template, warehouse.path)
        return warehouse
    databases: Databases = request.getfixturevalue("databases")
    databases.drop(databases.name)
    databases.create(databases.name, template)
    return warehouse


@pytest.fixture
def portal() -> Portal:
    """The example portal, as the fixtures above have synced it."""
    return Portal.example(companies=PORTAL_SIZE, seed=1)


@pytest.fixture
def failing_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries instead of six, for tests of what happens when they are used up."""
    monkeypatch.setenv("SOURCES__HUBSPOT__ATTEMPTS", "2")


def query(warehouse: Warehouse, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with warehouse.connect() as connection:
        return connection.execute(sql, parameters)


def app_rows(warehouse: Warehouse) -> dict[str, list[str]]:
    """Every row of every table of `app`, on PostgreSQL with the transaction that wrote
    it: equal before and after means that no row was touched."""
    tables = query(
        warehouse,
        "select table_name from information_schema.tables where table_schema = 'app' "
        "and table_type = 'BASE TABLE' order by table_name",
    )
    xmin = "xmin::text" if warehouse.target == "postgres" else "''"
    return {
        table: sorted(
            map(
                str,
                query(warehouse, f"select {xmin}, cast(t as text) from app.{table} t"),
            )
        )
        for (table,) in tables
    }
