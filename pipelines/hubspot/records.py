"""HubSpot's records as Arrow tables: exact text, null and "" kept apart.

Columns are built by Arrow from whole lists of property dicts; a Python loop over
values would halve the speed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from pipelines.hubspot.columns import Columns

Record = dict[str, Any]

# Properties in which survivors name what was merged into them (2.8): ids separated by
# ";", in the second one followed by ":time".
MERGE_LISTS = ("hs_merged_object_ids", "hs_calculated_merged_vids")

_TIME = pa.timestamp("us", "UTC")

_POINTER = 18  # bytes that a value moved out of a PostgreSQL row leaves behind
_ROW_BYTES = 7_600  # of a page's 8,160, less header, null bitmap and our own columns
# Read by SQL of ours; short, so they cost next to nothing.
_ALWAYS_IN_COLUMNS = frozenset({*MERGE_LISTS, "hs_object_id"})


def to_arrow(records: Sequence[Record], columns: Columns, state: str) -> pa.Table:
    """One table of `len(records)` rows; every call has the same schema."""
    names = columns.in_columns
    properties = [record.get("properties") or {} for record in records]
    properties, rest = _fit(properties, names, columns.overflowing)
    arrays = [pa.array([str(record["id"]) for record in records], pa.string())]
    fields = [pa.field("id", pa.string(), nullable=False)]
    for (_, column), values in zip(
        names.items(), _flatten(properties, list(names)), strict=True
    ):
        arrays.append(values)
        fields.append(pa.field(column, pa.string()))
    extra: list[tuple[str, pa.Array]] = [
        ("_state", pa.array([state] * len(records), pa.string())),
        ("_created_at", _times(records, "createdAt")),
        ("_updated_at", _times(records, "updatedAt")),
        ("_archived_at", _times(records, "archivedAt")),
        ("_merged_into", pa.nulls(len(records), pa.string())),
        ("_overflow", pa.array(rest, pa.string())),
    ]
    for name, array in extra:
        arrays.append(array)
        fields.append(pa.field(name, array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _flatten(properties: list[dict[str, Any]], names: list[str]) -> list[pa.Array]:
    if not names:
        return []
    struct = pa.struct([(name, pa.string()) for name in names])
    try:
        flat: list[pa.Array] = pa.array(properties, struct).flatten()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # HubSpot promises strings; a bare number or object is kept as its JSON text.
        texts = [{k: as_text(v) for k, v in each.items()} for each in properties]
        flat = pa.array(texts, struct).flatten()
    return flat


def as_text(value: Any) -> str | None:
    """A property value as HubSpot's text."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _fit(
    properties: list[dict[str, Any]],
    names: Mapping[str, str],
    overflowing: Sequence[str],
) -> tuple[list[dict[str, Any]], list[str | None]]:
    """Properties that fit a row, and per record the JSON of those that do not.

    PostgreSQL moves a long value out of its row and leaves 18 bytes behind; a row of
    more than some 430 such values does not fit its page, and would fail the load.
    """
    if not overflowing and len(names) * _POINTER <= _ROW_BYTES:
        return properties, [None] * len(properties)
    kept: list[dict[str, Any]] = []
    rest: list[str | None] = []
    for each in properties:
        over = {n: as_text(each[n]) for n in overflowing if each.get(n) is not None}
        if len(each) * _POINTER > _ROW_BYTES:
            used = 0
            fitting = dict(each)
            for name in names:
                value = as_text(each.get(name))
                if value is None:
                    continue
                used += min(len(value.encode()) + 1, _POINTER)
                if used > _ROW_BYTES and name not in _ALWAYS_IN_COLUMNS:
                    over[name] = value
                    fitting[name] = None
            each = fitting
        kept.append(each)
        rest.append(orjson.dumps(over).decode() if over else None)
    return kept, rest


def _times(records: Sequence[Record], key: str) -> pa.Array:
    values = [record.get(key) for record in records]
    try:
        return pa.array(values, pa.string()).cast(_TIME)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([parse_time(value) for value in values], _TIME)


def parse_time(value: Any) -> datetime | None:
    """ISO 8601 or epoch milliseconds (extraction.md 52: HubSpot sends both)."""
    if value in (None, ""):
        return None
    text = str(value)
    try:
        if text.lstrip("-").isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def merged_away(record_id: str, told: Iterable[str | None]) -> list[str]:
    """Ids that the values of a survivor's MERGE_LISTS name, but its own."""
    return [
        loser
        for text in told
        for loser in re.findall(r"(?:^|;)\s*(\d+)", text or "")
        if loser != record_id
    ]


def modified_ms(record: Record, modified_property: str) -> int | None:
    """When the record last changed, in epoch milliseconds."""
    value = (record.get("properties") or {}).get(modified_property)
    moment = parse_time(value) or parse_time(record.get("updatedAt"))
    return None if moment is None else round(moment.timestamp() * 1000)
