"""One load of a portal into `hubspot_raw`: definitions, records, links, archive.

What makes a crash harmless: dlt works in a folder of this run alone (its schema is
restored from the database), so no half-done package can be left for a later run; our
watermarks are written last, after records and links are committed; and every write is
a merge on a key, so reading a window twice changes nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import dlt
import pyarrow as pa

from pipelines.errors import ConfigurationError, HubsyncError
from pipelines.hubspot.associations import Associations
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.columns import Columns, assign_columns
from pipelines.hubspot.definitions import (
    KEYS,
    TABLES,
    Definitions,
    definition_rows,
    read_definitions,
)
from pipelines.hubspot.objects import ObjectType, association_pairs
from pipelines.hubspot.raw import (
    changed_counts,
    ensure_tables,
    loaded_ids,
    loaded_merges,
    mark_merged,
    mark_state,
    stored_archived,
    stored_columns,
    stored_rows,
    stored_states,
)
from pipelines.hubspot.reading import LIST_PAGE, batch_read, list_pages
from pipelines.hubspot.records import Record, parse_time, to_arrow
from pipelines.hubspot.source import hubspot
from pipelines.hubspot.state import Watermark, ensure_state, read_state, write_state
from pipelines.hubspot.sweep import Progress, Sweep
from pipelines.settings import STANDARD_OBJECTS, Settings
from pipelines.warehouse import Warehouse

DATASET = "hubspot_raw"

# What the load relies on, wherever it is started from; `.dlt/config.toml` is for
# what people may choose. `direct` keeps our column names as they are.
_DLT = {
    "SCHEMA__NAMING": "direct",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "EXTRACT__WORKERS": "12",
    "EXTRACT__MAX_PARALLEL_ITEMS": "24",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "LOAD__RAISE_ON_MAX_RETRIES": "2",
}

_MERGE_LISTS = ("hs_merged_object_ids", "hs_calculated_merged_vids")


@dataclass
class LoadReport:
    """What a load did. Not complete: nothing that depends on it may be published."""

    complete: bool = True
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    rows_read: dict[str, int] = field(default_factory=dict)
    rows_changed: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def _silent(_label: str, _done: int, _total: int | None) -> None:
    pass


class Load:
    """One load. `full` reads every record and link again, whatever was read before."""

    def __init__(
        self,
        warehouse: Warehouse,
        settings: Settings,
        *,
        full: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.warehouse = warehouse
        self.settings = settings
        self.full = full
        self.progress: Progress = progress or _silent
        self.client = HubSpot(settings)
        self.report = LoadReport()
        self._definitions: Definitions | None = None
        self._loads: list[str] = []

    def read_definitions(self) -> Definitions:
        """What the portal says of itself; read once per load.

        Raises ConfigurationError for a wrong token, a missing scope, a wrong portal.
        """
        if self._definitions is None:
            with self._timed("definitions"):
                self.progress("definitions", 0, None)
                self._definitions = read_definitions(self.client)
        return self._definitions

    def run(self) -> LoadReport:
        """Bring `hubspot_raw` to what HubSpot holds now.

        A type that cannot be read to its end is named in the report's failures and
        keeps its watermark; the others are loaded all the same. Raises
        ConfigurationError when HubSpot refuses the token or a scope on the way, and
        HubsyncError when the database cannot be written.
        """
        definitions = self.read_definitions()
        self.report.notes += definitions.notes
        ensure_state(self.warehouse)
        columns = self._prepare_tables(definitions)
        sweeps = self._begin(definitions, columns)
        links = Associations(
            self.client,
            self.warehouse,
            definitions.object_types,
            association_pairs(definitions.object_types, definitions.links),
        )
        with self._pipeline() as run:
            rows = self._changed_definitions(definitions, columns)
            pending = list(sweeps.values())
            while pending:
                self._round(run, pending, rows, links, columns)
                rows = {}
                pending = [s for s in pending if not s.done and s.failure is None]
            self._archive(run, sweeps, links, columns)
        return self._finish(sweeps, definitions)

    # -- preparation -----------------------------------------------------------

    def _prepare_tables(self, definitions: Definitions) -> dict[str, Columns]:
        ensure_tables(self.warehouse, {name: () for name in STANDARD_OBJECTS})
        assigned = stored_columns(self.warehouse)
        columns = {
            name: assign_columns(
                (str(each["name"]) for each in properties), assigned.get(name)
            )
            for name, properties in definitions.properties.items()
        }
        ensure_tables(
            self.warehouse,
            {
                name: [*each.in_columns.values(), *_kept(assigned.get(name, {}))]
                for name, each in columns.items()
            },
        )
        return columns

    def _begin(
        self, definitions: Definitions, columns: Mapping[str, Columns]
    ) -> dict[str, Sweep]:
        state = read_state(self.warehouse)
        known = {
            (row[0], row[1])
            for row in stored_rows(self.warehouse, "properties")
            if row[-1] == "live"
        }
        sweeps: dict[str, Sweep] = {}
        for name, each in definitions.object_types.items():
            mark = state.get(name) or Watermark(name)
            added = {(name, prop) for prop in columns[name].properties} - known
            if mark.phase == "search" and (self.full or added):
                # A new property may hold values that no modified date tells of.
                mark = Watermark(name, archived_count=mark.archived_count)
            sweeps[name] = Sweep(
                self.client,
                each,
                columns[name],
                mark,
                timedelta(minutes=self.settings.lookback_minutes),
                self.progress,
            )
            sweeps[name].begin()
        # Written before the first load: a crash from here on is seen by the next run.
        write_state(self.warehouse, [sweep.watermark for sweep in sweeps.values()])
        return sweeps

    def _changed_definitions(
        self, definitions: Definitions, columns: Mapping[str, Columns]
    ) -> dict[str, pa.Table]:
        """Definition rows that differ from what is stored; the portal's row always.

        That one row makes every load leave its line in `_dlt_loads`, the heartbeat of
        freshness. What disappears from HubSpot stays with `_state` missing, because
        records keep naming old stages and properties.
        """
        tables: dict[str, pa.Table] = {}
        now = definition_rows(
            definitions, lambda kind, name: columns[kind].by_property.get(name)
        )
        for name, rows in now.items():
            stored = stored_rows(self.warehouse, name)
            width = len(KEYS[name])
            present = {row[:width] for row in rows}
            if name in ("properties", "pipelines"):
                rows = rows + [
                    (*row[:-1], "missing")
                    for row in stored
                    if row[:width] not in present and row[0] in definitions.object_types
                ]
            if name != "portal":
                before = set(stored)
                rows = [row for row in rows if row not in before]
            if rows:
                tables[name] = _table(name, rows)
        return tables

    # -- rounds ------------------------------------------------------------------

    def _round(
        self,
        run: Callable[..., list[str]],
        pending: list[Sweep],
        definition_tables: Mapping[str, pa.Table],
        links: Associations,
        columns: Mapping[str, Columns],
    ) -> None:
        """Read, load, mark merges, bring links up to date, then move the watermarks."""
        with self._timed("read and load"):
            objects = {s.object_type.name: s.round for s in pending}
            loads = run(objects, definition_tables)
        with self._timed("associations"):
            changed: dict[str, list[str]] = {}
            gone: dict[str, list[str]] = {}
            for sweep in pending:
                name = sweep.object_type.name
                if not sweep.round_ids:
                    continue
                changed[name] = (
                    sweep.round_ids
                    if sweep.listing or sweep.resumed
                    else loaded_ids(self.warehouse, name, sweep.round_ids, loads)
                )
                merged = self._mark_merges(name, columns[name], sweep.round_ids, loads)
                if merged:
                    gone[name] = merged
            unread = {s.object_type.name: s.unread for s in pending}
            self._link(run, links, changed, gone, unread)
        write_state(self.warehouse, [sweep.committed() for sweep in pending])

    def _mark_merges(
        self, name: str, columns: Columns, live: list[str], loads: list[str]
    ) -> list[str]:
        told = [columns.by_property.get(prop) for prop in _MERGE_LISTS]
        merges = loaded_merges(self.warehouse, name, [c for c in told if c], loads)
        for survivor in live:
            merges.pop(survivor, None)  # HubSpot just gave it as a live record
        return mark_merged(self.warehouse, name, merges)

    def _link(
        self,
        run: Callable[..., list[str]],
        links: Associations,
        changed: Mapping[str, list[str]],
        gone: Mapping[str, list[str]],
        unread: Mapping[str, Callable[[str], bool]],
    ) -> None:
        def still_unread(name: str, record_id: str) -> bool:
            return name in unread and unread[name](record_id)

        if any(changed.values()) or any(gone.values()):
            self.progress("associations", 0, None)
            rows = links.changes(changed, gone, still_unread)
            if rows.num_rows:
                run({}, {"associations": rows})

    # -- archive -----------------------------------------------------------------

    def _archive(
        self,
        run: Callable[..., list[str]],
        sweeps: Mapping[str, Sweep],
        links: Associations,
        columns: Mapping[str, Columns],
    ) -> None:
        """Archived and restored records, where the check is due (11).

        HubSpot gives archived records only as a list without a time filter. Where
        that list is one page it is read every run, else every `archived_minutes`. A
        list that was not read to its end decides nothing.
        """
        due = [s for s in sweeps.values() if s.failure is None and self._is_due(s)]
        if not due:
            return
        with self._timed("archive"):
            self.progress("archived records", 0, None)
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(self._archived, due))
            tables: dict[str, Callable[[], Iterator[pa.Table]]] = {}
            changed: dict[str, list[str]] = {}
            gone: dict[str, list[str]] = {}
            for sweep, result in zip(due, found, strict=True):
                if isinstance(result, HubsyncError):
                    sweep.failure = result
                    continue
                name = sweep.object_type.name
                batches = [
                    to_arrow(part, columns[name], state)
                    for part, state in (
                        (result.archived, "archived"),
                        (result.restored, "live"),
                    )
                    if part
                ]
                if batches:
                    tables[name] = partial(_each, batches)
                gone[name] = [str(record["id"]) for record in result.archived]
                changed[name] = [str(record["id"]) for record in result.restored]
                if result.purged:
                    gone[name] += mark_state(
                        self.warehouse, name, result.purged, "erased"
                    )
                sweep.watermark.archived_at = self.client.now()
                sweep.watermark.archived_count = result.count
            if tables:
                run(tables, {})
            self._link(run, links, changed, gone, {})
            write_state(
                self.warehouse,
                [sweep.watermark for sweep in due if sweep.failure is None],
            )

    def _is_due(self, sweep: Sweep) -> bool:
        mark = sweep.watermark
        if self.full or mark.archived_at is None or mark.archived_count <= LIST_PAGE:
            return True
        age = self.client.now() - mark.archived_at
        return age >= timedelta(minutes=self.settings.archived_minutes)

    def _archived(self, sweep: Sweep) -> _Archived | HubsyncError:
        name = sweep.object_type.name
        try:
            stored = stored_archived(self.warehouse, name)
            found = _Archived()
            seen: set[str] = set()
            names = sweep.columns.properties
            for records, _ in list_pages(
                self.client, sweep.object_type, names, archived=True
            ):
                for record in records:
                    record_id = str(record["id"])
                    if record_id in seen:
                        continue
                    seen.add(record_id)
                    at = parse_time(record.get("archivedAt"))
                    if record_id not in stored or stored[record_id] != at:
                        found.archived.append(record)
            found.count = len(seen)
            states = stored_states(
                self.warehouse, name, [str(r["id"]) for r in found.archived]
            )
            found.archived = [
                r for r in found.archived if states.get(str(r["id"])) != "merged"
            ]
            if vanished := stored.keys() - seen:
                found.restored, purged = batch_read(
                    self.client, sweep.object_type, names, sorted(vanished)
                )
                found.restored = [r for r in found.restored if str(r["id"]) in vanished]
                found.purged = sorted(purged & vanished)
            return found
        except HubsyncError as error:
            return error

    # -- plumbing ----------------------------------------------------------------

    @contextmanager
    def _pipeline(self) -> Iterator[Callable[..., list[str]]]:
        """A function that loads tables and returns the load ids."""
        for key, value in _DLT.items():
            os.environ.setdefault(key, value)
        with tempfile.TemporaryDirectory(prefix="hubsync-") as folder:
            pipeline = dlt.pipeline(
                "hubsync",
                destination=self.warehouse.destination(),
                dataset_name=DATASET,
                pipelines_dir=folder,
            )

            def run(objects: Any, definition_tables: Any) -> list[str]:
                try:
                    info = pipeline.run(
                        hubspot(objects, definition_tables),
                        loader_file_format="parquet",
                    )
                except HubsyncError:
                    raise
                except Exception as error:
                    raise HubsyncError(
                        f"Loading into the {self.warehouse.describe()} failed: "
                        f"{_reason(error)} Nothing was published; the next sync "
                        "repeats what is missing."
                    ) from error
                self._loads += info.loads_ids
                return list(info.loads_ids)

            yield run

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = self.report.seconds.get(step, 0.0) + time.perf_counter() - start
            self.report.seconds[step] = spent

    def _finish(
        self, sweeps: Mapping[str, Sweep], definitions: Definitions
    ) -> LoadReport:
        report = self.report
        report.calls = dict(self.client.calls)
        report.rows_read = {n: s.read for n, s in sweeps.items() if s.read}
        tables = [*definitions.object_types, *TABLES]
        report.rows_changed = changed_counts(self.warehouse, tables, self._loads)
        report.rows_changed.pop("portal", None)
        failed = [s for s in sweeps.values() if s.failure is not None]
        for sweep in failed:
            if isinstance(sweep.failure, ConfigurationError):
                raise sweep.failure
            report.failures.append(f"{sweep.object_type.name}: {sweep.failure}")
        report.complete = not failed
        return report


@dataclass
class _Archived:
    """A complete archived listing against what is stored."""

    archived: list[Record] = field(default_factory=list)  # newly archived
    restored: list[Record] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)  # gone after 90 days, or erased
    count: int = 0


def _each(batches: list[pa.Table]) -> Iterator[pa.Table]:
    yield from batches


def _kept(assigned: Mapping[str, str | None]) -> list[str]:
    return [column for column in assigned.values() if column]


def _table(name: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    kinds = {
        "text": pa.string(),
        "boolean": pa.bool_(),
        "bigint": pa.int64(),
        "timestamptz": pa.timestamp("us", "UTC"),
    }
    fields = [pa.field(column, kinds[kind]) for column, kind in TABLES[name].items()]
    return pa.Table.from_arrays(
        [
            pa.array(values, each.type)
            for values, each in zip(zip(*rows, strict=True), fields, strict=True)
        ],
        schema=pa.schema(fields),
    )


def _reason(error: BaseException) -> str:
    """The deepest cause in one line: dlt wraps what the database said."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:400]


__all__ = ["Definitions", "Load", "LoadReport", "ObjectType"]
