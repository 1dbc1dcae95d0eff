"""What docs/analysts.md promises, as the roles it names, on a portal with values that
nobody can read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pipelines.warehouse import Warehouse
from sandbox import Portal
from tests.conftest import Databases, administer
from tests.run.conftest import ON_DUCKDB, Hubsync, query

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "analysts.md").read_text()
QUERIES = {
    int(number): sql
    for number, sql in re.findall(
        r"^(\d+)\. [^\n]*(?:\n[^\n`]+)*\n\n```sql\n(.*?)```", GUIDE, re.M | re.S
    )
}
# Nothing is wrong with these dates.
EMPTY = {13}


@pytest.fixture
def analyst(
    request: pytest.FixtureRequest, synced: Warehouse
) -> Iterator[psycopg2.extensions.connection | None]:
    """On PostgreSQL a connection of somebody with the two roles of the guide."""
    if synced.target == "duckdb":
        yield None
        return
    databases: Databases = request.getfixturevalue("databases")
    name = f"analyst_{uuid.uuid4().hex[:8]}"
    server = databases.superuser
    roles = ", ".join(databases.role(role) for role in ("analyst", "app_reader"))
    assert "grant hubsync_analyst, hubsync_app_reader to" in GUIDE
    administer(server, f"create role {name}")
    administer(server, f"grant {roles} to {name}")
    connection = psycopg2.connect(
        user=server["PGUSER"], password=server.get("PGPASSWORD")
    )
    try:
        connection.cursor().execute(f"set role {name}")
        yield connection
    finally:
        connection.close()
        administer(server, f"drop role {name}")


def run(
    warehouse: Warehouse, analyst: psycopg2.extensions.connection | None, sql: str
) -> list[tuple[Any, ...]]:
    if analyst is None:
        return query(warehouse, sql)
    cursor = analyst.cursor()
    cursor.execute(sql)
    return cursor.fetchall()


def test_every_query_of_the_guide_runs_and_finds_something(
    synced: Warehouse, analyst: psycopg2.extensions.connection | None
) -> None:
    assert sorted(QUERIES) == list(range(1, GUIDE.count("```sql") + 1))
    assert len(QUERIES) >= 12
    empty = {number for number, sql in QUERIES.items() if not run(synced, analyst, sql)}
    assert empty == EMPTY


def test_every_column_of_every_view_can_be_read_whatever_people_typed(
    synced: Warehouse, analyst: psycopg2.extensions.connection | None
) -> None:
    """The portal of these tests has a value of each kind that cannot be read."""
    types = run(synced, analyst, "select object_type from hubspot_raw.object_types")
    views = [*(name for (name,) in types), "associations", "owners", "pipeline_stages"]
    assert len(views) > 10
    for view in views:
        assert run(synced, analyst, f"select * from hubspot.{view}"), view
    for column, bad in (
        ("lifetime_value", "twelve"),
        ("birthday", "31/12/1999"),
        ("last_seen_at", "2024-12-31T23:59:60.000Z"),
    ):
        read = run(
            synced,
            analyst,
            f"select typed.{column} from hubspot.contacts as typed inner join "
            f"hubspot_raw.contacts as raw on typed.id = raw.id "
            f"where raw.{column} = '{bad}'",
        )
        assert read == [(None,)], column
    lists = run(
        synced,
        analyst,
        "select interests from hubspot.contacts where interests is not null",
    )
    assert (["red", "Blue", "a b"],) in lists


def test_the_guide_says_what_each_kind_of_finding_is() -> None:
    titles = ROOT / "dbt_project" / "macros" / "finding_titles.sql"
    kinds = re.findall(r"^\s+'([A-Z_]+)': '", titles.read_text(), re.M)
    assert re.findall(r"^\| `([A-Z_]+)`", GUIDE, re.M) == kinds


@ON_DUCKDB
def test_a_finding_is_raised_by_the_next_sync_and_closed_by_the_one_after_the_repair(
    synced: Warehouse, portal: Portal, hubsync: Hubsync
) -> None:
    """tests/transform/test_findings.py does this with every kind."""
    sql = (
        "select object_id, hubspot_url, owner_email is not null from ops.findings"
        " where kind = 'OVERRIDE_WITHOUT_END'"
    )
    [(company,)] = query(
        synced,
        "select customer_id from app.customers where record_state = 'live'"
        " and owner_email like 'owner1@%' order by customer_id limit 1",
    )
    assert query(synced, sql) == []
    portal.update("companies", company, {"app_access_override": "grant"})
    assert hubsync("sync").code == 0
    [(found, url, has_owner)] = query(synced, sql)
    assert found == company
    assert url.endswith(f"/record/0-2/{company}")
    assert has_owner
    portal.update("companies", company, {"app_access_override_until": "2099-01-01"})
    assert hubsync("sync").code == 0
    assert query(synced, sql) == []
