"""`hubspot_raw` as it stands: its tables, what is stored, and the marks of merges.

We create tables and columns ourselves, because dlt makes no table for a type without
records and no column for a property that is always null; dlt then finds them and
merges into them. On PostgreSQL the merge key is indexed, so that the cost of a merge
follows the change and not the table. The index is not unique: uniqueness is a
consistency test, which names the rows, and not a load that stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.hubspot.columns import SYSTEM_COLUMNS
from pipelines.hubspot.definitions import KEYS, TABLES
from pipelines.hubspot.records import merged_away
from pipelines.hubspot.state import note_raw_records
from pipelines.warehouse import Connection

SCHEMA = "hubspot_raw"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def table(name: str) -> str:
    return f"{SCHEMA}.{quoted(name)}"


def ensure_tables(
    connection: Connection, object_columns: Mapping[str, Iterable[str]], *, index: bool
) -> None:
    """Create what is missing: schema, definition tables, object tables, columns.

    `index` the merge keys (PostgreSQL).
    """
    wanted = {
        name: {**columns, "_dlt_load_id": "text"} for name, columns in TABLES.items()
    }
    wanted["associations"]["_removed"] = "boolean"
    keys = dict(KEYS)
    for name, columns in object_columns.items():
        wanted[name] = {**SYSTEM_COLUMNS, **dict.fromkeys(columns, "text")}
        keys[name] = ("id",)
    connection.execute(f"create schema if not exists {SCHEMA}")
    existing: dict[str, set[str]] = {}
    for name, column in connection.execute(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = ?",
        (SCHEMA,),
    ):
        existing.setdefault(name, set()).add(column)
    for name, columns in wanted.items():
        if name not in existing:
            _create(connection, name, columns, keys[name] if index else ())
            continue
        for column in columns.keys() - existing[name]:
            connection.execute(
                f"alter table {table(name)} "
                f"add column {quoted(column)} {columns[column]}"
            )


def _create(
    connection: Connection,
    name: str,
    columns: Mapping[str, str],
    key: Sequence[str],
) -> None:
    body = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
    # PostgreSQL compresses and moves values of any row above 2 kB, column by column;
    # with rows of many short values that costs half the load and saves nothing.
    storage = " with (toast_tuple_target = 4080)" if key else ""
    connection.execute(f"create table {table(name)} ({body}){storage}")
    if key:
        on = ", ".join(quoted(column) for column in key)
        index = quoted(f"{name[:50]}_key")
        connection.execute(f"create index {index} on {table(name)} ({on})")


def stored_rows(connection: Connection, name: str) -> list[tuple[Any, ...]]:
    """Rows of a definition table, its declared columns only."""
    columns = ", ".join(quoted(column) for column in TABLES[name])
    return connection.execute(f"select {columns} from {table(name)}")


def stored_columns(connection: Connection) -> dict[str, dict[str, str | None]]:
    """object_type -> property -> column, as given in earlier runs."""
    assigned: dict[str, dict[str, str | None]] = {}
    for row in stored_rows(connection, "properties"):
        assigned.setdefault(row[0], {})[row[1]] = row[2]
    return assigned


def stored_archived(connection: Connection, name: str) -> dict[str, datetime | None]:
    return dict(
        connection.execute(
            f"select id, _archived_at from {table(name)} where _state = 'archived'"
        )
    )


def stored_states(
    connection: Connection, name: str, ids: Iterable[str]
) -> dict[str, str]:
    return dict(
        connection.execute(
            f"select id, _state from {table(name)} "
            "where id in (select unnest(cast(? as text[])))",
            (list(ids),),
        )
    )


def mark_state(
    connection: Connection, name: str, ids: Iterable[str], state: str
) -> list[str]:
    """Set the state of records; returns the ids that changed."""
    return _changed(
        connection,
        name,
        f"update {table(name)} set _state = ? "
        "where id in (select unnest(cast(? as text[]))) and _state <> ? returning id",
        (state, list(ids), state),
    )


def _changed(
    connection: Connection, name: str, update: str, params: Sequence[Any] = ()
) -> list[str]:
    """The ids that an update returns, noted as written."""
    ids = [row[0] for row in connection.execute(update, params)]
    note_raw_records(connection, name, name, ids)
    return ids


def mark_erased(connection: Connection, name: str, ids: Sequence[str]) -> None:
    """A privacy deletion or purge: every value goes, the id stays as a tombstone.

    Every column of the table, not of the portal's properties: a property that HubSpot
    has dropped may still hold what must go. Records merged into an erased one told of
    the same person, so their values go with it; they stay merged.
    """
    if not ids:
        return
    columns = {
        row[0]
        for row in connection.execute(
            "select column_name from information_schema.columns "
            "where table_schema = ? and table_name = ?",
            (SCHEMA, name),
        )
    }
    values = [*sorted(columns - SYSTEM_COLUMNS.keys()), "_overflow"]
    emptied = "".join(f", {quoted(column)} = null" for column in values)
    _changed(
        connection,
        name,
        f"update {table(name)} set _state = "
        f"case when _state = 'merged' then _state else 'erased' end{emptied} "
        "where _state <> 'erased' and id in ("
        "with recursive gone as ("
        "select unnest(cast(? as text[])) as id union "
        f"select t.id from {table(name)} as t inner join gone "
        "on t._merged_into = gone.id where t._state = 'merged'"
        ") select id from gone) returning id",
        (list(ids),),
    )


def live_ids_within(
    connection: Connection, name: str, spans: Iterable[tuple[int, int | None]]
) -> set[str]:
    """Stored live ids in these ranges [low, high), compared as numbers."""
    if not (condition := _within(spans)):
        return set()
    return {
        row[0]
        for row in connection.execute(
            f"select id from {table(name)} where _state = 'live' and ({condition})"
        )
    }


def holds_any_within(
    connection: Connection, name: str, spans: Iterable[tuple[int, int | None]]
) -> bool:
    """Whether a record of any state is stored with an id in these ranges."""
    if not (condition := _within(spans)):
        return False
    [(found,)] = connection.execute(
        f"select exists (select 1 from {table(name)} where {condition})"
    )
    return bool(found)


def _within(spans: Iterable[tuple[int, int | None]]) -> str:
    number = "cast(id as numeric(38, 0))"
    return " or ".join(
        f"({number} >= {low}{'' if high is None else f' and {number} < {high}'})"
        for low, high in spans
    )


def live_ids(connection: Connection, name: str) -> list[str]:
    """Stored live ids in ascending order."""
    rows = connection.execute(f"select id from {table(name)} where _state = 'live'")
    return sorted((row[0] for row in rows), key=int)


def stored_updates(
    connection: Connection, name: str, ids: Sequence[str]
) -> dict[str, datetime | None]:
    """When the stored records among `ids` were last updated, live ones only."""
    return dict(
        connection.execute(
            f"select id, _updated_at from {table(name)} where _state = 'live' "
            "and id in (select unnest(cast(? as text[])))",
            (list(ids),),
        )
    )


def counts_by_edges(
    connection: Connection, name: str, edges: Sequence[datetime]
) -> list[int]:
    """Live records whose update falls before the first edge, between each, in order."""
    ours = connection.execute(
        "select b.position, count(t.id) from (select unnest(cast(? as timestamptz[])) "
        "as lower_edge, unnest(cast(? as timestamptz[])) as upper_edge, "
        "unnest(cast(? as bigint[])) as position) as b "
        f"left join {table(name)} as t on t._state = 'live' "
        "and t._updated_at >= b.lower_edge and t._updated_at < b.upper_edge "
        "group by b.position order by b.position",
        (list(edges[:-1]), list(edges[1:]), list(range(len(edges) - 1))),
    )
    return [int(count) for _, count in ours]


def mark_merged(connection: Connection, name: str, merges: Mapping[str, str]) -> None:
    """Point merged-away records (keys) at their survivors.

    A survivor that was itself merged away is followed to the end of its chain.
    """
    if not merges:
        return
    _changed(
        connection,
        name,
        f"update {table(name)} as t set _state = 'merged', _merged_into = m.winner "
        "from (select unnest(cast(? as text[])) as loser, "
        "unnest(cast(? as text[])) as winner) as m "
        "where t.id = m.loser and (t._state <> 'merged' "
        "or t._merged_into is distinct from m.winner) returning t.id",
        (list(merges.keys()), list(merges.values())),
    )
    while _changed(
        connection,
        name,
        f"update {table(name)} as t set _merged_into = w._merged_into "
        f"from {table(name)} as w where t._state = 'merged' "
        "and t._merged_into = w.id and w._state = 'merged' "
        "and w._merged_into <> t.id "
        "and t._merged_into is distinct from w._merged_into returning t.id",
    ):
        pass


def told_merges(
    connection: Connection, name: str, columns: Sequence[str], ids: Sequence[str]
) -> dict[str, str]:
    """loser -> survivor for stored losers, told by the survivors `ids` (2.8).

    Only merges that are not yet marked so.
    """
    if not columns or not ids:
        return {}
    told = ", ".join(quoted(column) for column in columns)
    given = " or ".join(f"{quoted(column)} <> ''" for column in columns)
    rows = connection.execute(
        f"select id, {told} from {table(name)} where _state = 'live' and ({given}) "
        "and id in (select unnest(cast(? as text[])))",
        (list(ids),),
    )
    merges: dict[str, str] = {}
    for survivor, *lists in rows:
        merges.update(dict.fromkeys(merged_away(survivor, lists), survivor))
    if not merges:
        return {}
    stored = connection.execute(
        f"select id, _merged_into from {table(name)} "
        "where id in (select unnest(cast(? as text[])))",
        (list(merges),),
    )
    return {loser: merges[loser] for loser, into in stored if into != merges[loser]}


def changed_counts(
    connection: Connection, names: Iterable[str], loads: Sequence[str]
) -> dict[str, int]:
    """Rows per table that these loads wrote; unchanged rows keep their older load."""
    counts: dict[str, int] = {}
    if not loads:
        return counts
    for name in names:
        [(count,)] = connection.execute(
            f"select count(*) from {table(name)} "
            "where _dlt_load_id in (select unnest(cast(? as text[])))",
            (list(loads),),
        )
        if count:
            counts[name] = int(count)
    return counts


def loaded_ids(
    connection: Connection, name: str, ids: Iterable[str], loads: Sequence[str]
) -> list[str]:
    """Those of `ids` that these loads inserted or changed."""
    return [
        row[0]
        for row in connection.execute(
            f"select id from {table(name)} "
            "where id in (select unnest(cast(? as text[]))) "
            "and _dlt_load_id in (select unnest(cast(? as text[])))",
            (list(ids), list(loads)),
        )
    ]


def oldest_update(connection: Connection, name: str) -> datetime | None:
    [(oldest,)] = connection.execute(
        f"select min(_updated_at) from {table(name)} where _state = 'live'"
    )
    return oldest  # type: ignore[no-any-return]


def live_ids_modified(
    connection: Connection, name: str, low: datetime, high: datetime
) -> set[str]:
    """Stored live ids last updated in [low, high)."""
    return {
        row[0]
        for row in connection.execute(
            f"select id from {table(name)} where _state = 'live' "
            "and _updated_at >= ? and _updated_at < ?",
            (low, high),
        )
    }
