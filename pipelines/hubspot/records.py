"""HubSpot's records as Arrow tables: exact text, null and "" kept apart.

Columns are built by Arrow from whole lists of property dicts; a Python loop over
values would halve the speed. A list's pages, which a first load consists of, become
Arrow from their JSON: other threads go on meanwhile, as they could not with dicts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.json import ParseOptions, ReadOptions, read_json

from pipelines.hubspot.client import decode_json
from pipelines.hubspot.columns import Columns

Record = dict[str, Any]
# Records as decoded by orjson, or the same as one array of Arrow (`page_decoder`).
Page: TypeAlias = list[Record] | pa.StructArray

# Properties in which survivors name what was merged into them (2.8): ids separated by
# ";", in the second one followed by ":time".
MERGE_LISTS = ("hs_merged_object_ids", "hs_calculated_merged_vids")

_TIME = pa.timestamp("us", "UTC")
_TIMES = ("createdAt", "updatedAt", "archivedAt")

_POINTER = 18  # bytes that a value moved out of a PostgreSQL row leaves behind
_ROW_BYTES = 7_600  # of a page's 8,160, less header, null bitmap and our own columns
# Read by SQL of ours; short, so they cost next to nothing.
_ALWAYS_IN_COLUMNS = frozenset({*MERGE_LISTS, "hs_object_id"})


def to_arrow(page: Page, columns: Columns, state: str) -> pa.Table:
    """One table of `len(page)` rows; every call has the same schema."""
    names = columns.in_columns
    rest: list[str | None] = [None] * len(page)
    if isinstance(page, pa.StructArray):
        ids, properties, *texts = page.flatten()
        values = properties.flatten()
        times = [_times(each) for each in texts]
    else:
        ids = pa.array(ids_of(page), pa.string())
        fitting, rest = _fit(
            [record.get("properties") or {} for record in page],
            names,
            columns.overflowing,
        )
        values = _flatten(fitting, list(names))
        times = [_times([record.get(key) for record in page]) for key in _TIMES]
    system = [
        ("_state", pa.repeat(pa.scalar(state, pa.string()), len(page))),
        *zip(("_created_at", "_updated_at", "_archived_at"), times, strict=True),
        ("_merged_into", pa.nulls(len(page), pa.string())),
        ("_overflow", pa.array(rest, pa.string())),
    ]
    fields = [
        pa.field("id", pa.string(), nullable=False),
        *(pa.field(column, pa.string()) for column in names.values()),
        *(pa.field(name, array.type) for name, array in system),
    ]
    arrays = [ids, *values, *(array for _, array in system)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def together(pages: list[Page]) -> list[Page]:
    """The same records in as few pages as can be: columns of many pieces are slow."""
    arrays = [page for page in pages if isinstance(page, pa.StructArray)]
    if len(arrays) == len(pages) > 1:
        return [pa.concat_arrays(arrays)]
    return pages


def ids_of(page: Page) -> list[str]:
    """The ids of the records, as HubSpot orders them."""
    if isinstance(page, pa.StructArray):
        ids: list[str] = page.field("id").to_pylist()
        return ids
    return [str(record["id"]) for record in page]


def page_decoder(columns: Columns) -> Callable[[bytes], Any]:
    """A list's answer, its `results` one Arrow array instead of a list of dicts.

    Only where that is certain to say the same. A number where HubSpot promises text,
    an escape (which may be no character at all), a page that is cut off, a row that
    may not fit: all these are for `decode_json` and the dicts.
    """
    names = list(columns.in_columns)
    if columns.overflowing or len(names) * _POINTER > _ROW_BYTES:
        return decode_json
    text = pa.string()
    properties = pa.struct([(name, text) for name in names])
    record = [("id", text), ("properties", properties), *((t, text) for t in _TIMES)]
    following = pa.struct([("next", pa.struct([("after", text)]))])
    schema = pa.schema(
        [("results", pa.list_(pa.struct(record))), ("paging", following)]
    )
    options = ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def decode(content: bytes) -> Any:
        if b"\\" in content and b"\\u" in content:  # the first is found at once
            return decode_json(content)
        try:
            answer = read_json(
                pa.BufferReader(content),
                ReadOptions(use_threads=False, block_size=len(content) + 1),
                options,
            )
            answer.validate(full=True)  # that it is UTF-8
            [page] = answer.column("results").chunks
            [paging] = answer.column("paging").to_pylist()
        except (pa.ArrowInvalid, ValueError):
            return decode_json(content)
        records = page.flatten()
        if page.null_count or records.null_count or records.field("id").null_count:
            return decode_json(content)
        return {"results": records, "paging": paging}

    return decode


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


def _times(texts: Sequence[Any] | pa.Array) -> pa.Array:
    try:
        return pc.cast(pa.array(texts, pa.string()), _TIME)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        values = texts.to_pylist() if isinstance(texts, pa.Array) else texts
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


def newest(rows: pa.Table, column: str | None) -> tuple[int | None, int]:
    """When these rows last changed, by that column of text and else by HubSpot's own
    time of the record: the newest, in epoch milliseconds, and how many share it."""
    times = rows.column("_updated_at").combine_chunks()
    if column is not None:
        times = pc.coalesce(_times(rows.column(column).combine_chunks()), times)
    newest = pc.max(times)
    if not newest.is_valid:
        return None, 0
    return newest.value // 1000, pc.sum(pc.equal(times, newest)).as_py()
