"""`hubspot_raw` as it stands: its tables, what is stored, and the marks of merges.

We create tables and columns ourselves, because dlt makes no table for a type without
records and no column for a property that is always null; dlt then finds them and
merges into them. On PostgreSQL the merge key is indexed, so that the cost of a merge
follows the change and not the table. The index is not unique: uniqueness is a
consistency test, which names the rows, and not a load that stops.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.hubspot.columns import SYSTEM_COLUMNS
from pipelines.hubspot.definitions import KEYS, TABLES
from pipelines.warehouse import Connection, Warehouse

SCHEMA = "hubspot_raw"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def table(name: str) -> str:
    return f"{SCHEMA}.{quoted(name)}"


def ensure_tables(
    warehouse: Warehouse, object_columns: Mapping[str, Iterable[str]]
) -> None:
    """Create what is missing: schema, definition tables, object tables, columns."""
    wanted = {
        name: {**columns, "_dlt_load_id": "text"} for name, columns in TABLES.items()
    }
    wanted["associations"]["_removed"] = "boolean"
    keys = dict(KEYS)
    for name, columns in object_columns.items():
        wanted[name] = {**SYSTEM_COLUMNS, **dict.fromkeys(columns, "text")}
        keys[name] = ("id",)
    with warehouse.connect() as connection:
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
                _create(connection, warehouse, name, columns, keys[name])
                continue
            for column in columns.keys() - existing[name]:
                connection.execute(
                    f"alter table {table(name)} "
                    f"add column {quoted(column)} {columns[column]}"
                )


def _create(
    connection: Connection,
    warehouse: Warehouse,
    name: str,
    columns: Mapping[str, str],
    key: Sequence[str],
) -> None:
    body = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
    connection.execute(f"create table {table(name)} ({body})")
    if warehouse.target == "postgres":
        on = ", ".join(quoted(column) for column in key)
        index = quoted(f"{name[:50]}_key")
        connection.execute(f"create index {index} on {table(name)} ({on})")


def stored_rows(warehouse: Warehouse, name: str) -> list[tuple[Any, ...]]:
    """Rows of a definition table, its declared columns only."""
    columns = ", ".join(quoted(column) for column in TABLES[name])
    with warehouse.connect() as connection:
        return connection.execute(f"select {columns} from {table(name)}")


def stored_columns(warehouse: Warehouse) -> dict[str, dict[str, str | None]]:
    """object_type -> property -> column, as given in earlier runs."""
    assigned: dict[str, dict[str, str | None]] = {}
    for row in stored_rows(warehouse, "properties"):
        assigned.setdefault(row[0], {})[row[1]] = row[2]
    return assigned


def stored_archived(warehouse: Warehouse, name: str) -> dict[str, datetime | None]:
    with warehouse.connect() as connection:
        return dict(
            connection.execute(
                f"select id, _archived_at from {table(name)} where _state = 'archived'"
            )
        )


def stored_states(
    warehouse: Warehouse, name: str, ids: Iterable[str]
) -> dict[str, str]:
    with warehouse.connect() as connection:
        return dict(
            connection.execute(
                f"select id, _state from {table(name)} "
                "where id in (select unnest(cast(? as text[])))",
                (list(ids),),
            )
        )


def mark_state(
    warehouse: Warehouse, name: str, ids: Iterable[str], state: str
) -> list[str]:
    """Set the state of records; returns the ids that changed."""
    with warehouse.connect() as connection:
        return [
            row[0]
            for row in connection.execute(
                f"update {table(name)} set _state = ? "
                "where id in (select unnest(cast(? as text[]))) and _state <> ? "
                "returning id",
                (state, list(ids), state),
            )
        ]


def mark_merged(
    warehouse: Warehouse, name: str, merges: Mapping[str, str]
) -> list[str]:
    """Point merged-away records (keys) at their survivors; returns ids newly merged.

    A survivor that was itself merged away later is followed to the end of its chain.
    """
    if not merges:
        return []
    pairs = list(merges.items())
    arrays = ([a for a, _ in pairs], [b for _, b in pairs])
    with warehouse.connect() as connection:
        changed = connection.execute(
            f"update {table(name)} as t set _state = 'merged', _merged_into = m.winner "
            "from (select unnest(cast(? as text[])) as loser, "
            "unnest(cast(? as text[])) as winner) as m "
            "where t.id = m.loser and (t._state <> 'merged' "
            "or t._merged_into is distinct from m.winner) returning t.id",
            arrays,
        )
        while connection.execute(
            f"update {table(name)} as t set _merged_into = w._merged_into "
            f"from {table(name)} as w where t._state = 'merged' "
            "and t._merged_into = w.id and w._state = 'merged' "
            "and w._merged_into <> t.id "
            "and t._merged_into is distinct from w._merged_into returning t.id"
        ):
            pass
        return [row[0] for row in changed]


def loaded_merges(
    warehouse: Warehouse, name: str, columns: Sequence[str], loads: Sequence[str]
) -> dict[str, str]:
    """loser -> survivor, as the live records of these loads tell it (2.8)."""
    if not columns or not loads:
        return {}
    told = ", ".join(quoted(column) for column in columns)
    given = " or ".join(f"{quoted(column)} <> ''" for column in columns)
    merges: dict[str, str] = {}
    with warehouse.connect() as connection:
        rows = connection.execute(
            f"select id, {told} from {table(name)} where _state = 'live' "
            f"and ({given}) and _dlt_load_id in (select unnest(cast(? as text[])))",
            (list(loads),),
        )
    for survivor, *lists in rows:
        for text in lists:
            # ids separated by ";", those of hs_calculated_merged_vids with ":time"
            for loser in re.findall(r"(?:^|;)\s*(\d+)", text or ""):
                if loser != survivor:
                    merges[loser] = survivor
    return merges


def changed_counts(
    warehouse: Warehouse, names: Iterable[str], loads: Sequence[str]
) -> dict[str, int]:
    """Rows per table that these loads wrote; unchanged rows keep their older load."""
    counts: dict[str, int] = {}
    if not loads:
        return counts
    with warehouse.connect() as connection:
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
    warehouse: Warehouse, name: str, ids: Iterable[str], loads: Sequence[str]
) -> list[str]:
    """Those of `ids` that these loads inserted or changed."""
    with warehouse.connect() as connection:
        return [
            row[0]
            for row in connection.execute(
                f"select id from {table(name)} "
                "where id in (select unnest(cast(? as text[]))) "
                "and _dlt_load_id in (select unnest(cast(? as text[])))",
                (list(ids), list(loads)),
            )
        ]
