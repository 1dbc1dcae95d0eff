"""Both databases, dbt in this process, and one parse per engine for all tests."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import psycopg2
import pytest
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from pipelines.models import selection
from tests.conftest import Databases
from tests.transform.portal import Portal

ROOT = Path(__file__).resolve().parents[2]
# All but staging: its views are made anew where they have to be, its seeds stay.
SCHEMAS = ("app", "ops", "hubspot", "intermediate", "hubspot_raw")
NOW = "2026-06-15T12:00:00Z"


@dataclass
class Database:
    """A database of one engine with a raw layer, and dbt to build the others."""

    target: str
    environment: dict[str, str]
    work: Path
    manifest: Manifest | None = None
    # What the models were built of, and of what they would be built now.
    staged: object = None
    shape: object = None
    loaded: dict[str, object] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """Let the environment name this database, as a user's would."""
        for name, value in self.environment.items():
            patch.setenv(name, value)

    def run(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute in a transaction of its own; `%s` placeholders."""
        if not sql.lstrip().startswith("select") and any(
            word in sql
            for word in ("staging.", "intermediate.", "hubspot_raw.", "drop ")
        ):
            self.staged = None  # a seed, say, of which all may have been made
        if self.target == "duckdb":
            with duckdb.connect(self.environment["HUBSYNC_DUCKDB"]) as connection:
                connection.execute("set timezone = 'UTC'")
                return connection.execute(sql.replace("%s", "?"), parameters).fetchall()
        # `with` on a psycopg2 connection commits and leaves it open.
        opened = psycopg2.connect(
            options="-c timezone=UTC -c client_min_messages=error"
        )
        try:
            with opened, opened.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            opened.close()

    def clear(self) -> None:
        for schema in SCHEMAS:
            self.run(f"drop schema if exists {schema} cascade")
        self.staged = None

    def load(self, portal: Portal) -> None:
        """Make the raw layer say what the portal says, as the loader would."""
        statements = ["create schema if not exists hubspot_raw"]
        tables = portal.tables()
        self.shape = (
            {name: list(columns) for name, (columns, _) in tables.items()},
            [tables[name][1] for name in ("properties", "object_types")],
        )
        for name, (columns, rows) in tables.items():
            if self.loaded.get(name) == (columns, rows) and self.staged is not None:
                continue
            self.changed.add(name)
            self.loaded[name] = deepcopy((columns, rows))
            typed = ", ".join(f'"{key}" {type}' for key, type in columns.items())
            table = f"hubspot_raw.{name}"
            if self._columns(name) != set(columns):
                statements.append(f"drop table if exists {table} cascade")
            statements.append(f"create table if not exists {table} ({typed})")
            statements.append(f"delete from {table}")
            names = ", ".join(f'"{key}"' for key in columns)
            values = ",\n".join(
                f"({', '.join(_literal(row.get(key)) for key in columns)})"
                for row in rows
            )
            if rows:
                assert {key for row in rows for key in row} <= set(columns), name
                statements.append(f"insert into {table} ({names}) values {values}")
        with self.as_it_was():
            self.run(";\n".join(statements))

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """What this runs is no reason to build everything."""
        staged = self.staged
        yield
        self.staged = staged

    def _columns(self, name: str) -> set[str]:
        rows = self.run(
            "select column_name from information_schema.columns"
            " where table_schema = 'hubspot_raw' and table_name = %s",
            (name,),
        )
        return {row[0] for row in rows}

    def dbt(self, *arguments: str, now: str = NOW) -> Any:
        """Run dbt in this process; returns dbt's own result."""
        command = [
            *arguments,
            *("--project-dir", str(ROOT / "dbt_project")),
            *("--profiles-dir", str(ROOT)),
            *("--target", self.target),
            *("--target-path", str(self.work / "target")),
            *("--log-path", str(self.work / "logs")),
            *("--vars", f"{{now: '{now}'}}"),
            # Nobody reads its log, and writing it is a tenth of a run.
            *("--log-level", "none"),
            *("--log-level-file", "none"),
            "--quiet",
            "--no-write-json",
        ]
        return dbtRunner(manifest=self.manifest).invoke(command)

    def publish(
        self, portal: Portal | None = None, now: str = NOW, *, tested: bool = False
    ) -> None:
        """Load and publish. `tested`: with every data test, as a sync does. Else
        without the tests that other tests are about, and without the models that
        would be the same."""
        if portal is not None:
            self.load(portal)
        command = ["build", "--exclude-resource-type", "unit_test"]
        if not tested:
            command = ["run"]
            if self.staged is not None and self.staged == self.shape:
                assert self.manifest is not None
                command += ["--select", *selection(self.manifest, self.changed)]
        result = self.dbt(*command, now=now)
        assert result.success, failures(result)
        self.staged = self.shape
        self.changed = set()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table in a stable order; on PostgreSQL with `xmin`, the
        transaction that last wrote the row."""
        schema, name = table.split(".")
        names = [
            row[0]
            for row in self.run(
                "select column_name from information_schema.columns"
                " where table_schema = %s and table_name = %s"
                " order by ordinal_position",
                (schema, name),
            )
        ]
        written = ", xmin::text" if self.target == "postgres" else ", null"
        found = self.run(f"select *{written} from {table} order by 1, 2")
        return [dict(zip([*names, "xmin"], row, strict=True)) for row in found]

    def access(self, *columns: str) -> dict[str, Any]:
        """Customer to its value, or values, in app.access."""
        names = columns or ("is_enabled", "reason_code")
        rows = self.run(f"select customer_id, {', '.join(names)} from app.access")
        return {row[0]: row[1] if len(row) == 2 else row[1:] for row in rows}


def failures(result: Any) -> str:
    """What went wrong in a dbt run, a line per node."""
    if result.exception:
        return str(result.exception)
    return "\n".join(
        f"{getattr(item, 'node', item).unique_id}: {item.message}"
        for item in result.result or []
        if item.status not in ("success", "pass", "skipped")
    )


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int):
        return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


# What these promise is judged by models that say the same on both engines, and each of
# them takes half a minute: in `make test` each runs on one engine, half of them on
# either; `make test-deep` runs all on both.
ONE_ENGINE_EACH = ("breaker", "histories", "parents", "undo", "verdicts")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if os.environ.get("HUBSYNC_TEST_ENGINES") == "both":
        return
    left_out = []
    for item in items:
        name, _, parameters = item.name.partition("[")
        if item.path.stem.removeprefix("test_") in ONE_ENGINE_EACH:
            engine = ("duckdb", "postgres")[crc32(name.encode()) % 2]
            other = ({"duckdb", "postgres"} - {engine}).pop()
            if other in parameters:
                left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """One database per engine with the project parsed for it."""
    work = tmp_path_factory.mktemp(request.param)
    environment = {
        "HUBSYNC_TARGET": request.param,
        "HUBSYNC_DUCKDB": str(work / "hubsync.duckdb"),
    }
    databases: Databases | None = None
    if request.param == "postgres":
        databases = request.getfixturevalue("databases")
        environment |= databases.create("hubsync_test_transform_" + uuid.uuid4().hex)
    database = Database(request.param, environment, work)
    with pytest.MonkeyPatch.context() as patch:
        database.enter(patch)
        result = database.dbt("parse")
        assert result.success, failures(result)
        database.manifest = result.result
        # As pipelines/transform.py does: a twelfth of every run.
        gc.collect()
        gc.freeze()
        seeded = database.dbt("seed")
        assert seeded.success, failures(seeded)
    yield database
    gc.unfreeze()  # else the end of the process looks like a leak
    if databases is not None:
        databases.drop(environment["PGDATABASE"])


@pytest.fixture
def database(engine: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The same database, empty."""
    engine.enter(monkeypatch)
    engine.clear()
    return engine


@pytest.fixture
def portal() -> Portal:
    return Portal()
