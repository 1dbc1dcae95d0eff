"""The page for the operations team: one HTML file, written after every sync."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigurationError
from pipelines.files import noted, replace
from pipelines.warehouse import Warehouse

_NAME = "hubsync-report.html"


@dataclass(frozen=True)
class Written:
    """Where the report is, its size in bytes, and its first sentence."""

    path: Path
    bytes: int
    sentence: str
    waiting: int
    to_fix: int


def report_path(warehouse: Warehouse) -> Path | None:
    """HUBSYNC_REPORT, else beside the DuckDB file or in the working folder; None where
    HUBSYNC_REPORT is empty."""
    given = os.environ.get("HUBSYNC_REPORT")
    if given is not None:
        return Path(given) if given.strip() else None
    return default_path(warehouse)


def default_path(warehouse: Warehouse) -> Path:
    """Where the report is when nothing says otherwise."""
    return warehouse.path.with_name(_NAME) if warehouse.path else Path(_NAME)


def write(warehouse: Warehouse, path: Path) -> Written:
    """Read, render and put the file in place at once: whoever opens it meanwhile sees
    the old one. Raises ConfigurationError before the first sync, HubsyncError where
    the database cannot be read or the file not be written."""
    if not warehouse.holds("ops", "sync_runs"):
        raise ConfigurationError(
            f"There is nothing to report from the {warehouse.describe()} yet; run "
            "hubsync sync first."
        )
    # Not at the top: `--help` and a sync without a report need none of it.
    from pipelines.report import content, page
    from pipelines.status import stale_minutes

    answers = content.Answers(warehouse, stale_minutes(None))
    with warehouse.checkpointing():
        found = content.told(answers)
        text = page.render(found).encode()
    replace(path, text, named_by="--output or HUBSYNC_REPORT")
    return Written(
        path=path,
        bytes=len(text),
        sentence=page.sentence(found),
        waiting=len(found.waiting) + len(found.losses),
        to_fix=found.to_fix,
    )


def write_after(warehouse: Warehouse, notes: list[str]) -> Path | None:
    """The report after a run, whatever became of the run: where it is, or None and a
    note that says why not.

    Raises nothing: the page is about the run, and no part of it.
    """
    with noted("The report was", notes):
        path = report_path(warehouse)
        if path is not None and warehouse.holds("ops", "sync_runs"):
            return write(warehouse, path).path
    return None
