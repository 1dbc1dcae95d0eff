"""HubSpot itself against `hubspot_raw`: every record, value, link and definition.

What HubSpot says is turned into the very rows a load would write (`to_arrow`,
`definition_rows`), and those are compared with what is stored. So a difference is
exactly what a load of that record would change, and nothing else is one.

Memory follows the differences and not the portal: records come page by page, stored
rows are fetched by id, and rows that HubSpot does not list are found over ranges of
ids. What HubSpot changed after the last complete sweep began is in flight: the next
sync reads it, so it is counted apart and is no difference.

Not compared: the values of merged-away and erased records, which HubSpot gives to
nobody; of merged ones their state and survivor are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Literal

import orjson

from pipelines.hubspot.associations import INPUTS, Associations, Link, Pair
from pipelines.hubspot.client import HubSpot
from pipelines.hubspot.columns import Columns, assign_columns
from pipelines.hubspot.definitions import (
    KEYS,
    TABLES,
    Definitions,
    Json,
    definition_rows,
)
from pipelines.hubspot.objects import association_pairs
from pipelines.hubspot.raw import SCHEMA, quoted, stored_columns, stored_rows, table
from pipelines.hubspot.reading import batch_read, list_pages
from pipelines.hubspot.records import (
    MERGE_LISTS,
    Record,
    as_text,
    merged_away,
    parse_time,
    to_arrow,
)
from pipelines.hubspot.state import Watermark, read_state
from pipelines.hubspot.sweep import Progress
from pipelines.warehouse import Connection, Warehouse

BATCH = 2_000  # records compared at a time
RANGE = 50_000  # ids per search for rows that HubSpot does not list
_TYPES_AT_ONCE = 4

_STATE = "_state"

Kind = Literal["missing", "value", "surplus", "duplicate", "not loaded"]

_OURS = "edited in the database"
_UNDATED = (
    "edited in the database, or changed in HubSpot without moving the modified date"
)


@dataclass(frozen=True)
class Value:
    """One value that differs; None is no value, "" is an empty one."""

    column: str
    ours: Any
    expected: Any


@dataclass
class Difference:
    """One row that is not as it should be. `table` with its schema, `key` as text."""

    table: str
    key: str
    kind: Kind
    cause: str
    values: list[Value] = field(default_factory=list)
    merged_into: str | None = None
    row_key: tuple[Any, ...] = ()  # of a link or a doubled row
    is_orphan: bool = False  # a link that no reading of a live record reaches


@dataclass
class Tally:
    """Rows of one table: compared (without those in flight), and in flight."""

    compared: int = 0
    in_flight: int = 0


@dataclass
class Comparison:
    """What was compared, and every difference once, by table and key."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)

    def tally(self, name: str) -> Tally:
        return self.tallies.setdefault(name, Tally())

    def add(self, difference: Difference) -> None:
        """The first word on a row counts; a second one adds its values to it."""
        key = (difference.table, difference.key)
        known = self.differences.setdefault(key, difference)
        if known is difference:
            return
        known.values += difference.values
        if difference.kind == "duplicate":
            known.kind, known.cause = "duplicate", difference.cause
            known.row_key = difference.row_key

    def add_all(self, other: Comparison) -> None:
        for name, tally in other.tallies.items():
            mine = self.tally(name)
            mine.compared += tally.compared
            mine.in_flight += tally.in_flight
        for difference in other.differences.values():
            self.add(difference)


@dataclass
class _OfType:
    """What the passes over one object type leave for the end."""

    found: Comparison = field(default_factory=Comparison)
    in_flight: set[str] = field(default_factory=set)
    listed_live: set[str] = field(default_factory=set)  # among those that differ
    listed: int = 0
    # stored, but not listed by HubSpot: id -> stored state
    unlisted: dict[str, str] = field(default_factory=dict)
    told_merges: dict[str, str] = field(default_factory=dict)  # not marked so
    links: list[tuple[Pair, str, Link, Kind, list[Value]]] = field(default_factory=list)
    links_read: int = 0


class RawComparison:
    """One comparison of a portal with a warehouse; the caller holds the run lock."""

    def __init__(
        self,
        client: HubSpot,
        warehouse: Warehouse,
        definitions: Definitions,
        progress: Progress,
    ) -> None:
        self.client = client
        self.warehouse = warehouse
        self.definitions = definitions
        self.progress = progress
        self.pairs = association_pairs(definitions.object_types, definitions.links)
        self.links = Associations(
            client, warehouse, definitions.object_types, self.pairs
        )
        with warehouse.connect() as connection:
            self._marks = read_state(connection)
            assigned = stored_columns(connection)
            self._existing = _existing_columns(connection)
            self._known = {
                (row[0], row[1]) for row in stored_rows(connection, "properties")
            }
        self.columns = {
            name: assign_columns((str(p["name"]) for p in props), assigned.get(name))
            for name, props in definitions.properties.items()
        }
        self._calculated = {
            (name, str(prop["name"]))
            for name, props in definitions.properties.items()
            for prop in props
            if prop.get("calculated") is True
        }
        self._lookback = timedelta(minutes=client.settings.lookback_minutes)

    def run(self) -> Comparison:
        """Compare everything. Raises HubsyncError when HubSpot cannot be read."""
        result = Comparison()
        self._compare_definitions(result)
        loaded = [name for name in self.definitions.object_types if self._mark(name)]
        for name in self.definitions.object_types.keys() - set(loaded):
            result.tally(_raw(name)).compared += 1
            cause = "its first load is not finished; hubsync sync goes on with it"
            result.add(Difference(_raw(name), "*", "not loaded", cause))
        with ThreadPoolExecutor(_TYPES_AT_ONCE) as pool:
            parts = dict(zip(loaded, pool.map(self._compare_type, loaded), strict=True))
        for part in parts.values():
            result.add_all(part.found)
        self._conclude_links(parts, result)
        with self.warehouse.connect() as connection:
            for name in [*loaded, *KEYS]:
                if name in self._existing:
                    _find_duplicates(connection, name, result)
        return result

    def _mark(self, name: str) -> Watermark | None:
        mark = self._marks.get(name)
        if mark is None or mark.complete_until is None or name not in self._existing:
            return None
        return mark

    def _is_in_flight(self, name: str, moment: datetime | None) -> bool:
        mark = self._mark(name)
        until = mark.complete_until if mark else None
        return moment is not None and until is not None and moment > until

    # -- records -----------------------------------------------------------------

    def _compare_type(self, name: str) -> _OfType:
        part = _OfType()
        self._pass(name, part, archived=False)
        self._pass(name, part, archived=True)
        self._conclude_records(name, part)
        return part

    def _pass(self, name: str, part: _OfType, *, archived: bool) -> None:
        """Everything HubSpot lists as live, or as archived."""
        columns = self.columns[name]
        batch: dict[str, Record] = {}
        seen: set[str] = set()
        low: tuple[int, str] = (0, "")
        pages = list_pages(
            self.client,
            self.definitions.object_types[name],
            columns.properties,
            archived=archived,
        )
        for records, cursor in pages:
            batch.update((str(r["id"]), r) for r in records if str(r["id"]) not in seen)
            if len(batch) < BATCH and cursor is not None:
                continue
            self._compare_batch(name, part, list(batch.values()), archived=archived)
            seen.update(batch)
            batch = {}
            if len(seen) >= RANGE or cursor is None:
                high = max(((len(i), i) for i in seen), default=low)
                self._find_unlisted(
                    name, part, seen, low, None if cursor is None else high, archived
                )
                low, seen = high, set()

    def _compare_batch(
        self, name: str, part: _OfType, records: list[Record], *, archived: bool
    ) -> None:
        if not records:
            return
        state = "archived" if archived else "live"
        wanted = to_arrow(records, self.columns[name], state)
        existing = self._existing[name]
        selected = ", ".join(
            quoted(c) if c in existing else f"null as {quoted(c)}"
            for c in wanted.column_names
        )
        ids = [str(record["id"]) for record in records]
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                f"select {selected} from {table(name)} "
                "where id in (select unnest(cast(? as text[])))",
                (ids,),
            )
        stored = {str(row[0]): row for row in rows}
        lists = [wanted.column(i).to_pylist() for i in range(wanted.num_columns)]
        for record, expected in zip(records, zip(*lists, strict=True), strict=True):
            part.found.tally(_raw(name)).compared += 1
            mine = stored.get(str(record["id"]))
            if mine != expected:
                self._differs(name, part, record, wanted.column_names, mine, expected)
        part.listed += len(records)
        self.progress(name, part.listed, None)
        if not archived:
            self._find_told_merges(name, part, records)
            for start in range(0, len(ids), INPUTS):
                self._compare_links(name, part, ids[start : start + INPUTS])

    def _differs(
        self,
        name: str,
        part: _OfType,
        record: Record,
        names: Sequence[str],
        mine: tuple[Any, ...] | None,
        expected: tuple[Any, ...],
    ) -> None:
        record_id, state = str(record["id"]), str(expected[names.index(_STATE)])
        ours = None if mine is None else dict(zip(names, mine, strict=True))
        if ours is not None and ours[_STATE] == "merged" and state == "archived":
            return  # the archive may list a merged-away record; it stays merged
        theirs = dict(zip(names, expected, strict=True))
        values = [] if ours is None else self._values(name, ours, theirs)
        if ours is not None and not values:
            return  # the same overflow, written in another order
        if self._is_in_flight(name, _last_change(record)):
            tally = part.found.tally(_raw(name))
            tally.compared -= 1
            tally.in_flight += 1
            part.in_flight.add(record_id)
            return
        if state == "live":
            part.listed_live.add(record_id)
        part.found.add(
            Difference(
                _raw(name),
                record_id,
                "missing" if ours is None else "value",
                self._cause(name, record, ours, values),
                values,
            )
        )

    def _values(
        self, name: str, ours: dict[str, Any], theirs: dict[str, Any]
    ) -> list[Value]:
        """Differing values under HubSpot's property names."""
        mine, wanted = (
            orjson.loads(each.pop("_overflow") or "{}")
            for each in (dict(ours), dict(theirs))
        )
        by_column = {c: p for p, c in self.columns[name].in_columns.items()}
        differing = [
            Value(by_column.get(column, column), ours[column], theirs[column])
            for column in ours
            if column != "_overflow" and ours[column] != theirs[column]
        ]
        differing += [
            Value(prop, mine.get(prop), wanted.get(prop))
            for prop in sorted(mine.keys() | wanted.keys())
            if mine.get(prop) != wanted.get(prop)
        ]
        return differing

    def _cause(
        self,
        name: str,
        record: Record,
        ours: dict[str, Any] | None,
        values: list[Value],
    ) -> str:
        changed = _last_change(record)
        if ours is None:
            return (
                self._late(name, changed) or "never read, or deleted from the database"
            )
        if any(v.column == _STATE for v in values):
            if record.get("archivedAt") and ours[_STATE] == "live":
                read = self._marks[name].archived_at
                archived = parse_time(record["archivedAt"])
                if read and archived and archived > read:
                    return "archived after the archive was last read"
                return "archived in HubSpot and not read so, or " + _OURS
            if ours[_STATE] == "archived":
                return "restored after the archive was last read, or " + _OURS
            return _OURS
        before, now = ours["_updated_at"], parse_time(record.get("updatedAt"))
        if before is not None and now is not None and before != now:
            if before > now:
                return _OURS
            return self._late(name, now) or "a change that was never read"
        new = [v.column for v in values if (name, v.column) not in self._known]
        properties = [v.column for v in values if not v.column.startswith("_")]
        if properties and set(properties) <= set(new):
            return "a property that no sync has read yet"
        if properties and all((name, p) in self._calculated for p in properties):
            return "calculated by HubSpot, which does not move the modified date"
        return _UNDATED

    def _late(self, name: str, changed: datetime | None) -> str | None:
        """Said of a change that fell into the look-back before the last sweep."""
        until = self._marks[name].complete_until
        if changed is None or until is None or changed < until - self._lookback:
            return None
        return "changed just before the last sync and indexed late; the next reads it"

    def _find_told_merges(
        self, name: str, part: _OfType, records: list[Record]
    ) -> None:
        """Stored losers that are not marked as the survivors tell it (2.8)."""
        told = _told_merges(records)
        if not told:
            return
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                f"select id, _state, _merged_into from {table(name)} "
                "where id in (select unnest(cast(? as text[])))",
                (list(told),),
            )
        for record_id, state, into in rows:
            if (state, into) != ("merged", told[record_id]):
                part.told_merges[record_id] = told[record_id]
                part.unlisted[record_id] = state

    def _find_unlisted(
        self,
        name: str,
        part: _OfType,
        listed: set[str],
        low: tuple[int, str],
        high: tuple[int, str] | None,
        archived: bool,
    ) -> None:
        """Stored rows of a range of ids that HubSpot did not list there.

        Ids are numbers without leading zeros, so (length, text) is their order, and
        an order that holds for anything else too.
        """
        state = "archived" if archived else "live"
        within = "(length(id) > ? or (length(id) = ? and id > ?))"
        params: list[Any] = [state, low[0], low[0], low[1]]
        if high is not None:
            within += " and (length(id) < ? or (length(id) = ? and id <= ?))"
            params += [high[0], high[0], high[1]]
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                f"select distinct id from {table(name)} where _state = ? and {within}",
                params,
            )
        part.unlisted.update((i, state) for (i,) in rows if i not in listed)

    def _conclude_records(self, name: str, part: _OfType) -> None:
        """What became of rows that HubSpot does not list; asked before it is said."""
        differing = {key for _, key in part.found.differences}
        candidates = [
            i for i in part.unlisted if i not in differing and i not in part.in_flight
        ]
        if not candidates:
            return
        kind = self.definitions.object_types[name]
        lists = [p for p in MERGE_LISTS if p in self.columns[name].by_property]
        numeric = [i for i in candidates if i.isdigit()]
        answers, _ = batch_read(self.client, kind, lists, numeric)
        here = {str(record["id"]) for record in answers}
        told = {**part.told_merges, **_told_merges(answers)}
        survivors = {str(record["id"]): record for record in answers}
        gone = [i for i in candidates if i not in here]
        asked = [i for i in gone if i.isdigit() and i not in told]
        found, _ = batch_read(self.client, kind, lists, asked, archived=True)
        archive = {str(record["id"]): record for record in found}
        for record_id in gone:
            into, state = told.get(record_id), part.unlisted[record_id]
            tally = part.found.tally(_raw(name))
            witness = survivors.get(into) if into else archive.get(record_id)
            if into in part.in_flight or (
                witness is not None and self._is_in_flight(name, _last_change(witness))
            ):
                tally.in_flight += 1
                part.in_flight.add(record_id)
                continue
            if into is not None:
                now, cause = "merged", f"merged into {into}"
            elif witness is not None:
                now, cause = "archived", "archived after the archive was last read"
            elif state == "archived":
                now, cause = "erased", "purged from the archive, or erased"
            else:
                now, cause = (
                    "erased",
                    "HubSpot has no such record: erased, or inserted in the database",
                )
            if now == state and into is None:
                continue  # listed late in the archive
            tally.compared += 1
            values = [Value(_STATE, state, now)]
            if into is not None and state == "merged":
                values = [Value("_merged_into", "another", into)]
            part.found.add(
                Difference(_raw(name), record_id, "surplus", cause, values, into)
            )

    # -- associations --------------------------------------------------------------

    def _compare_links(self, name: str, part: _OfType, ids: list[str]) -> None:
        """Links of live records, from their side; the other side has its own turn."""
        pairs = {pair: set(ids) for pair in self.pairs if pair[0] == name}
        read = self.links._read(pairs)
        for failure in self.links.failed.values():
            raise failure  # a pair that was not read must not pass for equal
        for pair, answers in read.items():
            stored = self.links._stored(pair, ids)
            for from_id, links in answers.items():
                mine = stored.get(from_id, set())
                part.links_read += len({link[:2] for link in links})
                if mine == links:
                    continue
                wanted: dict[tuple[str, int], list[Link]] = {}
                for link in links:
                    wanted.setdefault(link[:2], []).append(link)
                ours = {link[:2]: link for link in mine}
                for key, options in wanted.items():
                    if key not in ours:
                        part.links.append((pair, from_id, options[0], "missing", []))
                    elif ours[key] not in options:
                        columns = ("category", "label")
                        values = [
                            Value(column, a, b)
                            for column, a, b in zip(
                                columns, ours[key][2:], options[0][2:], strict=True
                            )
                            if a != b
                        ]
                        found: Kind = "value"
                        part.links.append((pair, from_id, ours[key], found, values))
                for key, link in ours.items():
                    if key not in wanted:
                        part.links.append((pair, from_id, link, "surplus", []))

    def _conclude_links(self, parts: Mapping[str, _OfType], result: Comparison) -> None:
        """Links between records that are in flight are in flight themselves."""
        tally = result.tally(_raw("associations"))

        def moving(name: str, record_id: str) -> bool:
            return name in parts and record_id in parts[name].in_flight

        def missing(name: str, record_id: str) -> bool:
            known = result.differences.get((_raw(name), record_id))
            return known is not None and known.kind == "missing"

        for part in parts.values():
            tally.compared += part.links_read
            for pair, from_id, link, kind, values in part.links:
                if moving(pair[0], from_id) or moving(pair[1], link[0]):
                    tally.in_flight += 1
                    tally.compared -= kind != "surplus"
                    continue
                tally.compared += kind == "surplus"
                if kind == "value":
                    cause = "another label in HubSpot, or " + _OURS
                elif missing(pair[0], from_id) or missing(pair[1], link[0]):
                    cause = "a record of it is missing too"
                elif kind == "missing":
                    cause = "linked without a change of the record, or deleted here"
                else:
                    cause = "unlinked without a change of the record, or inserted here"
                result.add(_of_link(pair, from_id, link, kind, cause, values))
        with self.warehouse.connect() as connection:
            for name, part in parts.items():
                for pair, from_id, link in self._orphans(connection, name):
                    if moving(name, from_id):
                        tally.in_flight += 1
                    elif from_id not in part.listed_live:
                        tally.compared += 1
                        cause = "its record is not live, or HubSpot has no such links"
                        orphan = _of_link(pair, from_id, link, "surplus", cause, [])
                        orphan.is_orphan = True
                        result.add(orphan)

    def _orphans(
        self, connection: Connection, name: str
    ) -> list[tuple[Pair, str, Link]]:
        """Stored links that no reading of live records can reach."""
        read = [pair[1] for pair in self.pairs if pair[0] == name]
        rows = connection.execute(
            "select a.to_type, a.from_id, a.to_id, a.type_id, a.category, a.label "
            f"from {table('associations')} as a where a.from_type = ? "
            "and a.to_type in (select unnest(cast(? as text[]))) "
            "and (a.to_type not in (select unnest(cast(? as text[]))) "
            f"or not exists (select 1 from {table(name)} as r "
            "where r.id = a.from_id and r._state = 'live'))",
            (name, list(self.definitions.object_types), read),
        )
        return [
            ((name, to), from_id, (to_id, int(kind), category, label))
            for to, from_id, to_id, kind, category, label in rows
        ]

    # -- definitions ---------------------------------------------------------------

    def _compare_definitions(self, result: Comparison) -> None:
        """Properties, stages, owners, types, the portal.

        What HubSpot no longer has must be marked missing where it has a state; owners
        and types stay as they are, as a load leaves them.
        """
        self.progress("definitions", 0, None)
        wanted = definition_rows(
            self.definitions, lambda kind, name: self.columns[kind].by_property[name]
        )
        moved = _definition_changes(self.definitions)
        untils = [m.complete_until for m in self._marks.values() if m.complete_until]
        until = min(untils, default=None)
        with self.warehouse.connect() as connection:
            stored = {name: stored_rows(connection, name) for name in wanted}
        for name, rows in wanted.items():
            tally = result.tally(_raw(name))
            key_of = itemgetter(*(list(TABLES[name]).index(k) for k in KEYS[name]))
            ours = {key_of(row): row for row in stored[name]}
            present = {key_of(row) for row in rows}
            if _STATE in TABLES[name]:
                rows = rows + [
                    (*row[:-1], "missing")
                    for key, row in ours.items()
                    if key not in present and row[0] in self.definitions.object_types
                ]
            for row in rows:
                key = key_of(row)
                mine, names = ours.get(key), [key] if isinstance(key, str) else key
                tally.compared += 1
                if mine == row:
                    continue
                changed = moved.get((name, *names))
                if changed is not None and until is not None and changed > until:
                    tally.compared -= 1
                    tally.in_flight += 1
                    continue
                values = [
                    Value(column, a, b)
                    for column, a, b in zip(TABLES[name], mine or row, row, strict=True)
                    if a != b
                ]
                cause = "changed in HubSpot since the last sync, or " + _OURS
                if key not in present:
                    cause = "removed in HubSpot since the last sync, or inserted here"
                result.add(
                    Difference(
                        _raw(name),
                        " ".join(map(str, names)),
                        "missing" if mine is None else "value",
                        cause,
                        values,
                    )
                )


def _raw(name: str) -> str:
    return f"{SCHEMA}.{name}"


def _existing_columns(connection: Connection) -> dict[str, set[str]]:
    existing: dict[str, set[str]] = {}
    for name, column in connection.execute(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = ?",
        (SCHEMA,),
    ):
        existing.setdefault(name, set()).add(column)
    return existing


def _last_change(record: Record) -> datetime | None:
    """When HubSpot last changed, archived or made a record."""
    dates = (
        parse_time(record.get(k)) for k in ("updatedAt", "archivedAt", "createdAt")
    )
    return max((d for d in dates if d is not None), default=None)


def _told_merges(records: Iterable[Record]) -> dict[str, str]:
    """loser -> survivor, as live survivors tell it (2.8)."""
    told: dict[str, str] = {}
    for record in records:
        survivor, values = str(record["id"]), record.get("properties") or {}
        lists = [as_text(values.get(prop)) for prop in MERGE_LISTS]
        told.update(dict.fromkeys(merged_away(survivor, lists), survivor))
    return told


def _of_link(
    pair: Pair, from_id: str, link: Link, kind: Kind, cause: str, values: list[Value]
) -> Difference:
    key = (pair[0], from_id, pair[1], link[0], link[1])
    text = f"{pair[0]} {from_id} → {pair[1]} {link[0]} (type {link[1]})"
    return Difference(_raw("associations"), text, kind, cause, values, row_key=key)


def _find_duplicates(connection: Connection, name: str, result: Comparison) -> None:
    keys = KEYS.get(name, ("id",))
    by = ", ".join(quoted(key) for key in keys)
    for *key, count in connection.execute(
        f"select {by}, count(*) from {table(name)} group by {by} having count(*) > 1"
    ):
        text = " ".join(map(str, key))
        if name == "associations":
            text = f"{key[0]} {key[1]} → {key[2]} {key[3]} (type {key[4]})"
        result.add(
            Difference(
                _raw(name),
                text,
                "duplicate",
                f"{count} rows of one key: inserted in the database",
                [Value("rows", count, 1)],
                row_key=tuple(key),
            )
        )


def _definition_changes(definitions: Definitions) -> dict[tuple[Any, ...], datetime]:
    """(table, *key) -> when HubSpot says it last changed, where it says so."""
    dated: dict[tuple[Any, ...], list[Json]] = {}
    for name, properties in definitions.properties.items():
        for prop in properties:
            dated["properties", name, str(prop["name"])] = [prop]
    for name, pipelines in definitions.pipelines.items():
        for line in pipelines:
            for stage in line.get("stages") or []:
                key = ("pipelines", name, str(line.get("id")), str(stage.get("id")))
                dated[key] = [line, stage]
    for owner in definitions.owners:
        dated["owners", str(owner.get("id"))] = [owner]
    changes = {}
    for key, items in dated.items():
        dates = [
            parse_time(i.get(k)) for i in items for k in ("updatedAt", "createdAt")
        ]
        if known := [each for each in dates if each is not None]:
            changes[key] = max(known)
    return changes


__all__ = ["Columns", "Comparison", "Difference", "RawComparison", "Tally", "Value"]
