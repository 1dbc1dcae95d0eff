"""Every data test of the project stops a publication: nothing is written, exit code 4.
Those in tests/app compare what was published, so they end with 4 and say what it was.

`make test` breaks one of each kind; `make test-gates` breaks them all and lists them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager

from pipelines import transform as pipelines_transform
from pipelines.errors import ConsistencyError
from pipelines.transform import transform
from pipelines.warehouse import Warehouse
from tests.conftest import Databases, administer
from tests.transform.broken_data import Harm, data_tests, harm_of, harmed
from tests.transform.conftest import NOW, Database
from tests.transform.portal import Portal

# `all`, or the beginning of the names to break.
CHOSEN = os.environ.get("HUBSYNC_TEST_GATES", "")

# One of each kind: seed, staging, intermediate and ops, generic and singular.
SAMPLE = {
    "duckdb": (
        "assert_absence_revokes_nothing",
        "accepted_values_churn_signals_effect__churn__pause__none",
        "primary_key_int_access_verdicts_of_survivors_customer_id",
        "primary_key_findings_finding_id",
    ),
    "postgres": (
        "assert_there_is_one_portal",
        "no_nulls_access_levels_access_level__rank",
        "no_nulls_access_plan_plan_id__held",
        "relationships_int_access_verdicts_customer_id__customer_id__ref_int_customers_",
    ),
}


@dataclass
class Gate:
    """A database in which a publication is due, and a copy to start from again."""

    database: Database
    copy: str
    databases: Databases | None
    published: dict[str, Any]

    def restore(self) -> None:
        """The manifest names the database, so it keeps its name."""
        if self.databases is None:
            # dbt's connection lives on in this process, and with it the old file.
            DuckDBConnectionManager.close_all_connections()
            shutil.copy(self.copy, self.database.environment["HUBSYNC_DUCKDB"])
            return
        name = self.database.environment["PGDATABASE"]
        self.databases.drop(name)
        self.databases.create(name, self.copy)

    def run(self, harm: Harm) -> tuple[ConsistencyError | None, bool]:
        """Run as a sync does after its load: what it raised, and whether `app` is as
        it was, row versions included."""
        self.restore()
        assert contents(self.database) == self.published, "not what was restored"
        for statement in harm.sql:
            self.database.run(statement)
        before = contents(self.database)
        error = None
        try:
            with harmed(self.database.manifest, harm, self.database.work):
                transform(
                    Warehouse.from_environment(),
                    run_id="gate",
                    now=datetime.fromisoformat(NOW),
                    publish=True,
                )
        except ConsistencyError as raised:
            error = raised
        return error, contents(self.database) == before


def contents(database: Database) -> dict[str, Any]:
    """Every table of `app`, whole."""
    tables = database.run(
        "select table_name from information_schema.tables where table_schema = 'app'"
        " and table_type = 'BASE TABLE' order by 1"
    )
    return {name: database.rows(f"app.{name}") for (name,) in tables}


@pytest.fixture
def gate(
    request: pytest.FixtureRequest,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Gate]:
    """`app` is published, and in raw is what a publication would change again."""
    portal = Portal()
    for id in ("acme", "leaving"):
        portal.company(id)
        portal.deal(f"d-{id}", id)
        portal.contact(f"p-{id}", id)
    database.publish(portal)
    portal.company("acme", name="Renamed")
    portal.company("leaving", customer_status="churned")
    portal.contact("p-acme", phone="+31 20 1234567")
    portal.deal("d-leaving", contract_end_date="2026-12-31")
    portal.company("new")
    portal.deal("d-new", "new")
    portal.contact("p-new", "new")
    database.load(portal)

    # The manifest of the tests instead of a new one: the harm is put into it.
    monkeypatch.setattr(pipelines_transform, "_parsed", lambda *_: database.manifest)
    published = contents(database)
    if database.target == "duckdb":
        copy = str(tmp_path / "copy")
        DuckDBConnectionManager.close_all_connections()
        shutil.copy(database.environment["HUBSYNC_DUCKDB"], copy)
        made = Gate(database, copy, None, published)
        yield made
        made.restore()  # the seeds are every test's
        return
    databases: Databases = request.getfixturevalue("databases")
    name = database.environment["PGDATABASE"]
    copy = f"{name}_copy"
    administer(databases.superuser, f'create database "{copy}" template "{name}"')
    made = Gate(database, copy, databases, published)
    try:
        yield made
        made.restore()
    finally:
        databases.drop(copy)


def test_every_data_test_has_a_way_to_be_broken(engine: Database) -> None:
    manifest: Any = engine.manifest
    tests = data_tests(manifest)
    assert len(tests) > 100
    assert [name for name, test in tests.items() if not harm_of(manifest, test)] == []


@pytest.mark.timeout(0)
def test_broken_data_publishes_nothing_and_ends_with_exit_code_4(
    gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    untouched, unchanged = gate.run(Harm())
    assert untouched is None
    assert not unchanged, "without harm there is something to publish"

    tests = data_tests(gate.database.manifest)
    chosen = [
        name
        for name in (sorted(tests) if CHOSEN else SAMPLE[gate.database.target])
        if CHOSEN in ("", "all") or name.startswith(CHOSEN)
    ]
    wrong = []
    for name in chosen:
        if (harm := harm_of(gate.database.manifest, tests[name])) is None:
            wrong.append(f"{name}: nobody has said how to break its data")
            continue
        try:
            error, unchanged = gate.run(harm)
        except Exception as other:
            error, unchanged = None, False
            wrong.append(f"{name}: {other}")
        stopped = error is not None and error.exit_code == 4 and name in str(error)
        unchanged = unchanged or harm.after_commit
        if not (stopped and unchanged):
            wrong.append(f"{name}: exit 4 {stopped}, app unchanged {unchanged}")
        with capsys.disabled():
            if CHOSEN:
                mark = "✓" if stopped and unchanged else "✗"
                when = "told after the commit" if harm.after_commit else "not published"
                print(f"{mark} {gate.database.target} exit 4, {when}: {name}")
    assert wrong == []
