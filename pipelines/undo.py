"""Takes a run back: access as it was before it, for whom nothing has changed since.

An undo is a run of its own in `ops.sync_runs` and one event per customer. The change it
takes back is then refused (`ops.approvals`, decision `undone`) for as long as HubSpot
says the same, or the next sync would repeat it.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines import ops
from pipelines.errors import ConfigurationError
from pipelines.warehouse import Connection, Warehouse

_NEAREST = 3
_IN_A_NOTICE = 200  # customer ids, far below the 8,000 bytes of a notification

# What the run changed, and why a customer is left as it is. A record of ours that names
# the same fact with a later date is no change since.
_SORTED = """
    create temporary table to_undo as
    with newest as (
        select
            events.*,
            row_number() over (
                partition by events.customer_id order by events.event_id desc
            ) as age
        from app.access_events as events
    )
    select
        undone.*,
        customers.name,
        case
            when newest.event_id > undone.event_id and newest.reason_code = 'UNDONE'
                then 'undone already, by run ' || newest.run_id
            when newest.event_id > undone.event_id
                then
                    'changed since, ' || newest.reason_code || ' by run '
                    || newest.run_id
            when access.customer_id is null then 'no longer in app.access'
            when aliases.merged_at >= runs.started_at
                then 'merged into customer ' || aliases.customer_id || ' since'
            when
                access.access_level <> undone.to_level
                or access.is_enabled <> undone.to_enabled
                then 'app.access was changed by other means than hubsync since'
            when
                undone.reason_code <> 'UNDONE'
                and (
                    access.reason_code is distinct from undone.reason_code
                    or (access.evidence ->> 'object_type')
                    is distinct from (undone.evidence ->> 'object_type')
                    or (access.evidence ->> 'object_id')
                    is distinct from (undone.evidence ->> 'object_id')
                    or (access.evidence ->> 'property')
                    is distinct from (undone.evidence ->> 'property')
                    or (access.evidence ->> 'value')
                    is distinct from (undone.evidence ->> 'value')
                )
                then
                    'rests on something else since, ' || access.reason_code
                    || ' by run ' || access.run_id
            when
                undone.from_enabled
                and cast((undone.from_verdict ->> 'access_until') as timestamptz) <= ?
                then
                    'its access would have ended by itself on '
                    || left((undone.from_verdict ->> 'access_until'), 10)
        end as why_not
    from app.access_events as undone
    inner join ops.sync_runs as runs on runs.run_id = undone.run_id
    inner join newest
        on newest.customer_id = undone.customer_id and newest.age = 1
    left join app.access as access on access.customer_id = undone.customer_id
    left join app.customers as customers
        on customers.customer_id = undone.customer_id
    left join app.customer_aliases as aliases
        on aliases.alias_id = undone.customer_id
    where
        undone.run_id = ?
        and (
            coalesce(undone.from_enabled, false) <> undone.to_enabled
            or coalesce(undone.from_level, 'none') <> undone.to_level
        )
"""

_EVENTS = """
    insert into app.access_events (
        event_id, customer_id, run_id, occurred_at, from_level, to_level,
        from_enabled, to_enabled, reason_code, evidence, approved_by, change_id,
        from_verdict
    )
    select
        (select max(event_id) from app.access_events)
        + row_number() over (order by undone.event_id),
        undone.customer_id,
        ?,
        ?,
        undone.to_level,
        coalesce(undone.from_level, 'none'),
        undone.to_enabled,
        coalesce(undone.from_enabled, false),
        'UNDONE',
        cast('{"undone_event_id": ' || undone.event_id || ', ' || ? as json),
        ?,
        null,
        to_json(verdict)
    from to_undo as undone
    inner join (
        select
            customer_id,
            is_churned,
            reason_code,
            evidence,
            cast(effective_at as text) as effective_at,
            cast(access_until as text) as access_until
        from app.access
    ) as verdict
        on verdict.customer_id = undone.customer_id
    where undone.why_not is null
"""

# The whole row, so that the next sync decides from where the undone one did.
_ACCESS = """
    update app.access as access
    set
        access_level = coalesce(undone.from_level, 'none'),
        is_enabled = coalesce(undone.from_enabled, false),
        is_churned = cast((undone.from_verdict ->> 'is_churned') as boolean),
        reason_code = undone.from_verdict ->> 'reason_code',
        evidence = cast((undone.from_verdict ->> 'evidence') as json),
        effective_at = cast((undone.from_verdict ->> 'effective_at') as timestamptz),
        access_until = cast((undone.from_verdict ->> 'access_until') as timestamptz),
        version = access.version + 1,
        decided_at = ?,
        run_id = ?
    from to_undo as undone
    where undone.customer_id = access.customer_id and undone.why_not is null
"""

_REFUSED = "to_undo where why_not is null and change_id is not null"


@dataclass(frozen=True)
class Undone:
    """What an undo, itself the run `run_id`, did; `skipped` says of each customer that
    was left as it is why."""

    undone_run_id: str
    run_id: str
    restored: list[dict[str, Any]]
    skipped: list[dict[str, Any]]


def undo(warehouse: Warehouse, run_id: str, *, by: str, reason: str) -> Undone:
    """Put access back to where it was before that run, in one transaction.

    Only customers that the run changed and nothing has changed since. Raises
    ConfigurationError for an unknown run, AlreadyRunning beside a sync.
    """
    by, reason = by.strip(), reason.strip()
    if not by or not reason:
        raise ConfigurationError("--by and --reason must say who decides, and why.")
    if not warehouse.holds("app", "access_events"):
        raise ConfigurationError(
            f"No run has changed access in the {warehouse.describe()} yet."
        )
    with warehouse.lock():
        _known(warehouse, run_id)
        with ops.recorded(warehouse, "undo") as run:
            now = run.started_at
            with warehouse.connect() as connection:
                connection.execute(_SORTED, (now, run_id))
                restored, skipped = _sorted(connection)
                if restored:
                    _write(connection, run.run_id, run_id, now, by, reason)
                    _notify(connection, run.run_id, restored)
                # A pooler may hand this session to the next undo.
                connection.execute("drop table to_undo")
            run.published_at = datetime.now(UTC)
            run.changes = len(restored)
            run.app_rows_changed = {"access": len(restored)} if restored else {}
    return Undone(run_id, run.run_id, restored, skipped)


def _sorted(
    connection: Connection,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = connection.execute(
        "select customer_id, name, to_level as from_level, "
        "coalesce(from_level, 'none') as to_level, to_enabled as from_enabled, "
        "coalesce(from_enabled, false) as to_enabled, reason_code as undone_reason, "
        "why_not from to_undo order by event_id"
    )
    found = [dict(zip(connection.columns, row, strict=True)) for row in rows]
    restored = [row for row in found if row["why_not"] is None]
    skipped = [row for row in found if row["why_not"] is not None]
    return (
        [{k: row[k] for k in row if k != "why_not"} for row in restored],
        [{k: row[k] for k in ("customer_id", "name", "why_not")} for row in skipped],
    )


def _write(
    connection: Connection,
    run_id: str,
    undone_run_id: str,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    evidence = json.dumps({"undone_run_id": undone_run_id, "reason": reason})[1:]
    connection.execute(_EVENTS, (run_id, now, evidence, by))
    connection.execute(_ACCESS, (now, run_id))
    connection.execute(
        "insert into ops.approvals values (?, 'undone', ?, ?, ?, null, null)",
        (run_id, by, reason, now),
    )
    connection.execute(
        "insert into ops.approval_changes "
        "(plan_id, decided_at, customer_id, change_id) "
        f"select ?, ?, customer_id, change_id from {_REFUSED}",
        (run_id, now),
    )
    # Also before the next sync has looked, nobody is told that it would be repeated.
    connection.execute(
        "update ops.access_plan set held = true, hold_reason = 'UNDONE', "
        f"hold_detail = ? where change_id in (select change_id from {_REFUSED})",
        (f"Undone by {by} on {now:%Y-%m-%d}; ignored until its evidence changes.",),
    )


def _notify(
    connection: Connection, run_id: str, restored: list[dict[str, Any]]
) -> None:
    """As a sync does (macro notify_of_access), so that the app ends sessions."""
    ids = sorted(row["customer_id"] for row in restored)
    for start in range(0, len(ids), _IN_A_NOTICE):
        some = ids[start : start + _IN_A_NOTICE]
        payload = json.dumps({"run_id": run_id, "customer_ids": some})
        connection.notify("hubsync_access", payload)


def _known(warehouse: Warehouse, run_id: str) -> None:
    runs = {
        str(row["run_id"]): row["changes"]
        for row in ops.rows(
            warehouse,
            "select run_id, changes from ops.sync_runs order by started_at desc",
        )
    }
    if run_id in runs:
        return
    changing = [run for run, changes in runs.items() if changes]
    near = difflib.get_close_matches(run_id, changing, _NEAREST, cutoff=0)
    listed = ", ".join(f"{run} ({runs[run]} changes)" for run in near)
    raise ConfigurationError(
        f"There is no run {run_id!r}; nothing was changed. "
        + (f"The nearest that changed access: {listed}." if near else "")
    )
