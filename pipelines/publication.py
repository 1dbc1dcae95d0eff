"""What `app` should hold: the queries of its own models, and their publication.

The expectation is not written down a second time. dbt compiles the models of `app`,
and what their queries give now, from the intermediate tables of the last run, is what
the app's tables must hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from pipelines.transform import (
    _dbt_environment,
    _invoke,
    _judged,
    _options,
    _project_error,
)
from pipelines.warehouse import Warehouse

_APP = ("--select", "path:models/app")
# app.access is a row per customer that its post-hooks fill with the verdicts.
_VERDICTS = "{{ verdicts_to_apply() }}"
_VERDICT_COLUMNS = (
    "access_level",
    "is_enabled",
    "is_churned",
    "reason_code",
    "evidence",
    "effective_at",
    "access_until",
)
# When something was written, not what: never compared by the merge either.
_WRITTEN = frozenset({"synced_at"})
_HISTORY = frozenset({"access_events"})


@dataclass(frozen=True)
class Publication:
    """One table of `app`: its key, and the query that gives its rows."""

    table: str
    key: tuple[str, ...]
    query: str
    columns: tuple[str, ...]  # compared, without the key
    # Rows that may be in the table though the query does not give them.
    excused: str | None = None


def publications(warehouse: Warehouse) -> list[Publication]:
    """Every table of `app` but its history. Raises HubsyncError when dbt cannot."""
    with _dbt_environment(warehouse):
        options = _options(warehouse)
        manifest = _parse(options)
        runner = dbtRunner(manifest=manifest)
        models = _compiled(runner, ["compile", *options, *_APP])
        runner = dbtRunner(manifest=manifest)
        (verdicts,) = _compiled(runner, ["compile", *options, "--inline", _VERDICTS])
    found = []
    for node in models:
        # Not the view of what is true now, which holds nothing.
        if node.config.materialized != "published" or node.name in _HISTORY:
            continue
        unique = node.config.unique_key
        key = (unique,) if isinstance(unique, str) else tuple(unique)
        if node.name == "access":
            found.append(
                Publication(
                    node.name,
                    key,
                    verdicts.compiled_code,
                    _VERDICT_COLUMNS,
                    "select customer_id from ops.access_plan where held",
                )
            )
            continue
        columns = tuple(c for c in node.columns if c not in {*key, *_WRITTEN})
        found.append(Publication(node.name, key, node.compiled_code, columns))
    return sorted(found, key=lambda each: each.table)


def republish(warehouse: Warehouse, *, run_id: str, now: datetime) -> None:
    """Merge what the last run decided into `app` once more, deciding nothing.

    For mending: the models remember some things by reading `app`, so they must not
    decide anew while it holds values that someone has changed by hand. The caller
    knows that the last run's tests passed. Raises HubsyncError.
    """
    variables = {"run_id": run_id, "now": now.isoformat(), "app_was_edited": True}
    with _dbt_environment(warehouse):
        options = _options(warehouse)
        given = ["--vars", json.dumps(variables)]
        runner = dbtRunner(manifest=_parse(options))
        outcome = _invoke(runner, ["run", *options, *given, *_APP])
    _judged(warehouse, outcome)


def _compiled(runner: dbtRunner, arguments: list[str]) -> list[Any]:
    outcome = _invoke(runner, arguments)
    if not outcome.success:
        raise _project_error(outcome)
    return [result.node for result in getattr(outcome.result, "results", [])]


def _parse(options: list[str]) -> Manifest:
    parsed = _invoke(dbtRunner(), ["parse", *options])
    if not isinstance(parsed.result, Manifest):
        raise _project_error(parsed)
    return parsed.result
