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
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.checks import Checks, settle
from pipelines.errors import ConfigurationError, HubsyncError, PortalUnavailable
from pipelines.hubspot.absence import Found, explain
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
from pipelines.hubspot.journal import JournalRead, JournalUnavailable, read_journal
from pipelines.hubspot.listing import joined
from pipelines.hubspot.objects import association_pairs
from pipelines.hubspot.raw import (
    SCHEMA,
    changed_counts,
    ensure_tables,
    holds_any_within,
    live_ids_within,
    loaded_ids,
    mark_merged,
    stored_columns,
    stored_rows,
    told_merges,
)
from pipelines.hubspot.records import MERGE_LISTS
from pipelines.hubspot.source import hubspot
from pipelines.hubspot.state import (
    JOURNAL,
    Watermark,
    ensure_state,
    is_due,
    note_raw_records,
    note_raw_tables,
    only_raw_records,
    raw_changes,
    read_state,
    write_state,
)
from pipelines.hubspot.sweep import Progress, Sweep
from pipelines.settings import STANDARD_OBJECTS, Settings
from pipelines.trouble import is_full, temporary_folder_is_full
from pipelines.warehouse import Connection, Warehouse

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
    # Files that load side by side: a COPY's client and its server wait in turn for each
    # other. Two of them keep two cores busy; each more costs its memory.
    "DATA_WRITER__FILE_MAX_ITEMS": "25000",
    "LOAD__WORKERS": "2",
}


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


def _check_portal(connection: Connection, definitions: Definitions) -> None:
    """Raw has the records of one portal; those of a second one would make every
    customer of the first go missing."""
    stored = {str(row[0]) for row in stored_rows(connection, "portal")}
    actual = str(definitions.portal.get("portalId"))
    if stored and actual not in stored:
        raise ConfigurationError(
            f"The token belongs to HubSpot portal {actual}, but this database has the "
            f"records of portal {', '.join(sorted(stored))}. Each portal needs a "
            "database of its own: name another one in PGDATABASE or HUBSYNC_DUCKDB. "
            "Nothing was changed."
        )


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
        self._portal_changed = True
        self._newly_noted: set[str] = set()  # by the last write of dlt

    def read_definitions(self) -> Definitions:
        """What the portal says of itself; read once per load.

        Raises ConfigurationError for a wrong token, a missing scope, a wrong portal.
        """
        if self._definitions is None:
            with self.timed("definitions"):
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
        with self.warehouse.connect() as connection:
            ensure_state(connection)
            columns = self._prepare_tables(connection, definitions)
            _check_portal(connection, definitions)
            rows = self._changed_definitions(connection, definitions, columns)
            # Committed before the first load: the next run sees a crash from here on.
            sweeps = self._begin(connection, definitions, columns)
        pairs = association_pairs(definitions.object_types, definitions.links)
        links = Associations(
            self.client, self.warehouse, definitions.object_types, pairs
        )
        # Read before the sweeps: what happens during them is told next time.
        journal = self._read_journal(definitions, pairs)
        with self._pipeline() as run, _closing(sweeps.values(), links):
            pending = list(sweeps.values())
            for sweep in pending:
                sweep.on_listed = links.read_ahead
                sweep.has_links = links.holds_any
                if not sweep.watermark.repeats_list:
                    sweep.on_none = links.without_records.add
            while pending:
                self._round(run, pending, rows, links, columns)
                rows = {}
                pending = [s for s in pending if not s.done and s.failure is None]
            checks = Checks(self, run, links, columns, sweeps)
            if journal is not None:
                checks.journal(journal)
            checks.archive()
            checks.new_properties()
            checks.audit()
            checks.links_again()
        self.report.notes += [
            f"HubSpot refused to read associations of {pair[0]} with {pair[1]}; "
            "they stay as they are."
            for pair in sorted(links.unsupported)
        ]
        return self._finish(sweeps, definitions)

    # -- preparation -----------------------------------------------------------

    def _prepare_tables(
        self, connection: Connection, definitions: Definitions
    ) -> dict[str, Columns]:
        index = self.warehouse.target == "postgres"
        standard: dict[str, list[str]] = {name: [] for name in STANDARD_OBJECTS}
        ensure_tables(connection, standard, index=index)
        assigned = stored_columns(connection)
        columns = {
            name: assign_columns(
                (str(each["name"]) for each in properties), assigned.get(name)
            )
            for name, properties in definitions.properties.items()
        }
        ensure_tables(
            connection,
            {
                name: [*each.in_columns.values(), *_kept(assigned.get(name, {}))]
                for name, each in columns.items()
            },
            index=index,
        )
        return columns

    def _begin(
        self,
        connection: Connection,
        definitions: Definitions,
        columns: Mapping[str, Columns],
    ) -> dict[str, Sweep]:
        state = read_state(connection)
        known = {
            (row[0], row[1])
            for row in stored_rows(connection, "properties")
            if row[-1] == "live"
        }
        sweeps: dict[str, Sweep] = {}
        for name, each in definitions.object_types.items():
            mark = state.get(name) or Watermark(name)
            added = {(name, prop) for prop in columns[name].properties} - known
            if mark.phase == "search" and (self.full or self._verify_due(mark)):
                mark = Watermark(
                    name, archived_count=mark.archived_count, repeats_list=True
                )
            elif mark.phase == "search" and added:
                # A new property may hold values that no modified date tells of.
                pending = {prop for _, prop in added}
                pending |= set((mark.pending_properties or "").split(",")) - {""}
                mark.pending_properties = ",".join(sorted(pending))
            sweeps[name] = Sweep(
                self.client,
                each,
                columns[name],
                mark,
                *self._lookback(mark),
                self.progress,
            )
            sweeps[name].begin()
        write_state(connection, [sweep.watermark for sweep in sweeps.values()])
        return sweeps

    def _changed_definitions(
        self,
        connection: Connection,
        definitions: Definitions,
        columns: Mapping[str, Columns],
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
            stored = stored_rows(connection, name)
            key = itemgetter(*(list(TABLES[name]).index(c) for c in KEYS[name]))
            present = {key(row) for row in rows}
            if name in ("properties", "pipelines"):
                rows = rows + [
                    (*row[:-1], "missing")
                    for row in stored
                    if key(row) not in present and row[0] in definitions.object_types
                ]
            before = set(stored)
            if name == "portal":
                self._portal_changed = set(rows) != before
            else:
                rows = [row for row in rows if row not in before]
            if rows:
                tables[name] = _table(name, rows)
        return tables

    def _read_journal(
        self, definitions: Definitions, pairs: list[tuple[str, str]]
    ) -> JournalRead | None:
        """What the webhooks journal tells, where it is configured and answers."""
        if self.settings.journal_client_id is None:
            return None
        with self.timed("journal"):
            with self.warehouse.connect() as connection:
                mark = read_state(connection).get(JOURNAL)
            try:
                return read_journal(
                    self.client,
                    self.settings,
                    definitions.object_types,
                    mark.cursor_id if mark else None,
                    portal_id=str(definitions.portal.get("portalId")),
                    pairs=pairs,
                )
            except JournalUnavailable as error:
                self.report.notes.append(str(error))
                return None

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
        with self.timed("read and load"):
            objects = {s.object_type.name: s.round for s in pending}
            with self.warehouse.connect() as connection:
                new = {
                    s.object_type.name
                    for s in pending
                    if s.listing
                    and s.remaining
                    and not holds_any_within(
                        connection, s.object_type.name, s.remaining.parts
                    )
                }
            loads = run(objects, definition_tables, new)
        with self.timed("associations"):
            changed: dict[str, list[str]] = {}
            merges: dict[str, dict[str, str]] = {}
            with self.warehouse.connect() as connection:
                for sweep in pending:
                    name, ids = sweep.object_type.name, sweep.round_ids
                    if not ids:
                        continue
                    # A first load and a resumed one may find records whose links
                    # were not read before a crash, though the records are equal.
                    changed[name] = (
                        ids
                        if sweep.listing or sweep.resumed
                        else loaded_ids(connection, name, ids, loads)
                    )
                    merges[name] = _merges(connection, name, columns[name], ids)
                # Not those that the look-back showed again, as they are stored.
                self.wrote_only(
                    connection, {name: changed.get(name, ()) for name in objects}
                )
            gone = {name: list(losers) for name, losers in merges.items()}
            unread = {s.object_type.name: s.unread for s in pending}
            self.link(run, links, changed, gone, unread)
            for sweep in pending:
                if error := links.failed.get(sweep.object_type.name):
                    sweep.fail(error)
        with self.warehouse.connect() as connection:
            for name, losers in merges.items():
                mark_merged(connection, name, losers)
        self._settle_walks(run, pending, links, columns)
        self.warehouse.confirm_lock()
        with self.warehouse.connect() as connection:
            kept = [sweep for sweep in pending if not sweep.repeat]
            write_state(connection, [sweep.committed() for sweep in kept])

    def _settle_walks(
        self,
        run: Callable[..., list[str]],
        pending: list[Sweep],
        links: Associations,
        columns: Mapping[str, Columns],
    ) -> None:
        """Settle what the walks found; a walk without an answer repeats its round."""
        for sweep in pending:
            name = sweep.object_type.name
            try:
                found = self._walk(sweep, columns[name])
                settle(self, run, links, columns, {name: found})
            except PortalUnavailable as error:
                sweep.fail(error)

    def link(
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
            rows, are_new = links.changes(changed, gone, still_unread)
            if rows.num_rows:
                new = {"associations"} if are_new else set()
                run({}, {"associations": rows}, new)

    def _lookback(self, mark: Watermark) -> tuple[timedelta, bool, bool]:
        """How far this sweep reaches back; the longer ones once an hour and a day."""
        now, settings = self.client.now(), self.settings
        minutes = settings.lookback_minutes
        hourly = is_due(mark.hourly_at, now, timedelta(hours=1))
        nightly = is_due(mark.nightly_at, now, timedelta(days=1))
        if hourly:
            minutes = max(minutes, settings.hourly_lookback_minutes)
        if nightly:
            minutes = max(minutes, settings.nightly_lookback_minutes)
        return timedelta(minutes=minutes), hourly, nightly

    def _verify_due(self, mark: Watermark) -> bool:
        age = timedelta(hours=self.settings.verify_hours)
        return is_due(mark.verified_at, self.client.now(), age)

    def _walk(self, sweep: Sweep, columns: Columns) -> Found:
        """Records we hold in the stretch a repeated list has passed, and it did not
        show: an id walk, at no call but those that ask for the absent by name."""
        if not sweep.watermark.repeats_list or sweep.failure is not None:
            return Found()
        name = sweep.object_type.name
        with self.warehouse.connect() as connection:
            held = live_ids_within(connection, name, joined(sweep.round_spans))
        absent = held - set(sweep.round_ids)
        return explain(self.client, sweep.object_type, columns.properties, absent)

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
                dataset_name=SCHEMA,
                pipelines_dir=folder,
            )

            def run(
                objects: Any, definition_tables: Any, new: Set[str] = frozenset()
            ) -> list[str]:
                with self.warehouse.connect() as connection:
                    self._note(connection, objects, definition_tables)
                try:
                    info = pipeline.run(
                        hubspot(objects, definition_tables, new),
                        loader_file_format="parquet",
                    )
                except HubsyncError:
                    raise
                except Exception as error:
                    if _was_interrupted(error):
                        raise KeyboardInterrupt from error
                    raise HubsyncError(
                        f"Loading into the {self.warehouse.describe()} failed: "
                        f"{self._reason(error)} Nothing was published; the next sync "
                        "repeats what is missing."
                    ) from error
                self._loads += info.loads_ids
                return list(info.loads_ids)

            yield run

    def _note(
        self,
        connection: Connection,
        objects: Iterable[str],
        definition_tables: Mapping[str, pa.Table],
    ) -> None:
        """Note in ops.raw_changes what dlt is about to write."""
        tables = {*objects, *definition_tables}
        if not self._portal_changed:
            tables.discard("portal")
        if links := definition_tables.get("associations"):
            tables.discard("associations")
            for kind in links["from_type"].unique().to_pylist():
                ids = links.filter(pc.equal(links["from_type"], kind))["from_id"]
                note_raw_records(connection, "associations", kind, ids.to_pylist())
        self._newly_noted = note_raw_tables(connection, tables)

    def wrote_only(
        self, connection: Connection, records: Mapping[str, Iterable[str]]
    ) -> None:
        """The last write of dlt was of no other records than these, by type."""
        for name in records.keys() & self._newly_noted:
            only_raw_records(connection, name, records[name])
            self._newly_noted.remove(name)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = self.report.seconds.get(step, 0.0) + time.perf_counter() - start
            self.report.seconds[step] = spent

    def _reason(self, error: BaseException) -> str:
        """The deepest cause in one line, and what to do: dlt wraps what the database
        said."""
        error = _first_cause(error)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = (lines[0] if lines else type(error).__name__).rstrip(".")[:400] + "."
        if is_full(error):
            return f"{said} {temporary_folder_is_full()}"
        advice = self.warehouse.advice(str(error))
        return f"{said} {advice}" if advice else said

    def _finish(
        self, sweeps: Mapping[str, Sweep], definitions: Definitions
    ) -> LoadReport:
        report = self.report
        report.calls = dict(self.client.calls)
        report.rows_read = {n: s.read for n, s in sweeps.items() if s.read}
        with self.warehouse.connect() as connection:
            # Of the others no row is looked at: of a million, that takes its time.
            tables = raw_changes(connection) & {*definitions.object_types, *TABLES}
            report.rows_changed = changed_counts(connection, tables, self._loads)
        report.rows_changed.pop("portal", None)
        failed = [s for s in sweeps.values() if s.failure is not None]
        for sweep in failed:
            if isinstance(sweep.failure, ConfigurationError):
                raise sweep.failure
            report.failures.append(f"{sweep.object_type.name}: {sweep.failure}")
        report.complete = not failed
        return report


@contextmanager
def _closing(sweeps: Iterable[Sweep], links: Associations) -> Iterator[None]:
    """However a load ends, nobody goes on reading for it."""
    try:
        yield
    finally:
        for sweep in sweeps:
            sweep.close()
        links.close()


def _merges(
    connection: Connection, name: str, columns: Columns, live: list[str]
) -> dict[str, str]:
    """loser -> survivor among the stored records, as these live records tell it."""
    told = [columns.by_property.get(prop) for prop in MERGE_LISTS]
    merges = told_merges(connection, name, [c for c in told if c], live)
    for survivor in live:
        merges.pop(survivor, None)  # HubSpot just gave it as a live record
    return merges


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


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C or a signal began it: dlt wraps it, or fails in tidying up."""
    return error is not None and (
        isinstance(error, KeyboardInterrupt)
        or _was_interrupted(error.__cause__)
        or _was_interrupted(error.__context__)
    )
