"""How fresh the app's data is, how the last runs ended, what waits for a person."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines import decisions, ops, sync
from pipelines.errors import ConfigurationError
from pipelines.warehouse import Warehouse

_STALE_MINUTES = 60.0
_SHOWN_RUNS = 5
_LATENCY_DAYS = 30

_LATENCY = """
    select
        {group}
        count(*) as changes,
        percentile_cont(0.5) within group (order by seconds) as median_seconds,
        percentile_cont(0.95) within group (order by seconds) as p95_seconds
    from ops.access_latency
"""


def stale_minutes(option: float | None) -> float:
    """`--stale-after`, else HUBSYNC_STALE_MINUTES, else an hour."""
    given = option if option is not None else os.environ.get("HUBSYNC_STALE_MINUTES")
    try:
        minutes = float(given or _STALE_MINUTES)
    except ValueError:
        minutes = -1.0
    if not 0 < minutes < float("inf"):
        raise ConfigurationError(
            f"HUBSYNC_STALE_MINUTES must be a number of minutes above zero, "
            f"not {given!r}."
        )
    return minutes


def read_status(warehouse: Warehouse, limit_minutes: float) -> dict[str, Any]:
    """Freshness, last runs, findings. Creates nothing, not even a database file.

    `age_minutes` counts from the start of the last sync that published: what changed
    in HubSpot after that moment is not in `app` yet. `latency` is the measured time
    from an edit in HubSpot to its change of access in seconds, of 30 days and per run.
    """
    status: dict[str, Any] = {
        "database": warehouse.describe(),
        "fresh": False,
        "age_minutes": None,
        "stale_after_minutes": limit_minutes,
        "latency": None,
        "runs": [],
        "waiting": None,
        "findings": {},
    }
    if not warehouse.holds("ops", "sync_runs"):
        return status
    status["runs"] = ops.rows(
        warehouse,
        "select run_id, command, started_at, finished_at, status, exit_code, "
        "api_calls, changes, held, error from ops.sync_runs "
        f"order by started_at desc limit {_SHOWN_RUNS}",
    )
    published = ops.rows(
        warehouse,
        "select max(started_at) as at from ops.sync_runs "
        "where command = 'sync' and status = 'done'",
    )[0]["at"]
    if published is not None:
        age = (datetime.now(UTC) - published).total_seconds() / 60
        status["age_minutes"] = round(age, 1)
        status["fresh"] = age <= limit_minutes
    if warehouse.relation_exists("ops", "access_latency"):
        status["latency"] = _latency(warehouse, status["runs"])
    if warehouse.relation_exists("ops", "extract_guard"):
        status["waiting"] = _waiting(warehouse)
    if warehouse.relation_exists("ops", "findings"):
        status["findings"] = sync.open_findings(warehouse)
    return status


def _latency(warehouse: Warehouse, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the last days; and into each run that changed access by an edit, its own."""
    since = datetime.now(UTC) - timedelta(days=_LATENCY_DAYS)
    total = ops.rows(
        warehouse, _LATENCY.format(group="") + "where published_at > ?", (since,)
    )[0]
    ids = ", ".join("?" for _ in runs)
    for found in ops.rows(
        warehouse,
        _LATENCY.format(group="run_id,") + f"where run_id in ({ids}) group by run_id",
        tuple(run["run_id"] for run in runs),
    ):
        run_id = found.pop("run_id")
        run = next(run for run in runs if run["run_id"] == run_id)
        run["latency"] = _rounded(found)
    return {"days": _LATENCY_DAYS, **_rounded(total)}


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in found.items()
    }


def _waiting(warehouse: Warehouse) -> dict[str, Any] | None:
    """The set that waits for a person: its id, size, and since when."""
    rows = decisions.waiting(warehouse)
    if not rows:
        return None
    plan_id = rows[0]["plan_id"]
    since = ops.rows(
        warehouse,
        "select min(planned_at) as at from ops.plans where plan_id = ?",
        (plan_id,),
    )[0]["at"]
    return {"plan_id": plan_id, "changes": len(rows), "since": since}


def freshness(status: dict[str, Any]) -> str:
    """How old `app` is, in a sentence that names no database."""
    age, limit = status["age_minutes"], status["stale_after_minutes"]
    if age is None:
        return "nothing was ever published to app."
    return f"app is as HubSpot was {age:,.0f} minutes ago (limit {limit:,.0f})."
