"""The state of the last sync as an OpenMetrics text file, for a node exporter.

Its textfile collector reads `HUBSYNC_METRICS`, which every sync writes at its end, also
one that failed. Gauges only and no timestamps: what both OpenMetrics and the older
format of Prometheus understand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines import ops
from pipelines.files import noted, replace
from pipelines.warehouse import Warehouse

Labels = dict[str, str]


@dataclass(frozen=True)
class Gauge:
    """One metric and its samples; a name that ends in `_seconds` has that unit."""

    name: str
    help: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)


def metrics_path() -> Path | None:
    """HUBSYNC_METRICS, or None where it is not set."""
    given = os.environ.get("HUBSYNC_METRICS", "").strip()
    return Path(given) if given else None


def write_after(warehouse: Warehouse, exit_code: int, notes: list[str]) -> None:
    """The file after a sync that ended so, if it is wanted. Raises nothing: that it
    could not be written is a note."""
    with noted("The metrics were", notes):
        if path := metrics_path():
            write(warehouse, path, exit_code)


def write(warehouse: Warehouse, path: Path, exit_code: int | None = None) -> None:
    """Put the file in place at once: whoever reads it never sees half. Raises
    HubsyncError where the database cannot be read or the file not be written."""
    text = render(gauges(warehouse, exit_code), {"portal": _portal(warehouse)})
    # What is half done has another ending than the *.prom that the collector reads.
    replace(path, text.encode(), named_by="--metrics or HUBSYNC_METRICS")


def gauges(warehouse: Warehouse, exit_code: int | None = None) -> Iterator[Gauge]:
    """What there is to tell; without `exit_code`, that of the last sync on record."""
    # Not at the top: it imports the sync, which imports this.
    from pipelines.status import read_status, stale_minutes

    run, published = _last_sync(warehouse), _last_published(warehouse)
    status = read_status(warehouse, stale_minutes(None))
    latency = status["latency"] or {}
    waiting = status["waiting"]
    code = exit_code if exit_code is not None else run.get("exit_code")

    def one(name: str, help: str, value: Any) -> Gauge:
        return Gauge(name, help, [] if value is None else [({}, float(value))])

    yield one("last_exit_code", "How the last sync ended.", code)
    yield one(
        "last_run_timestamp_seconds",
        "When the last sync began.",
        _instant(run.get("started_at")),
    )
    yield one(
        "last_success_timestamp_seconds",
        "When the last sync that published ended.",
        _instant(published.get("finished_at")),
    )
    yield one(
        "data_timestamp_seconds",
        "The moment of HubSpot that app shows: when that sync began.",
        _instant(published.get("started_at")),
    )
    yield one(
        "held_changes",
        "Changes of access that wait for a person.",
        waiting["changes"] if waiting else 0,
    )
    yield Gauge(
        "findings",
        "What in HubSpot needs a person, by severity.",
        [({"severity": s}, n) for s, n in status["findings"].items()],
    )
    yield Gauge(
        "rows_changed",
        "Rows that the last sync wrote, by layer and table.",
        [
            ({"layer": layer, "table": table}, rows)
            for layer, column in (("raw", "rows_changed"), ("app", "app_rows_changed"))
            for table, rows in dict(ops.decoded(run.get(column)) or {}).items()
        ],
    )
    yield one(
        "access_changes",
        "Customers whose access the last sync changed.",
        run.get("changes"),
    )
    yield one("api_calls", "Calls of the last sync.", run.get("api_calls"))
    yield one(
        "daily_calls_limit",
        "Calls that HubSpot allows the account in a day.",
        run.get("daily_calls"),
    )
    yield one(
        "daily_calls_left",
        "What was left of them, other programs' calls counted.",
        run.get("daily_calls_left"),
    )
    yield Gauge(
        "step_seconds",
        "How long each step of the last sync took.",
        [
            ({"step": step}, seconds)
            for step, seconds in dict(ops.decoded(run.get("seconds")) or {}).items()
        ],
    )
    yield one(
        "access_latency_median_seconds",
        "From the edit in HubSpot to the change of access, of 30 days.",
        latency.get("median_seconds"),
    )
    yield one(
        "access_latency_p95_seconds",
        "The same, met by 95 of 100 changes.",
        latency.get("p95_seconds"),
    )


def render(found: Iterator[Gauge], labels: Labels) -> str:
    """The text, every sample with these labels besides its own."""
    lines = []
    for gauge in found:
        name = f"hubsync_{gauge.name}"
        lines.append(f"# TYPE {name} gauge")
        if name.endswith("_seconds"):
            lines.append(f"# UNIT {name} seconds")
        lines.append(f"# HELP {name} {_escaped(gauge.help)}")
        for own, value in gauge.samples:
            pairs = ",".join(
                f'{k}="{_escaped(v)}"' for k, v in {**labels, **own}.items()
            )
            lines.append(f"{name}{{{pairs}}} {value:.15g}")
    return "\n".join([*lines, "# EOF", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _instant(at: Any) -> float | None:
    return None if at is None else float(at.timestamp())


def _last_sync(warehouse: Warehouse) -> dict[str, Any]:
    return _newest(warehouse, "command = 'sync' and status <> 'running'")


def _last_published(warehouse: Warehouse) -> dict[str, Any]:
    return _newest(warehouse, "command = 'sync' and status = 'done'")


def _newest(warehouse: Warehouse, condition: str) -> dict[str, Any]:
    if not warehouse.holds("ops", "sync_runs"):
        return {}
    found = ops.rows(
        warehouse,
        f"select * from ops.sync_runs where {condition} "
        "order by started_at desc limit 1",
    )
    return found[0] if found else {}


def _portal(warehouse: Warehouse) -> str:
    """Which portal, so that the files of several may lie side by side."""
    if not warehouse.holds("hubspot_raw", "portal"):
        return ""
    found = ops.rows(warehouse, "select min(portal_id) as id from hubspot_raw.portal")
    return str(found[0]["id"] or "")
