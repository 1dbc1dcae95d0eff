"""Which models of the dbt project a run has to build, and which stand as they are.

Most models say what raw and policy say: while neither changes, neither do they. The
others read the clock, `app` or what people decided, and are built in every run; their
macros tag them (dbt_project/macros/every_run.sql). What is known to stand is one row of
`ops.models_built`, taken away before anything is built and written again when all of
it was: after a crash, a failed test or a dbt command by hand everything is built anew.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dbt.contracts.graph.manifest import Manifest

from pipelines import policy
from pipelines.hubspot.definitions import TABLES
from pipelines.hubspot.state import (
    forget_raw_changes,
    raw_changes,
    whole_raw_changes,
)
from pipelines.warehouse import Connection

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"

# Columns, names and meanings: a change of these may concern any model.
_DEFINITIONS = TABLES.keys() - {"associations", "owners"}


@dataclass(frozen=True)
class Due:
    """What to build: arguments and variables of `dbt build`; none for everything."""

    run_id: str
    project: str
    built_whole_at: datetime
    selection: tuple[str, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)


def project_files() -> list[Path]:
    """Every file that the dbt project is made of."""
    folders = ("models", "macros", "seeds", "tests")
    files = (path for each in folders for path in (PROJECT / each).rglob("*.*"))
    return [*sorted(files), PROJECT / "dbt_project.yml"]


def take_due(
    connection: Connection,
    manifest: Manifest,
    *,
    run_id: str,
    now: datetime,
    everything: bool,
) -> Due:
    """What that run is to build. Until `built` says so, nothing counts as built.

    Only the run before knows what is built: one that came to nothing, or of a release
    that did not say what it wrote, may have left anything.
    """
    project = fingerprint()
    known = connection.execute(
        "select built.built_whole_at from ops.models_built as built "
        "where built.project = ? and built.run_id = (select run_id from ops.sync_runs "
        "where run_id <> ? order by started_at desc, run_id desc limit 1)",
        (project, run_id),
    )
    connection.execute("delete from ops.models_built")
    changes = raw_changes(connection)
    if (
        everything
        or not known
        or not _stand(connection)
        # What is decided by the date is built by rows too; and however sure the
        # bookkeeping is, so much of it a day is enough.
        or _day(now) != _day(known[0][0])
        or changes & _DEFINITIONS
    ):
        return Due(run_id, project, now)
    connection.execute("analyze ops.raw_changes")  # the models are planned by it
    return Due(
        run_id,
        project,
        known[0][0],
        ("--select", *selection(manifest, changes)),
        # Of the other tables ops.raw_changes has the records (macros/by_rows.sql).
        {"whole_tables": sorted(whole_raw_changes(connection))},
    )


def _day(instant: datetime) -> date:
    """The day of int_clock."""
    return instant.astimezone(UTC).date()


def _stand(connection: Connection) -> bool:
    """Whether the models still hold what was built: a crash of PostgreSQL empties all
    of them (dbt_project/macros/cross_db/unlogged.sql), and int_clock has a row else."""
    return bool(
        connection.execute(
            "select 1 from information_schema.tables "
            "where table_schema = 'intermediate' and table_name = 'int_clock'"
        )
        and connection.execute("select 1 from intermediate.int_clock")
    )


def built(connection: Connection, due: Due) -> None:
    """All that was due has been built and tested."""
    forget_raw_changes(connection)
    connection.execute(
        "insert into ops.models_built (project, built_whole_at, run_id) "
        "values (?, ?, ?)",
        (due.project, due.built_whole_at, due.run_id),
    )


def selection(manifest: Manifest, changes: Set[str]) -> list[str]:
    """What dbt has to build where these tables of raw have changed, and no policy."""
    declared = {source.name for source in manifest.sources.values()}
    selected = ["tag:every_run+"]
    selected += [f"source:hubspot_raw.{name}+" for name in sorted(changes & declared)]
    if changes:
        selected.append("tag:every_raw_table+")
    if changes & {row.values.get("object_type") for row in policy.rows()}:
        selected.append("stg_hubspot__policy_values+")
    return selected


def fingerprint() -> str:
    """Of the project's files and of the dbt that reads them."""
    digest = hashlib.sha256(" ".join(_versions()).encode())
    for path in project_files():
        digest.update(f"{path.relative_to(PROJECT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _versions() -> tuple[str, ...]:
    packages = ("dbt-core", "dbt-common", "dbt-adapters", "dbt-postgres", "dbt-duckdb")
    return (sys.version, *(f"{name} {version(name)}" for name in packages))
