"""Schema `ops` trims itself: what is older than `HUBSYNC_KEEP_DAYS` and nobody needs.

Needed, however old: what `app.access_events` names (undo and every audit start there,
and those rows are never trimmed), decisions themselves, a refusal for as long as its
evidence stands, the set that waits, and HubSpot's history of what verdicts rest on.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import dlt

from pipelines import ops
from pipelines.errors import ConfigurationError
from pipelines.warehouse import Warehouse

_KEEP_DAYS = 400.0  # a year and its audit
_SHORTEST = 31.0  # the report and the latency look 30 days back

_FACT = "(cast(evidence as json) ->> 'object_type') = history.object_type " + " ".join(
    f"and (cast(evidence as json) ->> '{name}') = history.{name}"
    for name in ("object_id", "property", "value")
)

# Each with one parameter, the instant before which a row is old.
_OLD = {
    # The first publication is where latency begins; of each outcome the newest run
    # says when that was.
    "sync_runs": """
        delete from ops.sync_runs
        where started_at < ?
        and run_id not in (
            select run_id from app.access_events where run_id is not null
        )
        and run_id not in (select run_id from app.access where run_id is not null)
        and run_id not in (select plan_id from ops.approvals)
        and run_id not in (
            select max(run_id) from ops.sync_runs group by command, status
        )
        and run_id not in (
            select min(run_id) from ops.sync_runs
            where command = 'sync' and published_at is not null
        )
    """,
    "plans": """
        delete from ops.plans
        where planned_at < ?
        and plan_id not in (select plan_id from ops.approvals)
        and change_id not in (
            select change_id from ops.access_plan
            where held and change_id is not null
        )
        and change_id not in (
            select change_id from ops.extract_guard
            where is_held and change_id is not null
        )
    """,
    # With a refusal that stands, everything that was decided about the same change: the
    # newest decision is the one that holds.
    "approval_changes": """
        delete from ops.approval_changes
        where decided_at < ?
        and change_id not in (
            select changes.change_id
            from ops.approval_changes as changes
            inner join ops.approvals as approvals
                on
                    approvals.plan_id = changes.plan_id
                    and approvals.decided_at = changes.decided_at
            where
                approvals.decision in ('rejected', 'undone')
                and changes.lapsed_at is null
        )
    """,
    "manual_edits": "delete from ops.manual_edits where found_at < ?",
    # A fact that a verdict or a signal rests on may be years old, and in use.
    "evidence_history": f"""
        delete from ops.evidence_history as history
        where coalesce(record_updated_at, changed_at) < ?
        and not exists (
            select 1 from intermediate.int_access_verdicts as verdicts where {_FACT}
        )
        and not exists (select 1 from app.access as access where {_FACT})
        and not exists (
            select 1 from intermediate.int_customer_signals as signals
            where
                signals.object_type = history.object_type
                and signals.object_id = history.object_id
                and (
                    (
                        signals.property = history.property
                        and signals.value = history.value
                    )
                    or (
                        signals.date_property = history.property
                        and signals.date_value = history.value
                    )
                )
        )
    """,
    "alerts": "delete from ops.alerts where recovered_at < ?",
}


def keep_days() -> float:
    """HUBSYNC_KEEP_DAYS, else `keep_days` under `[hubsync]`, else 400.

    Raises ConfigurationError for what is no number of days, or too few.
    """
    given = os.environ.get("HUBSYNC_KEEP_DAYS") or dlt.config.get("hubsync.keep_days")
    try:
        days = float(given or _KEEP_DAYS)
    except (TypeError, ValueError):
        days = -1.0
    if not _SHORTEST <= days < float("inf"):
        raise ConfigurationError(
            f"HUBSYNC_KEEP_DAYS must be a number of days, {_SHORTEST:.0f} or more, not "
            f"{given!r}: the report looks 30 days back. Nothing was deleted."
        )
    return days


def is_due(warehouse: Warehouse, now: datetime) -> bool:
    """Once a day (UTC), in the first sync that publishes; it is not recorded yet."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return not ops.rows(
        warehouse,
        "select 1 as one from ops.sync_runs where command = 'sync' "
        "and status = 'done' and finished_at >= ? limit 1",
        (midnight,),
    )


def trim(warehouse: Warehouse, now: datetime) -> None:
    """Delete what is old, in one transaction. After a publication, under its lock."""
    before = now - timedelta(days=keep_days())
    with warehouse.connect() as connection:
        for delete in _OLD.values():
            connection.execute(delete, (before,))
