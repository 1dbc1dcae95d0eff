"""How far each object type has been read: `ops.watermarks`, one row per type.

Our own table and not dlt's state: it is written only after a load *and* its
associations are committed, so a crash can only make us read a window again, and
merges make that harmless. dlt's state would have moved with a load that failed.

Beside it `ops.raw_changes`: what of `hubspot_raw` has been written since the models
were last built from it, record by record where they are few. A table is named there
before it is written or in the same transaction, so that no crash leaves a change that
nobody transforms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from pipelines.warehouse import Connection

# The row whose cursor is the offset of the webhooks journal, not a record id.
JOURNAL = "_journal"

_DDL = """
create table if not exists ops.watermarks (
    object_type text primary key,
    phase text not null,
    cursor_id text,
    started_at timestamptz,
    complete_until timestamptz,
    newest_ms bigint,
    newest_ties bigint,
    archived_at timestamptz,
    archived_count bigint,
    repeats_list boolean,
    pending_properties text,
    hourly_at timestamptz,
    nightly_at timestamptz,
    links_at timestamptz,
    audited_at timestamptz,
    verified_at timestamptz
)
"""

# A row without id: anything in that table. Links are named by the record that they
# start from, and its type.
_CHANGES_DDL = """
create table if not exists ops.raw_changes (
    table_name text not null,
    object_type text,
    id text
)
"""

# Above this, building the whole table anew costs no more than row by row.
_MOST_IDS = 20_000


@dataclass
class Watermark:
    """Reading position of one object type. Times are HubSpot's clock.

    `phase` list: the first load, `cursor_id` the ranges of ids still to be read; with
    `repeats_list` it is not the first, and what is stored is compared with it.
    `phase` search: `complete_until` is the start of the last complete sweep;
    `cursor_id` the last id of an interrupted one, which began at `started_at`.
    `newest_ms` is the newest modified date seen, `newest_ties` how many records carry
    it. `pending_properties` (comma separated) still have to be read for records that
    no modified date tells of. The `…_at` are the last times of each check.
    """

    object_type: str
    phase: Literal["list", "search"] = "list"
    cursor_id: str | None = None
    started_at: datetime | None = None
    complete_until: datetime | None = None
    newest_ms: int | None = None
    newest_ties: int = 0
    archived_at: datetime | None = None
    archived_count: int = 0
    repeats_list: bool = False
    pending_properties: str | None = None
    hourly_at: datetime | None = None
    nightly_at: datetime | None = None
    links_at: datetime | None = None
    audited_at: datetime | None = None
    verified_at: datetime | None = None


def is_due(last: datetime | None, now: datetime, every: timedelta) -> bool:
    """Whether a check is due that ran `last`; never yet counts as due."""
    return last is None or now - last >= every


def ensure_state(connection: Connection) -> None:
    connection.ensure_tables("ops", _DDL, _CHANGES_DDL)


def note_raw_tables(connection: Connection, tables: Iterable[str]) -> set[str]:
    """Anything in these tables may be written; returns those not yet noted so."""
    fresh = set(tables) - whole_raw_changes(connection)
    for table in sorted(fresh):
        connection.execute(
            "insert into ops.raw_changes (table_name) values (?)", (table,)
        )
    return fresh


def note_raw_records(
    connection: Connection, table: str, object_type: str, ids: Iterable[str]
) -> None:
    """These records, or the links from them, may be written."""
    listed = sorted(set(ids))
    if len(listed) > _MOST_IDS:
        note_raw_tables(connection, [table])
    elif listed:
        connection.execute(
            "insert into ops.raw_changes (table_name, object_type, id) "
            "select ?, ?, unnest(cast(? as text[]))",
            (table, object_type, listed),
        )


def only_raw_records(connection: Connection, table: str, ids: Iterable[str]) -> None:
    """Of a table that was noted whole, it was these records in the end."""
    connection.execute(
        "delete from ops.raw_changes where table_name = ? and id is null", (table,)
    )
    note_raw_records(connection, table, table, ids)


def raw_changes(connection: Connection) -> set[str]:
    """The tables of raw that have been written since the models were last built."""
    return {
        row[0]
        for row in connection.execute("select distinct table_name from ops.raw_changes")
    }


def whole_raw_changes(connection: Connection) -> set[str]:
    """Those of which nobody noted the records."""
    return {
        row[0]
        for row in connection.execute(
            "select distinct table_name from ops.raw_changes where id is null"
        )
    }


def forget_raw_changes(connection: Connection) -> None:
    """Everything is built from raw as it is now."""
    connection.execute("delete from ops.raw_changes")


def read_state(connection: Connection) -> dict[str, Watermark]:
    names = ", ".join(each.name for each in fields(Watermark))
    rows = connection.execute(f"select {names} from ops.watermarks")
    return {row[0]: Watermark(*row) for row in rows}


def write_state(connection: Connection, watermarks: list[Watermark]) -> None:
    names = [each.name for each in fields(Watermark)]
    marks = ", ".join("?" for _ in names)
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    for watermark in watermarks:
        connection.execute(
            f"insert into ops.watermarks ({', '.join(names)}) values ({marks}) "
            f"on conflict (object_type) do update set {updates}",
            astuple(watermark),
        )
