"""One run, left to right: definitions, policy, load, transform, test, publish, record.

`sync` and `plan` are the same run; a plan stops before publishing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pipelines import (
    alerts,
    decisions,
    evidence,
    metrics,
    ops,
    policy,
    report,
    retention,
)
from pipelines.errors import PortalUnavailable
from pipelines.load import Load
from pipelines.log import log
from pipelines.ops import Run
from pipelines.progress import Progress
from pipelines.settings import Settings
from pipelines.transform import Transformation
from pipelines.warehouse import Warehouse

# What a slow answer, or seconds that HubSpot's header leaves out, cannot explain.
_CLOCKS_APART = timedelta(minutes=2)


@dataclass
class Finished:
    """A run that came to its end, and where it can be read about."""

    run: Run
    warehouse: Warehouse
    new_gaps: list[str]
    notes: list[str]
    waiting: list[dict[str, Any]]
    report: Path | None = None


def execute(
    command: Literal["sync", "plan"],
    *,
    target: str | None,
    full: bool = False,
    quiet: bool = False,
) -> Finished:
    """Run once. Raises HubsyncError and its kinds; then nothing was published."""
    warehouse = Warehouse.from_environment(target)
    with (
        warehouse.lock(),
        # A plan is run by someone who reads what it prints.
        alerts.watched(warehouse) if command == "sync" else _unwatched() as watch,
    ):
        try:
            done = _run(command, warehouse, watch, full=full, quiet=quiet)
        except Exception as error:
            if command == "sync":
                unwritten: list[str] = []
                report.write_after(warehouse, unwritten)
                code = getattr(error, "exit_code", 1)
                metrics.write_after(warehouse, code, unwritten)
                for note in unwritten:
                    error.add_note(note)
            raise
        watch.waiting = done.waiting
        if command == "sync":
            done.report = report.write_after(warehouse, done.notes)
            metrics.write_after(warehouse, done.run.exit_code, done.notes)
    done.notes.extend(watch.notes)
    return done


def _unwatched() -> AbstractContextManager[alerts.Watch]:
    return nullcontext(alerts.Watch())


def _run(
    command: str,
    warehouse: Warehouse,
    watch: alerts.Watch,
    *,
    full: bool,
    quiet: bool,
) -> Finished:
    settings = Settings.load()
    retention.keep_days()  # a wrong number is said before anything is read
    with (
        ops.recorded(warehouse, command) as run,
        Progress(quiet=quiet, run_id=run.run_id) as progress,
    ):
        watch.run_id = run.run_id
        known_gaps = ops.last_policy_gaps(warehouse)
        load = Load(warehouse, settings, full=full, progress=progress)
        try:
            definitions = load.read_definitions()
            clock_notes = _told_the_time(run, load)
            progress.finish()
            run.policy_gaps = policy.check(definitions)
            loaded = load.run()
            progress.finish()
        finally:  # what a failed load cost is worth knowing too
            run.calls = dict(load.client.calls)
            run.daily_calls, run.daily_calls_left = load.client.daily_calls
            run.seconds |= {k: round(v, 2) for k, v in load.report.seconds.items()}
        run.rows_read = dict(loaded.rows_read)
        run.rows_changed = {k: n for k, n in loaded.rows_changed.items() if n}
        log(
            "loaded",
            run_id=run.run_id,
            complete=loaded.complete,
            rows_read=run.rows_read,
            rows_changed=run.rows_changed,
        )
        if not loaded.complete:
            raise PortalUnavailable(_incomplete(loaded.failures))
        # HubSpot's instant, like the dates that are judged by it: where this machine's
        # clock is wrong, contracts would end before their time.
        now = load.client.now()
        warehouse.confirm_lock()
        transformation = Transformation(
            warehouse, run_id=run.run_id, now=now, progress=progress
        )
        with run.step("transform"):
            transformation.decide(everything=full)
            progress.finish()
        with run.step("history"):
            notes = evidence.read_history(
                warehouse, load.client, definitions.object_types.values()
            )
            run.calls = dict(load.client.calls)
            run.daily_calls, run.daily_calls_left = load.client.daily_calls
        waiting = decisions.remember_waiting(warehouse, run.run_id, now)
        run.held = len(waiting)
        if command == "sync":
            warehouse.confirm_lock()
            with run.step("publish"):
                transformation.publish()
                progress.finish()
            run.published_at = run.clock()
            run.app_rows_changed = _written(warehouse, run.run_id, now)
            run.changes = len(events(warehouse, run.run_id))
            if _views_are_due(warehouse, run):
                with run.step("views"):
                    transformation.make_views()
            if retention.is_due(warehouse, now):
                with run.step("trim"):
                    retention.trim(warehouse, now)
    new_gaps = [gap for gap in run.policy_gaps if gap not in known_gaps]
    notes = [
        *clock_notes,
        *loaded.notes,
        *notes,
        *transformation.report.notes,
        *manual_edits(warehouse, run.run_id),
    ]
    return Finished(run, warehouse, new_gaps, notes, waiting)


def _told_the_time(run: Run, load: Load) -> list[str]:
    """Date the run by HubSpot's clock; a note where ours is far from it."""
    ahead = run.follow(load.client.instant)
    if abs(ahead) < _CLOCKS_APART:
        return []
    hours = abs(ahead) / timedelta(hours=1)
    apart = (
        f"{hours / 24:.0f} days"
        if hours >= 48
        else f"{hours:.0f} hours"
        if hours >= 2
        else f"{hours * 60:.0f} minutes"
    )
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return [
        f"The clock of this machine is {apart} {side} HubSpot's. "
        "Access was decided, and this run dated, by HubSpot's; set this machine's, or "
        "hubsync status is wrong about how fresh app is."
    ]


def _written(warehouse: Warehouse, run_id: str, now: datetime) -> dict[str, int]:
    """Rows of `app` that this run inserted or updated, by table.

    Asked of the rows themselves: DuckDB's merge does not report how many it wrote.
    """
    written = {}
    for table in ("customers", "contacts", "subscriptions"):
        sql = f"select count(*) as rows_written from app.{table} where synced_at = ?"
        written[table] = ops.rows(warehouse, sql, (now,))[0]["rows_written"]
    sql = "select count(*) as rows_written from app.access where run_id = ?"
    written["access"] = ops.rows(warehouse, sql, (run_id,))[0]["rows_written"]
    return {table: rows for table, rows in written.items() if rows}


def manual_edits(warehouse: Warehouse, run_id: str) -> list[str]:
    """What somebody had changed in `app` by hand, and this run put back."""
    found = ops.rows(
        warehouse,
        "select table_name, count(*) as edited, min(row_key) as example "
        "from ops.manual_edits where run_id = ? "
        "group by table_name order by table_name",
        (run_id,),
    )
    if not found:
        return []
    tables = ", ".join(
        f"app.{row['table_name']} {row['edited']} (e.g. {row['example']})"
        for row in found
    )
    return [
        f"Rows of app had been edited by hand and are put back: {tables}. HubSpot is "
        "where to change them; ops.manual_edits lists every row and column."
    ]


def _views_are_due(warehouse: Warehouse, run: Run) -> bool:
    """The typed views follow the definitions, so only a change of those moves them; the
    last one that is made tells whether they were."""
    changed = run.rows_changed.keys() & {"properties", "object_types"}
    return bool(changed) or not warehouse.relation_exists("hubspot", "pipeline_stages")


def _incomplete(failures: list[str]) -> str:
    reasons = "\n".join(f"  {failure}" for failure in failures)
    return (
        "HubSpot could not be read completely, so nothing was published; what was "
        f"read is kept, and the next sync goes on from there.\n{reasons}"
    )


def events(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Who gained or lost access in a run, with the customer's name."""
    found = ops.rows(
        warehouse,
        "select events.customer_id, customers.name, events.from_level, "
        "events.to_level, events.from_enabled, events.to_enabled, "
        "events.reason_code, events.evidence "
        "from app.access_events as events "
        "left join app.customers as customers "
        "on customers.customer_id = events.customer_id "
        "where events.run_id = ? order by events.event_id",
        (run_id,),
    )
    for event in found:
        event["evidence"] = ops.decoded(event["evidence"]) or None
    return found


def open_findings(warehouse: Warehouse) -> dict[str, int]:
    """How many findings wait for a person, by severity."""
    found = ops.rows(
        warehouse,
        "select severity, count(*) as findings from ops.findings "
        "group by severity order by severity",
    )
    return {str(row["severity"]): int(row["findings"]) for row in found}
