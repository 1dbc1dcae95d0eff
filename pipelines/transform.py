"""Run the dbt project on a warehouse: transform, test, and (unless planning) publish.

dbt runs inside this process; what it finds wrong becomes a sentence with the rows.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from pipelines import models, ops
from pipelines.errors import ConsistencyError, HubsyncError
from pipelines.files import replace
from pipelines.hubspot.state import ensure_state
from pipelines.log import log, wanted
from pipelines.models import PROJECT
from pipelines.redaction import mask
from pipelines.warehouse import Warehouse, session_options

ROOT = PROJECT.parent

Progress = Callable[[str, int, int | None], None]

_SHOWN_ROWS = 5
_SHOWN_TESTS = 10


@dataclass
class TransformReport:
    """What dbt did: `published` names the tables of `app` that were merged, `notes`
    are sentences for the reader that fail nothing."""

    published: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Transformation:
    """One run of the dbt project in two halves, parsed once for both.

    `decide` builds and tests every layer before `app`; `publish` merges what it decided
    into `app` and tests that. Whatever must know the decision before it is published
    comes in between. Both raise ConsistencyError naming each failed test and its rows,
    HubsyncError where a model itself fails.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        *,
        run_id: str,
        now: datetime,
        progress: Progress | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._run_id = run_id
        self._now = now
        self._variables: dict[str, Any] = {"run_id": run_id, "now": now.isoformat()}
        self._progress = progress
        self._manifest: Manifest | None = None
        self.report = TransformReport()

    def decide(self, *, everything: bool = False) -> None:
        """Build and test the layers before `app`, which stays as it is.

        Only models that can have changed since the last run that got so far
        (models.py), or `everything`.
        """
        manifest = self._parsed()
        with self._warehouse.connect() as connection:
            due = models.take_due(
                connection,
                manifest,
                run_id=self._run_id,
                now=self._now,
                everything=everything,
            )
        self._variables |= due.variables
        self._build(
            "transforming and testing", *due.selection, "--exclude", "path:models/app"
        )
        with self._warehouse.connect() as connection:
            models.built(connection, due)

    def publish(self) -> None:
        """Merge what was decided into `app`. Only after a `decide` that raised nothing:
        dbt is not asked again whether its tests have passed."""
        self._build("publishing", "--select", "path:models/app")

    def make_views(self) -> None:
        """The analysts' typed views anew. Nobody's access depends on them: that they
        could not be made is a note, not a failed run."""
        made = self._invoke([], "run-operation", "create_hubspot_views")
        if not made.success:
            self.report.notes.append(
                f"The typed views of schema hubspot could not be made: {_reason(made)}"
            )

    def _build(self, step: str, *selection: str) -> None:
        callbacks: list[Any] = []
        if self._progress:
            callbacks.append(_NodeProgress(self._progress, step))
        if wanted():
            callbacks.append(partial(_log_node, self._run_id))
        outcome = self._invoke(
            callbacks,
            "build",
            *("--vars", json.dumps(self._variables)),
            # Unit tests prove the code, not the data; `make test` runs them.
            *("--exclude-resource-type", "unit_test"),
            *selection,
        )
        report = _judged(self._warehouse, outcome)
        self.report.published += report.published
        self.report.notes += report.notes

    def _parsed(self) -> Manifest:
        if self._manifest is None:
            with _dbt_environment(self._warehouse):
                options = _options(self._warehouse)
                self._manifest = _parsed(self._warehouse, options)
        return self._manifest

    def _invoke(self, callbacks: list[Any], *arguments: str) -> dbtRunnerResult:
        runner = dbtRunner(manifest=self._parsed(), callbacks=callbacks)
        with _dbt_environment(self._warehouse):
            return _invoke(runner, [*arguments, *_options(self._warehouse)])


def transform(
    warehouse: Warehouse,
    *,
    run_id: str,
    now: datetime,
    publish: bool,
    views: bool = False,
    progress: Progress | None = None,
) -> TransformReport:
    """Build and test every model; with `publish`, merge into `app` as well.

    `views` makes the analysts' typed views anew, after everything else. Raises as
    `Transformation` does.
    """
    with warehouse.connect() as connection:  # a run has done so already
        ensure_state(connection)
        ops.create_tables(connection)
    run = Transformation(warehouse, run_id=run_id, now=now, progress=progress)
    run.decide(everything=True)
    if publish:
        run.publish()
    if views:
        run.make_views()
    return run.report


# The project as last parsed for each engine, and of what: a process that syncs again
# parses once.
_last_parsed: dict[str, tuple[object, Manifest]] = {}


def _parsed(warehouse: Warehouse, options: list[str]) -> Manifest:
    """The project, parsed for this database.

    Without variables: they change in every run, and a change of variables makes dbt
    forget its cached parse (seconds per run). They are rendered when a model is
    compiled, which happens in the build.
    """
    # dbt writes the name of the database into every relation it parses.
    database = warehouse.path.stem if warehouse.path else os.environ["PGDATABASE"]
    files = [(path, path.stat().st_mtime_ns) for path in models.project_files()]
    of = (str(PROJECT), database, files)
    known = _last_parsed.get(warehouse.target)
    if known is None or known[0] != of:
        kept = _Kept(warehouse, database)
        manifest = kept.read()
        if manifest is None or known is not None:
            # Of another project, or what parsing leaves behind, must not be frozen.
            _last_parsed.pop(warehouse.target, None)
            gc.unfreeze()
        if manifest is None:
            outcome = _invoke(dbtRunner(), ["parse", *options])
            if not isinstance(outcome.result, Manifest):
                raise _project_error(outcome)
            manifest = outcome.result
            kept.write(manifest)
            del outcome
            gc.collect()
        known = _last_parsed[warehouse.target] = of, manifest
        # Looking through it for garbage again and again was a twelfth of a run.
        gc.freeze()
    return known[1]


class _Kept:
    """What was parsed, for the next process: read back in a fiftieth of the time that
    dbt takes to find out, by its own cache, that there is nothing to parse.

    A pickle beside dbt's cache and as trustworthy as Python's own of its bytecode: who
    can write there can change the code. Of the manifest's public fields, by name: its
    own way of being pickled forgets some of them, and then shifts the others; what
    begins with an underscore it makes anew from these when it is asked for.
    """

    def __init__(self, warehouse: Warehouse, database: str) -> None:
        profiles = (ROOT / "profiles.yml").read_bytes()
        project = [str(PROJECT), database, models.fingerprint()]
        self._of = hashlib.sha256("\0".join(project).encode() + profiles).digest()
        self._path = _target_path(warehouse) / "manifest.pickle"

    def read(self) -> Manifest | None:
        """None where nothing, or something else, or half of it is there."""
        try:
            of, fields = pickle.loads(self._path.read_bytes())
            manifest = Manifest()
            vars(manifest).update(fields)
        except Exception:  # whatever pickle raises of another release's classes
            return None
        return manifest if of == self._of else None

    def write(self, manifest: Manifest) -> None:
        fields = {k: v for k, v in vars(manifest).items() if not k.startswith("_")}
        with suppress(HubsyncError):  # no room for it: then the next parses again
            replace(
                self._path, pickle.dumps((self._of, fields)), named_by="DBT_TARGET_PATH"
            )


atexit.register(gc.unfreeze)  # else the end of a process looks like a leak


def release() -> None:
    """Let go of the database between two runs of one process: dbt keeps a DuckDB file
    open, and a second process could not even read it."""
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


@contextmanager
def _dbt_environment(warehouse: Warehouse) -> Iterator[None]:
    """dbt changes the working folder and reads the DuckDB path from the environment;
    both are as before afterwards."""
    before = {
        name: os.environ.get(name)
        for name in ("HUBSYNC_DUCKDB", "NO_COLOR", "PGOPTIONS")
    }
    folder = os.getcwd()
    if warehouse.path is not None:
        os.environ["HUBSYNC_DUCKDB"] = str(warehouse.path.absolute())
    os.environ["NO_COLOR"] = "1"
    os.environ["PGOPTIONS"] = session_options()  # dbt's profile has no word for it
    try:
        yield
    finally:
        os.chdir(folder)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _target_path(warehouse: Warehouse) -> Path:
    """A folder per engine: with one for both, every change of engine parses anew.
    Syncs side by side want a folder each, or each parses what the other has parsed:
    dbt's own variable names it."""
    root = Path(os.environ.get("DBT_TARGET_PATH") or ROOT / "target").absolute()
    return root / warehouse.target


def _options(warehouse: Warehouse) -> list[str]:
    target_path = _target_path(warehouse)
    return [
        *("--project-dir", str(PROJECT)),
        *("--profiles-dir", str(ROOT)),
        *("--target", warehouse.target),
        *("--target-path", str(target_path)),
        *("--log-path", str(target_path)),
        *("--log-level", "none"),
        *("--log-level-file", "none"),
        # manifest.json and its like, at every call: nobody reads them after a sync.
        "--no-write-json",
        "--quiet",
    ]


class _NodeProgress:
    """dbt's events as progress: one step, in which every node counts."""

    def __init__(self, progress: Progress, step: str) -> None:
        self._progress = progress
        self._step = step
        self._nodes = 0

    def __call__(self, event: Any) -> None:
        if event.info.name == "LogStartLine":
            self._nodes += 1
            self._progress(self._step, self._nodes, event.data.total)


def _log_node(run_id: str, event: Any) -> None:
    """A line of the log for every model, seed and test that dbt has finished."""
    if event.info.name != "NodeFinished":
        return
    node, result = event.data.node_info, event.data.run_result
    log(
        "node",
        run_id=run_id,
        node_id=node.unique_id,
        kind=node.resource_type,
        status=node.node_status,
        failures=result.num_failures,
        seconds=round(result.execution_time, 3),
    )


def _invoke(runner: dbtRunner, arguments: list[str]) -> dbtRunnerResult:
    """dbt returns even Ctrl-C as a result; whoever pressed it meant all of us."""
    outcome = runner.invoke(arguments)
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise KeyboardInterrupt
    return outcome


def _judged(warehouse: Warehouse, outcome: dbtRunnerResult) -> TransformReport:
    results = list(getattr(outcome.result, "results", None) or [])
    failed = [r for r in results if _kind(r) == "test" and str(r.status) == "fail"]
    broken = [r for r in results if str(r.status) == "error"]
    merged = sorted(
        r.node.name
        for r in results
        if _kind(r) == "model" and r.node.schema == "app" and str(r.status) == "success"
    )
    # app.access publishes them all, in one transaction.
    published = merged if "access" in merged else []
    if failed:
        raise ConsistencyError(_failed_tests(warehouse, failed, published))
    if broken:
        raise HubsyncError(_broken_nodes(warehouse, broken, published))
    if not outcome.success:
        raise _project_error(outcome)
    return TransformReport(
        published=published,
        notes=[
            f"Test {r.node.name} warns about {r.failures} rows: {_meaning(r.node)}"
            for r in results
            if str(r.status) == "warn"
        ],
    )


def _kind(result: Any) -> str:
    return str(result.node.resource_type)


def _nothing_published(published: list[str]) -> str:
    """Tests of `app` itself run after its merge: then this must not claim otherwise."""
    if not published:
        return "Nothing was published; app is as it was before this run."
    return (
        f"app.{', app.'.join(published)} had been published before it was "
        "found; nothing was removed. Mend the cause and run again."
    )


def _failed_tests(warehouse: Warehouse, failed: list[Any], published: list[str]) -> str:
    lines = [
        f"{len(failed)} consistency test{'s' if len(failed) > 1 else ''} failed. "
        + _nothing_published(published)
    ]
    for result in failed[:_SHOWN_TESTS]:
        count = int(result.failures or 0)
        lines.append("")
        lines.append(f"{result.node.name}: {_meaning(result.node)}")
        lines.append(
            f"  {count} row{'s' if count != 1 else ''} against it, for example:"
        )
        lines.extend(f"    {row}" for row in _offending_rows(warehouse, result.node))
    if len(failed) > _SHOWN_TESTS:
        lines.append("")
        lines.extend(f"also: {result.node.name}" for result in failed[_SHOWN_TESTS:])
    return "\n".join(lines)


def _meaning(node: Any) -> str:
    """What the test promises: its description, its opening comment, or its kind."""
    if description := str(getattr(node, "description", "") or "").strip():
        return " ".join(description.split())
    metadata = getattr(node, "test_metadata", None)
    if metadata is None:
        comment = re.match(r"(?:\s*--[^\n]*\n)+", str(node.raw_code))
        if comment:
            return " ".join(re.sub(r"(?m)^\s*--", "", comment.group()).split())
        return "this query must return no row."
    column = str(
        getattr(node, "column_name", None) or metadata.kwargs.get("column_name")
    )
    table = _tested_model(node)
    sentences = {
        "primary_key": f"every row of {table} has a {column} of its own.",
        "unique": f"every {column} appears once in {table}.",
        "not_null": f"{column} is never empty in {table}.",
        "relationships": f"every {column} of {table} exists where it points.",
        "accepted_values": f"{column} of {table} has only values that are known.",
    }
    return sentences.get(str(metadata.name), f"{metadata.name} holds for {table}.")


def _tested_model(node: Any) -> str:
    attached = str(getattr(node, "attached_node", None) or "")
    return attached.rsplit(".", 1)[-1] or "its table"


def _offending_rows(warehouse: Warehouse, node: Any) -> list[str]:
    """Up to five of the rows a failed test found, by running its own query."""
    sql = f"select * from ({node.compiled_code}\n) as offending limit {_SHOWN_ROWS}"
    metadata = getattr(node, "test_metadata", None)
    if metadata is not None and metadata.name == "not_null":
        # Its own query returns the empty column alone, which identifies no row.
        source = re.search(r"(?is)\bfrom\s+(\S+)\s+where\b.*$", str(node.compiled_code))
        if source:
            sql = f"select * {source.group().rstrip()} limit {_SHOWN_ROWS}"
    try:
        with warehouse.connect() as connection:
            found = connection.execute(sql)
            columns = connection.columns
    except Exception as error:
        return [f"(the rows could not be read: {mask(str(error)).strip()})"]
    return [_shown(dict(zip(columns, row, strict=True))) for row in found]


def _shown(row: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={value}" for name, value in row.items())
    return text if len(text) <= 240 else text[:239] + "…"


def _broken_nodes(warehouse: Warehouse, broken: list[Any], published: list[str]) -> str:
    lines = [
        f"{len(broken)} step{'s' if len(broken) > 1 else ''} of the transformation "
        f"failed. {_nothing_published(published)}"
    ]
    for result in broken[:_SHOWN_TESTS]:
        lines.append("")
        lines.append(f"{_kind(result)} {result.node.name} ({_path(result.node)}):")
        message = mask(str(result.message or "")).strip()
        lines.extend(f"  {line}" for line in message.splitlines()[:12])
        if advice := warehouse.advice(message):
            lines += ["", advice]
            break  # one trouble of the database, in every step that it reached
    return "\n".join(lines)


def _path(node: Any) -> str:
    return f"dbt_project/{getattr(node, 'original_file_path', '')}"


def _project_error(outcome: dbtRunnerResult) -> HubsyncError:
    return HubsyncError(
        f"The dbt project could not be run; nothing was published. {_reason(outcome)}"
    )


def _reason(outcome: dbtRunnerResult) -> str:
    failed = [
        str(result.message)
        for result in getattr(outcome.result, "results", None) or []
        if str(result.status) == "error"
    ]
    text = str(outcome.exception or "") or " ".join(failed) or "dbt gave no reason"
    return mask(" ".join(text.split()))
