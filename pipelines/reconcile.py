"""Is everything in step? HubSpot against `hubspot_raw`, and `app` against the models.

Two comparisons, so that one fault is counted once. Raw is compared with HubSpot
itself. The app is compared with what its models say from the intermediate tables of
the last run: a raw row edited since has not reached those, so it is a difference of
raw and not of the app as well. Together they compare HubSpot with the app.

Mending goes the same two ways. First what the last run decided is published again,
because the models remember some things by reading `app` and must not learn from a row
that was edited by hand; only where that run's tests passed and nothing has happened
since. Then raw is mended from HubSpot, and an ordinary transformation follows with
all its tests. Everything is compared again at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines import ops
from pipelines.checks import settle
from pipelines.errors import HubsyncError
from pipelines.hubspot.absence import explain
from pipelines.hubspot.associations import Associations
from pipelines.hubspot.columns import Columns
from pipelines.hubspot.comparison import (
    Comparison,
    Difference,
    Kind,
    RawComparison,
    Value,
)
from pipelines.hubspot.definitions import KEYS, Definitions
from pipelines.hubspot.objects import association_pairs
from pipelines.hubspot.raw import SCHEMA, mark_merged, mark_state, quoted, table
from pipelines.hubspot.state import ensure_state, note_raw_tables
from pipelines.load import Load
from pipelines.ops import Run
from pipelines.progress import Progress
from pipelines.publication import Publication, publications, republish
from pipelines.settings import Settings
from pipelines.transform import transform
from pipelines.warehouse import Connection, Warehouse

_RECORDS = 2_000  # mended in one load: bounds memory


@dataclass
class Reconciliation:
    """Before mending and, where that was asked for and needed, after it."""

    run: Run
    warehouse: Warehouse
    before: Comparison
    after: Comparison | None = None

    @property
    def remaining(self) -> list[Difference]:
        return list((self.after or self.before).differences.values())


class OutOfStep(HubsyncError):
    """Differences remain; `found` has them. Exit code 1."""

    def __init__(self, found: Reconciliation) -> None:
        self.found = found
        last = found.after or found.before
        count, rows = len(last.differences), compared(last)
        super().__init__(
            f"{count:,} of {rows:,} rows differ: {in_step(last):.2f} % in step. "
            + (
                "They could not all be mended."
                if found.after
                else "hubsync reconcile --repair mends them."
            )
        )


def compared(comparison: Comparison) -> int:
    """Rows compared, all tables together."""
    return sum(tally.compared for tally in comparison.tallies.values())


def in_step(comparison: Comparison) -> float:
    """Percentage of rows that are equal, rounded down: 100 means all of them."""
    return _percent(compared(comparison), len(comparison.differences))


def _percent(rows: int, differing: int) -> float:
    if not rows:
        return 0.0 if differing else 100.0
    return max(0, rows - differing) * 10_000 // rows / 100


def as_json(comparison: Comparison) -> dict[str, Any]:
    """For `--json`: totals, a line per table, and every difference."""
    differing: dict[str, int] = {}
    for each in comparison.differences.values():
        differing[each.table] = differing.get(each.table, 0) + 1
    return {
        "in_step_percent": in_step(comparison),
        "compared": compared(comparison),
        "differing": len(comparison.differences),
        "in_flight": sum(t.in_flight for t in comparison.tallies.values()),
        "tables": [
            {
                "table": name,
                "compared": tally.compared,
                "differing": differing.get(name, 0),
                "in_flight": tally.in_flight,
                "in_step_percent": _percent(tally.compared, differing.get(name, 0)),
            }
            for name, tally in comparison.tallies.items()
        ],
        "differences": [
            {
                "table": each.table,
                "key": each.key,
                "kind": each.kind,
                "cause": each.cause,
                "values": [
                    {
                        "column": value.column,
                        "ours": value.ours,
                        "expected": value.expected,
                    }
                    for value in each.values
                ],
            }
            for each in comparison.differences.values()
        ],
    }


def reconcile(
    *, target: str | None, repair: bool = False, quiet: bool = False
) -> Reconciliation:
    """Compare everything, and with `repair` mend what differs and compare again.

    Raises OutOfStep where differences remain; HubsyncError and its kinds where the
    comparison or the mending cannot be done, ConsistencyError included.
    """
    settings = Settings.load()
    warehouse = Warehouse.from_environment(target)
    _require_a_load(warehouse)
    with (
        warehouse.lock(),
        # Under a name of its own: only a repair touches the tables that it compares.
        ops.recorded(warehouse, "repair" if repair else "reconcile") as run,
        Progress(quiet=quiet) as progress,
    ):
        run.policy_gaps = ops.last_policy_gaps(warehouse)
        load = Load(warehouse, settings, progress=progress)
        last = _last_decision(warehouse)
        try:
            definitions = load.read_definitions()
            found = Reconciliation(
                run, warehouse, _compare(load, definitions, run, progress, last)
            )
            if repair and found.before.differences:
                mending = _Mending(load, definitions, found.before)
                mending.run(run, progress, republishable=last.is_published)
                last = _Decision("repair", True, _BY_HAND)
                found.after = _compare(load, definitions, run, progress, last)
        finally:
            run.calls = dict(load.client.calls)
            run.daily_calls, run.daily_calls_left = load.client.daily_calls
        for comparison in (found.before, found.after):
            for name, tally in (comparison.tallies if comparison else {}).items():
                run.rows_read[name] = run.rows_read.get(name, 0) + tally.compared
        if found.remaining:
            progress.finish()
            raise OutOfStep(found)
    return found


def _require_a_load(warehouse: Warehouse) -> None:
    """Raises HubsyncError before the first sync, without making a database file."""
    exists = warehouse.path is None or warehouse.path.exists()
    if not exists or not warehouse.relation_exists("ops", "watermarks"):
        raise HubsyncError(
            f"Nothing was ever loaded into the {warehouse.describe()}, so there is "
            "nothing to compare. Run hubsync sync first."
        )


def _compare(
    load: Load,
    definitions: Definitions,
    run: Run,
    progress: Progress,
    last: _Decision,
) -> Comparison:
    with run.step("compare raw"):
        result = RawComparison(load.client, load.warehouse, definitions, progress).run()
        progress.finish()
    with run.step("compare app"):
        progress("app", 0, None)
        compare_app(load.warehouse, result, last.cause)
        progress("app", sum(_app_rows(result)), None)
        progress.finish()
    return result


def _app_rows(comparison: Comparison) -> Iterator[int]:
    for name, tally in comparison.tallies.items():
        if name.startswith("app."):
            yield tally.compared


# -- app -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Decision:
    """The last run that wrote the intermediate tables. `is_published`: its tests
    passed, so that publishing what it decided is safe."""

    command: str
    is_published: bool
    cause: str


_BY_HAND = "edited in the database"


def _last_decision(warehouse: Warehouse) -> _Decision:
    """How the intermediate tables came to be, and so why `app` may differ."""
    found = ops.rows(
        warehouse,
        "select command, status, exit_code from ops.sync_runs "
        "where status <> 'running' and command <> 'reconcile' "
        "order by started_at desc limit 1",
    )
    if not found:
        return _Decision("none", False, "not published yet")
    command, status = str(found[0]["command"]), str(found[0]["status"])
    if command not in ("sync", "plan", "repair"):
        return _Decision(command, False, f"changed by hubsync {command}, or by hand")
    if found[0]["exit_code"] not in (0, 3):
        return _Decision(
            command,
            False,
            f"the last run was {status} before it could publish, or edited by hand",
        )
    if command == "plan":
        return _Decision(command, True, "planned and not published, or edited by hand")
    return _Decision(command, True, _BY_HAND)


def compare_app(warehouse: Warehouse, result: Comparison, cause: str) -> None:
    """Add to `result` every row of `app` that is not what its model gives.

    `cause` says why, of rows that both have. Columns, tables and rows of the app's
    own are not looked at, except rows in our tables that no model gives.
    """
    for each in publications(warehouse):
        name = f"app.{each.table}"
        if not warehouse.relation_exists("app", each.table):
            result.tally(name).compared += 1
            absent = "nothing was published yet; hubsync sync does"
            result.add(Difference(name, "*", "not loaded", absent))
            continue
        with warehouse.connect() as connection:
            _compare_table(connection, each, result, cause)


def _compare_table(
    connection: Connection, each: Publication, result: Comparison, cause: str
) -> None:
    name = f"app.{each.table}"
    types = dict(
        connection.execute(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'app' and table_name = ?",
            (each.table,),
        )
    )
    expected = {
        # JSON has its own equality: spaces and the order of keys are nothing.
        column: f"cast(e.{column} as {types[column]})"
        if types.get(column, "").lower().startswith("json")
        else f"e.{column}"
        for column in each.columns
    }
    keys = [*each.key]
    on = " and ".join(f"e.{key} = p.{key}" for key in keys)
    differs = [f"e.{keys[0]} is null", f"p.{keys[0]} is null"] + [
        f"{expected[column]} is distinct from p.{column}" for column in each.columns
    ]
    selected = [f"coalesce(e.{key}, p.{key})" for key in keys]
    selected += [f"e.{keys[0]} is null", f"p.{keys[0]} is null"]
    for column in each.columns:
        selected += [
            f"{expected[column]} is distinct from p.{column}",
            f"p.{column}",
            expected[column],
        ]
    source = f"({each.query}\n) as e"
    published = f"app.{each.table} as p"
    excused = (
        f" and (e.{keys[0]} is not null or p.{keys[0]} not in ({each.excused}))"
        if each.excused
        else ""
    )
    [(count,)] = connection.execute(
        f"select count(*) from {source} full join {published} on {on}"
    )
    result.tally(name).compared += count
    width = len(keys)
    for row in connection.execute(
        f"select {', '.join(selected)} from {source} full join {published} on {on} "
        f"where ({' or '.join(differs)}){excused}"
    ):
        key, (unexpected, absent), rest = row[:width], row[width : width + 2], row
        kind: Kind = "surplus" if unexpected else "missing" if absent else "value"
        values = []
        if kind == "value":
            rest = row[width + 2 :]
            values = [
                Value(column, rest[3 * i + 1], rest[3 * i + 2])
                for i, column in enumerate(each.columns)
                if rest[3 * i]
            ]
        why = {
            "missing": cause.replace("edited", "deleted"),
            "surplus": "no model gives this row: inserted in the database",
            "value": cause,
        }[kind]
        result.add(Difference(name, " ".join(map(str, key)), kind, why, values))


# -- mending ---------------------------------------------------------------------


class _Mending:
    """Brings what differs back into step, with the load's own machinery."""

    def __init__(self, load: Load, definitions: Definitions, found: Comparison) -> None:
        self.load = load
        self.warehouse = load.warehouse
        self.definitions = definitions
        self.found = found

    def run(self, run: Run, progress: Progress, *, republishable: bool) -> None:
        now = datetime.now(UTC)
        places = {each.table for each in self.found.differences.values()}
        if republishable and any(place.startswith("app.") for place in places):
            with run.step("publish again"):
                progress("publishing again", 0, None)
                republish(self.warehouse, run_id=run.run_id, now=now)
                progress.finish()
        if any(place.startswith(f"{SCHEMA}.") for place in places):
            with run.step("mend raw"):
                self._mend_raw()
                progress.finish()
        self.warehouse.confirm_lock()
        with run.step("transform"):
            transform(
                self.warehouse,
                run_id=run.run_id,
                now=datetime.now(UTC),
                publish=True,
                progress=progress,
            )
            progress.finish()

    def _mend_raw(self) -> None:
        types = self.definitions.object_types
        pairs = association_pairs(types, self.definitions.links)
        links = Associations(self.load.client, self.warehouse, types, pairs)
        with self.warehouse.connect() as connection:
            ensure_state(connection)
            columns = self.load._prepare_tables(connection, self.definitions)
            self._remove_duplicates(connection)
            rows = self.load._changed_definitions(connection, self.definitions, columns)
        with self.load._pipeline() as run:
            run({}, rows)
            for name in types:
                records = [d for d in self._of(name) if d.kind != "not loaded"]
                asked = [d for d in records if d.key.isdigit()]
                for start in range(0, len(asked), _RECORDS):
                    chunk = asked[start : start + _RECORDS]
                    self._mend_records(run, links, columns, name, chunk)
                # Nobody can ask HubSpot for an id that is not a number.
                strays = [d.key for d in records if not d.key.isdigit()]
                with self.warehouse.connect() as connection:
                    mark_state(connection, name, strays, "missing")
            self._mend_links(run, links)
        for failure in links.failed.values():
            raise failure

    def _of(self, name: str) -> list[Difference]:
        place = f"{SCHEMA}.{name}"
        return [d for d in self.found.differences.values() if d.table == place]

    def _mend_records(
        self,
        run: Any,
        links: Associations,
        columns: Mapping[str, Columns],
        name: str,
        differing: list[Difference],
    ) -> None:
        """Ask for these records once more; HubSpot's word now is what is stored."""
        client, kind = self.load.client, self.definitions.object_types[name]
        merged = {d.key: d.merged_into for d in differing if d.merged_into}
        ids = {d.key for d in differing} - merged.keys()
        found = explain(client, kind, columns[name].properties, ids)
        settle(self.load, run, links, columns, {name: found})
        self.load.link(run, links, {}, {name: list(merged)}, {})
        with self.warehouse.connect() as connection:
            mark_merged(connection, name, merged)

    def _mend_links(self, run: Any, links: Associations) -> None:
        """Links that differ, read again from the side on which they do."""
        changed: dict[str, list[str]] = {}
        orphans = []
        for each in self._of("associations"):
            if each.is_orphan:
                orphans.append(each.row_key)
            else:
                changed.setdefault(each.row_key[0], []).append(each.row_key[1])
        self.load.link(run, links, changed, {}, {})
        on = " and ".join(f"{quoted(key)} = ?" for key in KEYS["associations"])
        with self.warehouse.connect() as connection:
            note_raw_tables(connection, ["associations"] if orphans else [])
            for key in orphans:
                connection.execute(
                    f"delete from {table('associations')} where {on}", key
                )

    def _remove_duplicates(self, connection: Connection) -> None:
        """One row of each doubled key stays; it is then read again like any other."""
        doubled: dict[str, list[tuple[Any, ...]]] = {}
        for each in self.found.differences.values():
            if each.kind == "duplicate":
                name = each.table.removeprefix(f"{SCHEMA}.")
                doubled.setdefault(name, []).append(each.row_key)
        note_raw_tables(connection, doubled)
        for name, keys in doubled.items():
            on = " and ".join(f"{quoted(key)} = ?" for key in KEYS.get(name, ("id",)))
            for key in keys:
                row = connection.execute(
                    f"select * from {table(name)} where {on} limit 1", key
                )[0]
                names = ", ".join(quoted(column) for column in connection.columns)
                marks = ", ".join("?" for _ in row)
                connection.execute(f"delete from {table(name)} where {on}", key)
                connection.execute(
                    f"insert into {table(name)} ({names}) values ({marks})", row
                )
