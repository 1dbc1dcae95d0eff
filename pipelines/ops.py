"""The `ops` schema as Python writes it: one row per run, and people's approvals.

Each call opens and closes its own connection: dlt and dbt need the DuckDB file to
themselves in between.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pipelines.errors import ConfigurationError, ConsistencyError, HubsyncError
from pipelines.log import log
from pipelines.redaction import mask
from pipelines.warehouse import Connection, Warehouse

# `if not exists` on both engines: the first run of a database and every later one
# execute the same statements.
_TABLES = (
    """
    create table if not exists ops.sync_runs (
        run_id text primary key,
        command text not null,
        started_at timestamptz not null,
        finished_at timestamptz,
        published_at timestamptz,
        status text not null,
        exit_code integer,
        api_calls bigint,
        calls json,
        rows_read json,
        rows_changed json,
        app_rows_changed json,
        changes bigint,
        held bigint,
        seconds json,
        policy_gaps json,
        error text,
        daily_calls bigint,
        daily_calls_left bigint
    )
    """,
    """
    create table if not exists ops.approvals (
        plan_id text not null,
        decision text not null,
        decided_by text not null,
        reason text not null,
        decided_at timestamptz not null,
        expires_at timestamptz,
        used_at timestamptz
    )
    """,
    # What each decision was about: change_id names a change with its evidence, and
    # customer_id is null where the loss of a whole object type was decided.
    """
    create table if not exists ops.approval_changes (
        plan_id text not null,
        decided_at timestamptz not null,
        customer_id text,
        change_id text not null,
        lapsed_at timestamptz
    )
    """,
    # Every set that ever waited, so that its name can be approved after the next run.
    """
    create table if not exists ops.plans (
        plan_id text not null,
        run_id text not null,
        planned_at timestamptz not null,
        customer_id text,
        name text,
        action text,
        reason_code text,
        hold_reason text,
        hold_detail text,
        change_id text not null
    )
    """,
    # While it has its one row, every model says what raw said before ops.raw_changes
    # (models.py).
    """
    create table if not exists ops.models_built (
        project text not null,
        built_whole_at timestamptz not null,
        run_id text not null
    )
    """,
    # What whoever watches has been told (alerts.py), until it was over.
    """
    create table if not exists ops.alerts (
        state text not null,
        plan_id text,
        run_id text,
        told_at timestamptz not null,
        recovered_at timestamptz
    )
    """,
    # HubSpot's own history of what decisions rest on; every time is HubSpot's clock.
    # Without `changed_at` where HubSpot was asked and had no answer.
    """
    create table if not exists ops.evidence_history (
        object_type text not null,
        object_id text not null,
        property text not null,
        value text not null,
        old_value text,
        changed_at timestamptz,
        source_type text,
        changed_by text,
        record_updated_at timestamptz
    )
    """,
)


def create_tables(connection: Connection) -> None:
    """Create schema `ops` and its tables where they do not exist yet."""
    connection.ensure_tables("ops", *_TABLES)


def instant(connection: Connection) -> datetime:
    """Now, by this machine's clock, but never before the last run that came to its end:
    that was dated by HubSpot's, and who decides something about it decides later."""
    [(last,)] = connection.execute(
        "select max(finished_at) from ops.sync_runs where status = 'done'"
    )
    now = datetime.now(UTC)
    return now if last is None or last < now else cast("datetime", last)


@dataclass
class Run:
    """One run of `sync` or `plan`, as `ops.sync_runs` keeps it.

    `calls` counts API calls by kind, `rows_*` rows by table, `seconds` time by step.
    `daily_calls` is what HubSpot allows the account in a day, other programs included,
    and `daily_calls_left` what was left of it; None where HubSpot does not say.
    """

    run_id: str
    command: str
    started_at: datetime
    calls: dict[str, int] = field(default_factory=dict)
    rows_read: dict[str, int] = field(default_factory=dict)
    rows_changed: dict[str, int] = field(default_factory=dict)
    app_rows_changed: dict[str, int] = field(default_factory=dict)
    changes: int = 0
    held: int = 0
    published_at: datetime | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    policy_gaps: list[str] = field(default_factory=list)
    daily_calls: int | None = None
    daily_calls_left: int | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    began: float = field(default_factory=time.monotonic)

    def follow(self, clock: Callable[[], datetime]) -> timedelta:
        """Date this run by that clock, its start too; how far ours is ahead of it.

        What is compared with HubSpot's dates, and with those of runs before and after,
        must come from one clock, and that of a machine may be wrong.
        """
        ahead = datetime.now(UTC) - clock()
        self.clock = clock
        self.started_at = clock() - timedelta(seconds=time.monotonic() - self.began)
        return ahead

    @property
    def exit_code(self) -> int:
        """Of a run that came to its end: 3 when it published and something waits."""
        return 3 if self.held and self.published_at else 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, also one that fails."""
        begin = time.monotonic()
        try:
            yield
        finally:
            spent = self.seconds.get(name, 0.0) + time.monotonic() - begin
            self.seconds[name] = round(spent, 2)


_PUBLISHED = (
    "Everything had been published before this; the next sync does what comes after."
)


@contextmanager
def recorded(warehouse: Warehouse, command: str) -> Iterator[Run]:
    """A run that leaves its row behind however it ends. The caller holds the lock.

    Status: running, then done, failed, misconfigured, inconsistent or interrupted.
    """
    with warehouse.connect() as connection:
        create_tables(connection)
        now = instant(connection)
        run = Run(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}", command, now)
        # We hold the lock, so a run still called running is one that was killed.
        connection.execute(
            "update ops.sync_runs set status = 'interrupted', finished_at = ?, "
            "error = 'The process ended before it could finish.' "
            "where status = 'running'",
            (now,),
        )
        connection.execute(
            "insert into ops.sync_runs (run_id, command, started_at, status) "
            "values (?, ?, ?, 'running')",
            (run.run_id, command, now),
        )
    log("started", run_id=run.run_id, command=command)
    try:
        yield run
    except BaseException as error:
        status = {
            ConfigurationError: "misconfigured",
            ConsistencyError: "inconsistent",
            KeyboardInterrupt: "interrupted",
        }.get(type(error), "failed")
        # What went wrong first is what the reader needs; the next run mends the row.
        with suppress(Exception):
            _finish(warehouse, run, status, getattr(error, "exit_code", 1), error)
        if run.published_at is not None:
            error.add_note(_PUBLISHED)
        raise
    try:
        _finish(warehouse, run, "done", run.exit_code, None)
    except Exception as error:
        if run.published_at is not None:
            error.add_note(_PUBLISHED)
        raise


def _finish(
    warehouse: Warehouse,
    run: Run,
    status: str,
    exit_code: int,
    error: BaseException | None,
) -> None:
    text = None
    if error is not None:
        text = mask(str(error))
        if isinstance(error, KeyboardInterrupt):
            text = "Stopped by Ctrl-C or a signal."
        elif not isinstance(error, HubsyncError):
            text = f"{type(error).__name__}: {text}"
    # Before the row: the database may be what failed.
    log(
        "finished",
        run_id=run.run_id,
        command=run.command,
        status=status,
        exit_code=exit_code,
        error=text,
        api_calls=sum(run.calls.values()),
        changes=run.changes,
        held=run.held,
        seconds=run.seconds,
    )
    with warehouse.connect() as connection:
        connection.execute(
            "update ops.sync_runs set started_at = ?, finished_at = ?, status = ?, "
            "exit_code = ?, "
            "api_calls = ?, calls = ?, rows_read = ?, rows_changed = ?, "
            "app_rows_changed = ?, changes = ?, held = ?, seconds = ?, "
            "policy_gaps = ?, published_at = ?, error = ?, daily_calls = ?, "
            "daily_calls_left = ? where run_id = ?",
            (
                run.started_at,
                run.clock(),
                status,
                exit_code,
                sum(run.calls.values()),
                json.dumps(run.calls),
                json.dumps(run.rows_read),
                json.dumps(run.rows_changed),
                json.dumps(run.app_rows_changed),
                run.changes,
                run.held,
                json.dumps(run.seconds),
                json.dumps(run.policy_gaps),
                run.published_at,
                text,
                run.daily_calls,
                run.daily_calls_left,
                run.run_id,
            ),
        )


def rows(
    warehouse: Warehouse, sql: str, parameters: tuple[Any, ...] = ()
) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries."""
    with warehouse.connect() as connection:
        found = connection.execute(sql, parameters)
        return [dict(zip(connection.columns, row, strict=True)) for row in found]


def last_policy_gaps(warehouse: Warehouse) -> list[str]:
    """What the previous finished run said the portal lacks; empty before the first."""
    found = rows(
        warehouse,
        "select policy_gaps from ops.sync_runs where status = 'done' "
        "and command <> 'undo' order by started_at desc limit 1",
    )
    return [str(gap) for gap in decoded(found[0]["policy_gaps"])] if found else []


def decoded(value: Any) -> Any:
    """A json column as Python values: psycopg2 has parsed it, DuckDB has not."""
    return json.loads(value) if isinstance(value, str) else (value or [])
